export { gcpInvoke, gcpState } from '../../runtime/testing/clouds/gcp';
