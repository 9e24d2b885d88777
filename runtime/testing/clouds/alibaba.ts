import type { DeclaredResource, OnInvoke, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

const REGION = 'cn-hangzhou';

/** What Alibaba Cloud's provider computes for the resources that our components create. */
export function alibabaState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Answers the lookups that our components make. */
export const alibabaInvoke: OnInvoke = ({ token, args }): Properties | undefined => {
  switch (token) {
    case 'alicloud:index/getRegions:getRegions':
      return { id: '1', ids: [REGION], regions: [{ id: REGION, regionId: REGION, localName: 'Hangzhou' }] };
    case 'alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances':
      return { id: '1', ids: args['ids']!, names: ['team'], instances: [{ name: 'team', region: REGION }] };
    case 'alicloud:cs/getClusterCredential:getClusterCredential':
      return {
        id: '1',
        clusterId: args['clusterId']!,
        certificateAuthority: { clusterCert: 'Y2VydGlmaWNhdGU=', clientCert: 'Y2VydA==', clientKey: 'a2V5' },
      };
    default:
      return undefined;
  }
};

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'alicloud:oss/bucket:Bucket': (name) => ({
    id: `${name}-1a2b3c`,
    state: { bucket: `${name}-1a2b3c`, location: `oss-${REGION}` },
  }),
  'alicloud:cr/registryEnterpriseInstance:RegistryEnterpriseInstance': () => ({ id: 'cri-bought' }),
  'alicloud:cs/managedKubernetes:ManagedKubernetes': (name) => ({
    id: `c-${name}`,
    state: {
      connections: { apiServerIntranet: 'https://10.0.0.2:6443' },
      rrsaMetadata: {
        enabled: true,
        ramOidcProviderArn: `acs:ram::1234567890123456:oidc-provider/ack-rrsa-c-${name}`,
        ramOidcProviderName: `ack-rrsa-c-${name}`,
        rrsaOidcIssuerUrl: `https://oidc-ack-${REGION}.oss-${REGION}.aliyuncs.com/c-${name}`,
      },
    },
  }),
  'alicloud:cs/nodePool:NodePool': (name, { clusterId }) => ({
    id: `${clusterId as string}:np-${name}`,
    state: { nodePoolId: `np-${name}` },
  }),
};
