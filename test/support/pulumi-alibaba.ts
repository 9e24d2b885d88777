export { alibabaInvoke, alibabaState } from '../../runtime/testing/clouds/alibaba';
