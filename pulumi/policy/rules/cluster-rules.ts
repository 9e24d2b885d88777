import { valueAt, type CheckedResource, type Rule } from '../rule';

/** Clusters themselves. */
export const CLUSTER_RULES: readonly Rule[] = [
  {
    id: 'cluster-endpoint-closed',
    group: 'security',
    level: 'mandatory',
    severity: 'critical',
    description: 'The API server of a cluster is private, or says which addresses may reach it.',
    *check(resource) {
      const way = openWay(resource);
      if (way !== undefined) yield `everybody may reach the API server; ${way}`;
    },
  },
];

const EVERYBODY = ['0.0.0.0/0', '::/0'];

/** What would close the API server, where it is open to all addresses. */
function openWay({ type, props }: CheckedResource): string | undefined {
  const at = (path: string): unknown => valueAt(props, path);
  switch (type) {
    case 'aws:eks/cluster:Cluster':
      if (at('vpcConfig.endpointPublicAccess') === false || areNamed(at('vpcConfig.publicAccessCidrs')))
        return undefined;
      return 'set vpcConfig.endpointPublicAccess: false, or name addresses in vpcConfig.publicAccessCidrs';
    case 'gcp:container/cluster:Cluster': {
      const authorized = at('masterAuthorizedNetworksConfig');
      if (at('privateClusterConfig.enablePrivateEndpoint') === true) return undefined;
      // Without a block nobody comes from outside; without the setting, everybody.
      if (authorized !== undefined && isBounded(valueAt(authorized, 'cidrBlocks') ?? [])) return undefined;
      return 'set privateClusterConfig.enablePrivateEndpoint: true, or name addresses in masterAuthorizedNetworksConfig';
    }
    case 'azure-native:containerservice:ManagedCluster':
      if (at('apiServerAccessProfile.enablePrivateCluster') === true) return undefined;
      if (areNamed(at('apiServerAccessProfile.authorizedIPRanges'))) return undefined;
      return 'set enablePrivateCluster: true in apiServerAccessProfile, or name addresses in authorizedIPRanges';
    case 'alicloud:cs/managedKubernetes:ManagedKubernetes':
      // The provider's own default is true.
      return at('slbInternetEnabled') === false ? undefined : 'set slbInternetEnabled: false';
    case 'tencentcloud:index/kubernetesCluster:KubernetesCluster':
    case 'tencentcloud:index/kubernetesClusterEndpoint:KubernetesClusterEndpoint':
      if (at('clusterInternet') !== true || at('clusterInternetSecurityGroup') !== undefined) return undefined;
      if (areNamed(at('managedClusterInternetSecurityPolicies'))) return undefined;
      return 'set clusterInternet: false, or name who may reach it by clusterInternetSecurityGroup';
    default:
      return undefined;
  }
}

function areNamed(ranges: unknown): boolean {
  return Array.isArray(ranges) && ranges.length > 0 && isBounded(ranges);
}

/** Ranges are texts, or objects with one. */
function isBounded(ranges: unknown): boolean {
  const texts = (ranges as readonly unknown[]).map((range) => valueAt(range, 'cidrBlock') ?? range);
  return !texts.some((text) => EVERYBODY.includes(text as string));
}
