import type { DeclaredResource, OnInvoke, ProviderSettings, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

const HANGZHOU = 'cn-hangzhou';

/** What Alibaba Cloud's provider computes for the resources that our components create. */
export function alibabaState({ type, name, inputs }: DeclaredResource, provider?: ProviderSettings): ResourceState {
  return COMPUTED[type]?.(name, inputs, regionOf(provider)) ?? {};
}

/** Answers the lookups that our components make. */
export const alibabaInvoke: OnInvoke = ({ token, args }, provider): Properties | undefined => {
  const region = regionOf(provider);
  switch (token) {
    case 'alicloud:index/getRegions:getRegions':
      return { id: '1', ids: [region], regions: [{ id: region, regionId: region, localName: region }] };
    case 'alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances':
      return { id: '1', ids: args['ids']!, names: ['team'], instances: [{ name: 'team', region }] };
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

function regionOf(provider: ProviderSettings = {}): string {
  return (provider['region'] as string | undefined) ?? HANGZHOU;
}

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties, region: string) => ResourceState>> = {
  'alicloud:oss/bucket:Bucket': (name, _, region) => ({
    id: `${name}-1a2b3c`,
    state: { bucket: `${name}-1a2b3c`, location: `oss-${region}` },
  }),
  'alicloud:cr/registryEnterpriseInstance:RegistryEnterpriseInstance': () => ({ id: 'cri-bought' }),
  'alicloud:cs/managedKubernetes:ManagedKubernetes': (name, _, region) => ({
    id: `c-${name}`,
    state: {
      connections: { apiServerIntranet: 'https://10.0.0.2:6443' },
      rrsaMetadata: {
        enabled: true,
        ramOidcProviderArn: `acs:ram::1234567890123456:oidc-provider/ack-rrsa-c-${name}`,
        ramOidcProviderName: `ack-rrsa-c-${name}`,
        rrsaOidcIssuerUrl: `https://oidc-ack-${region}.oss-${region}.aliyuncs.com/c-${name}`,
      },
    },
  }),
  'alicloud:cs/nodePool:NodePool': (name, { clusterId }) => ({
    id: `${clusterId as string}:np-${name}`,
    state: { nodePoolId: `np-${name}` },
  }),
};
