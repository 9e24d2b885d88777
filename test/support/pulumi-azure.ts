export { azureInvoke, azureState } from '../../runtime/testing/clouds/azure';
