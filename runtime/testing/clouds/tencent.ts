import type { DeclaredResource, OnInvoke, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

/** What Tencent Cloud's provider computes for the resources that our components create. */
export function tencentState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Answers the one lookup that our components make: whose account it is. */
export const tencentInvoke: OnInvoke = ({ token }): Properties | undefined =>
  token === 'tencentcloud:index/getUserInfo:getUserInfo'
    ? { id: 'user_info', appId: '1250000000', uin: '100000000002', ownerUin: '100000000001', name: 'deployer' }
    : undefined;

const KUBECONFIG = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [
    { name: 'tke', cluster: { server: 'https://10.0.0.9', 'certificate-authority-data': 'Y2VydGlmaWNhdGU=' } },
  ],
  contexts: [{ name: 'tke', context: { cluster: 'tke', user: 'deployer' } }],
  'current-context': 'tke',
  users: [{ name: 'deployer', user: { 'client-certificate-data': 'Y2VydA==', 'client-key-data': 'a2V5' } }],
});

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'tencentcloud:index/cosBucket:CosBucket': (_, { bucket }) => ({ id: bucket as string }),
  'tencentcloud:index/kubernetesCluster:KubernetesCluster': (name) => ({
    id: `cls-${name}`,
    state: { kubeConfigIntranet: KUBECONFIG, password: 'a2V5' },
  }),
  'tencentcloud:index/kubernetesClusterEndpoint:KubernetesClusterEndpoint': (_, { clusterId }) => ({
    id: clusterId as string,
    state: { kubeConfigIntranet: KUBECONFIG, password: 'a2V5' },
  }),
  'tencentcloud:index/kubernetesAuthAttachment:KubernetesAuthAttachment': (name, { clusterId }) => ({
    id: clusterId as string,
    state: { tkeDefaultIssuer: `https://ap-guangzhou-oidc.tke.tencentcs.com/id/${name}` },
  }),
  'tencentcloud:index/kubernetesNodePool:KubernetesNodePool': (name, { clusterId }) => ({
    id: `${clusterId as string}#np-${name}`,
  }),
};
