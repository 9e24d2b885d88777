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
  /**
   * Where every key stands that `addon-values.ts` gives the chart: its own list of values, as it was in an earlier version
   * or in one that is not told. Nobody held the keys against the very version above.
   */
  readonly keysReadIn: string;
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
    keysReadIn:
      'https://github.com/NVIDIA/k8s-device-plugin/blob/00f2a02c68f1e72951de0357e292c118f47f4b49/deployments/helm/nvidia-device-plugin/values.yaml',
  },
  gpuOperator: {
    repository: 'https://helm.ngc.nvidia.com/nvidia',
    chart: 'gpu-operator',
    version: 'v26.7.1',
    release: 'gpu-operator',
    namespace: 'gpu-operator',
    podSecurity: 'privileged',
    source: 'https://helm.ngc.nvidia.com/nvidia/charts/gpu-operator-v26.7.1.tgz',
    // Of the time of driver 550.90.07.
    keysReadIn:
      'https://github.com/NVIDIA/gpu-operator/blob/d7413be9727387537b654a25d25f932767794663/deployments/gpu-operator/values.yaml',
  },
  keda: {
    repository: 'https://kedacore.github.io/charts',
    chart: 'keda',
    version: '2.21.1',
    release: 'keda',
    namespace: 'keda',
    podSecurity: 'baseline',
    source: 'https://github.com/kedacore/charts/releases/tag/v2.21.1',
    // 2.16.0; the keys of the monitors in values.yaml at 56b0749fd7e14a447e70154d48187fcf9c4609d2.
    keysReadIn: 'https://github.com/kedacore/charts/blob/00ec6795c664ac71a92e1d88f9f2fac66810c5a1/keda/README.md',
  },
  kedaHttp: {
    repository: 'https://kedacore.github.io/charts',
    chart: 'keda-add-ons-http',
    version: '0.15.0',
    release: 'keda-add-ons-http',
    namespace: 'keda',
    podSecurity: 'baseline',
    source: 'https://keda.sh/http-add-on/0.15/',
    keysReadIn:
      'https://github.com/kedacore/charts/blob/0349ac4b4418eeb189791970241db839706fc738/http-add-on/values.yaml',
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
    // Of the time of Prometheus 3.5.0. `grafana.admin` and the tolerations of the node exporter are keys of the charts within it.
    keysReadIn:
      'https://github.com/prometheus-community/helm-charts/blob/6e3607554b0ef55b1e46f3e5215b4578b2f0cd4b/charts/kube-prometheus-stack/values.yaml',
  },
  gateway: {
    repository: 'oci://docker.io/envoyproxy',
    chart: 'gateway-helm',
    version: 'v1.9.1',
    release: 'envoy-gateway',
    namespace: 'envoy-gateway-system',
    podSecurity: 'baseline',
    source: 'https://github.com/envoyproxy/gateway/releases/tag/v1.9.1',
    keysReadIn: 'https://gateway.envoyproxy.io/docs/install/gateway-helm-api/',
  },
  karpenter: {
    repository: 'oci://public.ecr.aws/karpenter',
    chart: 'karpenter',
    version: '1.14.1',
    release: 'karpenter',
    namespace: 'kube-system',
    podSecurity: 'baseline',
    source: 'https://github.com/aws/karpenter-provider-aws/releases/tag/v1.14.1',
    // 0.35.10.
    keysReadIn:
      'https://github.com/aws/karpenter-provider-aws/blob/0003697d1c675a56145664fb07baba574e93461e/charts/karpenter/values.yaml',
  },
  kueue: {
    repository: 'oci://registry.k8s.io/kueue/charts',
    chart: 'kueue',
    version: '0.19.6',
    release: 'kueue',
    namespace: 'kueue-system',
    podSecurity: 'baseline',
    source: 'https://github.com/kubernetes-sigs/kueue/releases/tag/v0.19.6',
    // 0.16.1.
    keysReadIn:
      'https://github.com/kubernetes-sigs/kueue/blob/00cdc1df9a4138ca045562ac7e6fd714095f885f/charts/kueue/README.md',
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
