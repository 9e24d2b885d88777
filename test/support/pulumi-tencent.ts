export { tencentInvoke, tencentState } from '../../runtime/testing/clouds/tencent';
