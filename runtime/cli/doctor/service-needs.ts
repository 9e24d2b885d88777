import { lookUpInstance } from '../../spec/instance-catalog';
import { ANYWHERE } from '../../spec/kubernetes/placement';
import type { KubernetesObject, RenderedService } from '../service-objects';
import type { KubernetesSection } from '../spec-file';
import type { GpuNeeds, ServiceNeeds } from './facts';

type Labels = Readonly<Record<string, string>>;

/** What the rendered objects of a service ask of the cluster that they are for. */
export function needsOf({ plan, inOrder }: RenderedService, section: KubernetesSection): ServiceNeeds {
  const { placement, namespace = 'default', createNamespace = false, identity } = section;
  const isGpu = plan.resources.gpuCount > 0;
  const place = placement ?? (isGpu ? ANYWHERE : undefined);
  const first = new Map<string, ServiceNeeds['kinds'][number]>();
  for (const { apiVersion, kind, metadata } of inOrder) {
    const key = `${apiVersion} ${kind}`;
    if (!first.has(key)) first.set(key, { apiVersion, kind, object: metadata.name });
  }
  const metrics = metricsOf(inOrder);
  const monitorLabels = labelsOf(inOrder, 'ServiceMonitor');
  const ruleLabels = labelsOf(inOrder, 'PrometheusRule');
  const gpu: GpuNeeds | undefined =
    isGpu && place !== undefined
      ? {
          resourceName: place.gpuResourceName,
          perReplica: plan.resources.gpuCount,
          usesDra: place.gpuAllocation === 'dra',
          deviceClass: place.deviceClassName ?? 'gpu.nvidia.com',
        }
      : undefined;
  return {
    name: plan.name,
    namespace,
    createsNamespace: createNamespace,
    namespaceLabels: identity?.namespaceLabels ?? {},
    kinds: [...first.values()],
    imageVolumes: plan.models.filter(({ delivery }) => delivery === 'image').map(({ name }) => name),
    ...(gpu === undefined ? {} : { gpu }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(monitorLabels === undefined ? {} : { monitorLabels }),
    ...(ruleLabels === undefined ? {} : { ruleLabels }),
    nodeSelector: place?.nodeSelector ?? {},
    tolerations: place?.tolerations ?? [],
    awsVcpus: awsVcpusOf(
      placement?.instanceTypes ?? [],
      plan.scaling.maxReplicas,
      plan.resources.gpuCount,
      placement?.sharesPerGpu ?? 1,
    ),
  };
}

function metricsOf(objects: readonly KubernetesObject[]): ServiceNeeds['metrics'] {
  if (objects.some(({ kind }) => kind === 'ScaledObject')) return 'external';
  const autoscaler = objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler');
  const { metrics = [] } = (autoscaler as { spec?: { metrics?: { type: string }[] } } | undefined)?.spec ?? {};
  const types = metrics.map(({ type }) => type);
  if (types.some((type) => type === 'Pods' || type === 'Object')) return 'custom';
  return types.some((type) => type === 'Resource' || type === 'ContainerResource') ? 'cpu' : undefined;
}

function labelsOf(objects: readonly KubernetesObject[], kind: string): Labels | undefined {
  const object = objects.find((one) => one.kind === kind);
  return (object?.metadata as { labels?: Labels } | undefined)?.labels;
}

/** Of the largest machine that may come, at the most replicas; types of other clouds count nothing. */
function awsVcpusOf(
  instanceTypes: readonly string[],
  maxReplicas: number,
  gpusPerReplica: number,
  sharesPerGpu: number,
): Record<string, number> {
  const vcpus: Record<string, number> = {};
  for (const type of instanceTypes) {
    const family = type[0]!;
    try {
      const { vcpu, gpuCount } = lookUpInstance(type, 'instanceTypes', 'aws');
      const machines = Math.ceil((maxReplicas * gpusPerReplica) / (gpuCount * sharesPerGpu));
      vcpus[family] = Math.max(vcpus[family] ?? 0, machines * vcpu);
    } catch {
      // Another cloud's: its quotas are not asked for.
    }
  }
  return vcpus;
}
