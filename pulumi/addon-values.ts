import type * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT } from '../runtime/spec';
import { LABELS } from '../runtime/spec/endpoints';
import { GpuSharingStrategy, podsPerGpu, type GpuSharingArgs } from './gpu-sharing';
import { ADDON_CHARTS, type AddonName } from './addon-charts';
import type { PlatformAddonsArgs } from './platform-addons';

/** Values of a chart: a tree of plain and late-bound ones, as Helm has them. */
export interface ChartValues {
  readonly [key: string]: ChartValue | undefined;
}
type ChartValue = string | number | boolean | ChartValues | readonly ChartValue[] | pulumi.Output<string>;

/** Labels by which the Prometheus of the stack finds monitors: those that `InferenceService` puts on its own. */
export const MONITOR_LABELS = { release: ADDON_CHARTS.monitoring.release } as const;

const GPU_RESOURCE = 'nvidia.com/gpu';
const GPU_TOLERATION = { key: GPU_TAINT.key, operator: 'Exists', effect: GPU_TAINT.effect } as const;
const CONFIG_NAME = 'default';

/** What each chart is told. Keys are those of the charts' own values.yaml, in the versions of `ADDON_CHARTS`. */
export const ADDON_VALUES: Readonly<Record<AddonName, (args: PlatformAddonsArgs) => ChartValues>> = {
  devicePlugin: ({ devicePlugin, mirror }) => ({
    ...(mirror?.images === undefined ? {} : { image: { repository: `${mirror.images}/nvidia/k8s-device-plugin` } }),
    config: { map: { [CONFIG_NAME]: devicePluginConfig(devicePlugin?.sharing) }, default: CONFIG_NAME },
    tolerations: [GPU_TOLERATION],
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: gpuNodes() } } },
    // The daemon of MPS lands where feature discovery says that a GPU can do it.
    ...(devicePlugin?.sharing?.strategy === GpuSharingStrategy.Mps ? { gfd: { enabled: true } } : {}),
  }),

  gpuOperator: ({ gpuOperator, monitoring }) => ({
    driver: { enabled: gpuOperator?.installDriver ?? false },
    toolkit: { enabled: gpuOperator?.installToolkit ?? gpuOperator?.installDriver ?? false },
    daemonsets: { tolerations: [GPU_TOLERATION] },
    devicePlugin: {
      config: {
        create: true,
        name: 'slipway-device-plugin',
        default: CONFIG_NAME,
        data: { [CONFIG_NAME]: devicePluginConfig(gpuOperator?.sharing) },
      },
    },
    ...migOf(gpuOperator?.sharing),
    dcgmExporter: {
      serviceMonitor:
        monitoring === undefined ? { enabled: false } : { enabled: true, additionalLabels: { ...MONITOR_LABELS } },
    },
  }),

  keda: ({ mirror, monitoring }) => {
    const serviceMonitor = { enabled: monitoring !== undefined, additionalLabels: { ...MONITOR_LABELS } };
    const watched = { enabled: monitoring !== undefined, serviceMonitor };
    return {
      ...(mirror?.images === undefined ? {} : { global: { image: { registry: mirror.images } } }),
      // One that is away for a moment must not leave every service at the size it has.
      operator: { replicaCount: 2 },
      metricsServer: { replicaCount: 2 },
      prometheus: { operator: watched, metricServer: watched },
    };
  },

  kedaHttp: ({ mirror }) =>
    mirror?.images === undefined
      ? {}
      : {
          images: {
            operator: `${mirror.images}/kedacore/http-add-on-operator`,
            interceptor: `${mirror.images}/kedacore/http-add-on-interceptor`,
            scaler: `${mirror.images}/kedacore/http-add-on-scaler`,
          },
        },

  monitoring: ({ monitoring, mirror }) => ({
    ...(mirror?.images === undefined ? {} : { global: { imageRegistry: mirror.images } }),
    // The chart's own password is in its documentation: Grafana comes with a secret of yours, or not at all.
    grafana:
      monitoring?.grafanaAdminSecret === undefined
        ? { enabled: false }
        : {
            enabled: true,
            admin: {
              existingSecret: monitoring.grafanaAdminSecret,
              userKey: 'admin-user',
              passwordKey: 'admin-password',
            },
            sidecar: { dashboards: { enabled: true, label: 'grafana_dashboard', searchNamespace: 'ALL' } },
          },
    prometheus: {
      prometheusSpec: {
        // In every namespace, by the label that services put on theirs.
        serviceMonitorSelectorNilUsesHelmValues: true,
        podMonitorSelectorNilUsesHelmValues: true,
        ruleSelectorNilUsesHelmValues: true,
        retention: `${monitoring?.retentionDays ?? 10}d`,
        ...(monitoring?.storageGiB === undefined ? {} : { storageSpec: claim(monitoring.storageGiB) }),
      },
    },
    'prometheus-node-exporter': { tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }] },
  }),

  gateway: ({ mirror }) => (mirror?.images === undefined ? {} : { global: { imageRegistry: mirror.images } }),

  karpenter: ({ karpenter, mirror, monitoring }) => ({
    settings: {
      clusterName: late(karpenter?.clusterName),
      ...(karpenter?.interruptionQueue === undefined ? {} : { interruptionQueue: late(karpenter.interruptionQueue) }),
    },
    ...(karpenter?.roleArn === undefined
      ? {}
      : { serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': late(karpenter.roleArn) } } }),
    ...(mirror?.images === undefined
      ? {}
      : { controller: { image: { repository: `${mirror.images}/karpenter/controller` } } }),
    serviceMonitor:
      monitoring === undefined ? { enabled: false } : { enabled: true, additionalLabels: { ...MONITOR_LABELS } },
  }),

  kueue: ({ mirror }) =>
    mirror?.images === undefined
      ? {}
      : { controllerManager: { manager: { image: { repository: `${mirror.images}/kueue/kueue` } } } },
};

/**
 * The configuration that NVIDIA's device plugin reads, https://github.com/NVIDIA/k8s-device-plugin#configuration-file-definition.
 * JSON is YAML. GPUs keep their name when they are shared: a placement says how many pods each has.
 * @throws SpecError NUMBER_INVALID, GPU_SHARING_INVALID
 */
export function devicePluginConfig(sharing: GpuSharingArgs | undefined): string {
  const replicas = podsPerGpu(sharing);
  const resources = [{ name: GPU_RESOURCE, replicas }];
  const isMig = sharing?.strategy === GpuSharingStrategy.Mig;
  const config = {
    version: 'v1',
    flags: { migStrategy: isMig ? 'mixed' : 'none' },
    ...(sharing?.strategy === GpuSharingStrategy.TimeSlicing
      ? // Two shares may be of one GPU: who asks for two would get no more than with one.
        { sharing: { timeSlicing: { renameByDefault: false, failRequestsGreaterThanOne: true, resources } } }
      : {}),
    ...(sharing?.strategy === GpuSharingStrategy.Mps
      ? { sharing: { mps: { renameByDefault: false, resources } } }
      : {}),
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** What a pod asks for on machines whose GPUs are shared so. */
export function gpuResourceName(sharing: GpuSharingArgs | undefined): string {
  return sharing?.migProfile === undefined ? GPU_RESOURCE : `nvidia.com/mig-${sharing.migProfile}`;
}

/** The operator's MIG manager cuts every GPU alike, unless the label `nvidia.com/mig.config` of a node says otherwise. */
function migOf(sharing: GpuSharingArgs | undefined): ChartValues {
  return sharing?.migProfile === undefined
    ? {}
    : { mig: { strategy: 'mixed' }, migManager: { config: { default: `all-${sharing.migProfile}` } } };
}

/** Machines of our pools say so by a label; others by what feature discovery, or somebody by hand, put on them. */
function gpuNodes(): readonly ChartValues[] {
  return [
    { key: LABELS.pool, operator: 'Exists' },
    { key: 'nvidia.com/gpu.present', operator: 'In', values: ['true'] },
    { key: 'feature.node.kubernetes.io/pci-10de.present', operator: 'In', values: ['true'] },
  ].map((expression) => ({ matchExpressions: [expression] }));
}

function claim(storageGiB: number): ChartValues {
  return {
    volumeClaimTemplate: {
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: `${storageGiB}Gi` } } },
    },
  };
}

function late(input: pulumi.Input<string> | undefined): ChartValue | undefined {
  return input as ChartValue | undefined;
}
