import type { DeclaredResource, OnInvoke, Properties, ResourceState } from 'slipway/testing';

/** What Tencent Cloud's provider computes for the resources that our components create: besides ids, nothing they use. */
export function tencentState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Our components look nothing up. */
export const tencentInvoke: OnInvoke = () => undefined;

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'tencentcloud:index/cosBucket:CosBucket': (_, { bucket }) => ({ id: bucket as string }),
  'tencentcloud:index/kubernetesNodePool:KubernetesNodePool': (name, { clusterId }) => ({
    id: `${clusterId as string}#np-${name}`,
  }),
};
