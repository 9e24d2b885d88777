/** A chart, the version that was tried with what this package makes, and how it is installed. */
export interface AddonChart {
  /** Of the Helm repository, or with `oci://` the whole address. */
  readonly repository: string;
  readonly chart: string;
  readonly version: string;
  /** Name of the release. It is part of names that others rely on, so it is always the same. */
  readonly release: string;
  readonly namespace: string;
  /** Pod Security of a namespace that is made for it: the strictest that its own pods fit. */
  readonly podSecurity: 'privileged' | 'baseline';
  /** Where the version was read. */
  readonly source: string;
}

/** When the versions below were read. */
export const CHARTS_READ_ON = '2026-11-22';

/** Every add-on that `PlatformAddons` can install. */
export const ADDON_CHARTS = {
  devicePlugin: {
    repository: 'https://nvidia.github.io/k8s-device-plugin',
    chart: 'nvidia-device-plugin',
    version: '0.20.1',
    release: 'nvidia-device-plugin',
    namespace: 'nvidia-device-plugin',
    podSecurity: 'privileged',
    source: 'https://nvidia.github.io/k8s-device-plugin/index.yaml',
  },
  gpuOperator: {
    repository: 'https://helm.ngc.nvidia.com/nvidia',
    chart: 'gpu-operator',
    version: 'v26.7.1',
    release: 'gpu-operator',
    namespace: 'gpu-operator',
    podSecurity: 'privileged',
    source: 'https://helm.ngc.nvidia.com/nvidia/charts/gpu-operator-v26.7.1.tgz',
  },
  keda: {
    repository: 'https://kedacore.github.io/charts',
    chart: 'keda',
    version: '2.21.1',
    release: 'keda',
    namespace: 'keda',
    podSecurity: 'baseline',
    source: 'https://github.com/kedacore/charts/releases/tag/v2.21.1',
  },
  kedaHttp: {
    repository: 'https://kedacore.github.io/charts',
    chart: 'keda-add-ons-http',
    version: '0.15.0',
    release: 'keda-add-ons-http',
    namespace: 'keda',
    podSecurity: 'baseline',
    source: 'https://keda.sh/http-add-on/0.15/',
  },
  monitoring: {
    repository: 'https://prometheus-community.github.io/helm-charts',
    chart: 'kube-prometheus-stack',
    version: '88.5.4',
    release: 'kube-prometheus-stack',
    namespace: 'monitoring',
    // Its node exporter looks at the machine.
    podSecurity: 'privileged',
    source: 'https://github.com/prometheus-community/helm-charts/releases/tag/kube-prometheus-stack-88.5.4',
  },
  gateway: {
    repository: 'oci://docker.io/envoyproxy',
    chart: 'gateway-helm',
    version: 'v1.9.1',
    release: 'envoy-gateway',
    namespace: 'envoy-gateway-system',
    podSecurity: 'baseline',
    source: 'https://github.com/envoyproxy/gateway/releases/tag/v1.9.1',
  },
  karpenter: {
    repository: 'oci://public.ecr.aws/karpenter',
    chart: 'karpenter',
    version: '1.14.1',
    release: 'karpenter',
    namespace: 'kube-system',
    podSecurity: 'baseline',
    source: 'https://github.com/aws/karpenter-provider-aws/releases/tag/v1.14.1',
  },
  kueue: {
    repository: 'oci://registry.k8s.io/kueue/charts',
    chart: 'kueue',
    version: '0.19.6',
    release: 'kueue',
    namespace: 'kueue-system',
    podSecurity: 'baseline',
    source: 'https://github.com/kubernetes-sigs/kueue/releases/tag/v0.19.6',
  },
} as const satisfies Record<string, AddonChart>;

export type AddonName = keyof typeof ADDON_CHARTS;

/** In the order in which they are installed: who is monitored needs the kinds of the monitoring to be there. */
export const ADDON_NAMES = [
  'monitoring',
  'devicePlugin',
  'gpuOperator',
  'keda',
  'kedaHttp',
  'gateway',
  'karpenter',
  'kueue',
] as const satisfies readonly AddonName[];
