import type { ClusterFacts, NodeFacts, ServiceNeeds } from '../../../runtime/cli/doctor/facts';

/** A cluster that has everything a GPU service with KEDA needs. */
export const HEALTHY: ClusterFacts = {
  context: 'blue',
  server: 'https://127.0.0.1:6443',
  version: 'v1.36.3',
  groups: { 'keda.sh': ['v1alpha1'], 'monitoring.coreos.com': ['v1'] },
  kinds: { 'apps/v1': ['Deployment'], 'keda.sh/v1alpha1': ['ScaledObject'] },
  nodes: [gpuNode('gpu-0')],
  namespace: { name: 'inference', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  daemonSets: [
    { namespace: 'nvidia', name: 'nvidia-device-plugin', images: ['nvcr.io/nvidia/k8s-device-plugin:v0.20.0'] },
  ],
  resourceSlices: [],
  deviceClasses: [],
  prometheuses: [
    {
      namespace: 'monitoring',
      name: 'kube-prometheus-stack',
      serviceMonitorSelector: { matchLabels: { release: 'kube-prometheus-stack' } },
      serviceMonitorNamespaceSelector: {},
      ruleSelector: { matchLabels: { release: 'kube-prometheus-stack' } },
      ruleNamespaceSelector: {},
    },
  ],
  apiServices: [
    {
      name: 'v1beta1.external.metrics.k8s.io',
      service: 'keda/keda-operator-metrics-apiserver',
      isAvailable: true,
      message: 'all checks passed',
    },
  ],
  unreadable: [],
};

/** A service of two replicas on GPUs of a pool, which KEDA scales. */
export const NEEDS: ServiceNeeds = {
  name: 'digits',
  namespace: 'inference',
  createsNamespace: false,
  namespaceLabels: {},
  kinds: [
    { apiVersion: 'apps/v1', kind: 'Deployment', object: 'digits' },
    { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', object: 'digits' },
  ],
  imageVolumes: [],
  gpu: { resourceName: 'nvidia.com/gpu', perReplica: 1, usesDra: false, deviceClass: 'gpu.nvidia.com' },
  metrics: 'external',
  monitorLabels: { 'app.kubernetes.io/name': 'digits', release: 'kube-prometheus-stack' },
  ruleLabels: { 'app.kubernetes.io/name': 'digits', release: 'kube-prometheus-stack' },
  nodeSelector: { 'slipway.dev/pool': 'gpu' },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'Equal', value: 'present', effect: 'NoSchedule' }],
  awsVcpus: { g: 8 },
};

export function gpuNode(name: string, more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    name,
    labels: { 'slipway.dev/pool': 'gpu' },
    taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }],
    allocatable: { cpu: '4', 'nvidia.com/gpu': '1' },
    kubelet: 'v1.36.3',
    runtime: 'containerd://2.1.4',
    ...more,
  };
}
