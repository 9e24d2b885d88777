import { GPU_TAINT, LABELS } from '../../../runtime/spec';
import { nodePoolOf } from '../node-pools';
import { containersOf, gpuResources, podOf, usesGpu } from '../pods';
import type { Rule } from '../rule';

/** Seconds that the provider waits for a Deployment unless it is told otherwise. */
const PROVIDER_WAIT_SECONDS = 600;

/** The seam between GPU machines and the pods that use them. */
export const GPU_RULES: readonly Rule[] = [
  {
    id: 'gpu-pool-tainted',
    group: 'gpu',
    level: 'mandatory',
    severity: 'high',
    description: 'GPU machines are tainted, so that nothing else lands on them and keeps them from scaling in.',
    *check(resource) {
      const pool = nodePoolOf(resource);
      if (pool?.hasGpu === true && !pool.taints.includes(GPU_TAINT.key)) {
        yield `machines ${pool.machineTypes.join(', ')} have no taint ${GPU_TAINT.key}; add ${GPU_TAINT.key}=${GPU_TAINT.value}:${GPU_TAINT.effect}`;
      }
    },
  },
  {
    id: 'gpu-pod-tolerates',
    group: 'gpu',
    level: 'mandatory',
    severity: 'high',
    description: 'Pods that ask for a GPU tolerate a taint of GPU machines.',
    *check(resource) {
      if (!usesGpu(resource)) return;
      // Machines of others may have a taint of their own: what tolerates any was meant for some.
      if ((podOf(resource)?.tolerations ?? []).length === 0) {
        yield `asks for a GPU and tolerates no taint; on machines tainted ${GPU_TAINT.key} it would stay pending for ever`;
      }
    },
  },
  {
    id: 'gpu-request-is-limit',
    group: 'gpu',
    level: 'mandatory',
    severity: 'high',
    description: 'GPUs are asked for in whole numbers, and the request is the limit.',
    *check(resource) {
      for (const container of containersOf(resource)) {
        for (const gpu of gpuResources(container)) {
          const request = container.resources?.requests?.[gpu];
          const limit = container.resources?.limits?.[gpu];
          if (limit === undefined) yield `container '${container.name}' requests ${gpu} without a limit; say the limit`;
          else if (!/^[1-9]\d*$/.test(String(limit))) {
            yield `container '${container.name}' limits ${gpu} to ${limit}; GPUs come in whole numbers, shares by another resource name`;
          } else if (request !== undefined && String(request) !== String(limit)) {
            yield `container '${container.name}' requests ${request} and limits ${limit} ${gpu}; they must be equal`;
          }
        }
      }
    },
  },
  {
    id: 'gpu-startup-awaited',
    group: 'gpu',
    level: 'mandatory',
    severity: 'medium',
    description: 'A rollout of GPU pods waits for a machine, a driver, an image and a model.',
    *check(resource) {
      if (resource.type !== 'kubernetes:apps/v1:Deployment' || !usesGpu(resource)) return;
      const deadline = (resource.props['spec'] as { progressDeadlineSeconds?: number }).progressDeadlineSeconds;
      if ((deadline ?? PROVIDER_WAIT_SECONDS) <= PROVIDER_WAIT_SECONDS) {
        yield `progressDeadlineSeconds is ${deadline ?? `${PROVIDER_WAIT_SECONDS} by default`}; a GPU machine alone takes minutes: startup budget + 900 s`;
      }
      for (const { name, startupProbe, livenessProbe } of podOf(resource)?.containers ?? []) {
        if (livenessProbe !== undefined && startupProbe === undefined) {
          yield `container '${name}' has a livenessProbe and no startupProbe; a long model load would be killed`;
        }
      }
    },
  },
  {
    id: 'gpu-pool-exists',
    group: 'gpu',
    level: 'mandatory',
    severity: 'high',
    description: 'Where the stack makes GPU machines, a service placed on a pool names one of them.',
    *checkStack(resources) {
      const pools = resources.flatMap((resource) => nodePoolOf(resource) ?? []);
      const names = new Set(pools.flatMap(({ labels }) => labels[LABELS.pool] ?? []));
      if (names.size === 0) return;
      for (const resource of resources) {
        const wanted = podOf(resource)?.nodeSelector?.[LABELS.pool];
        if (wanted !== undefined && !names.has(wanted)) {
          yield {
            urn: resource.urn,
            message: `is placed on pool '${wanted}', the stack has ${[...names].map((name) => `'${name}'`).join(', ')}`,
          };
        }
      }
    },
  },
  {
    id: 'autoscaler-owns-replicas',
    group: 'gpu',
    level: 'mandatory',
    severity: 'medium',
    description: 'A Deployment that an autoscaler owns says no number of replicas: every update would set it back.',
    *checkStack(resources) {
      const owned = new Set(resources.flatMap(scaleTarget));
      for (const resource of resources.filter(({ type }) => type === 'kubernetes:apps/v1:Deployment')) {
        const { metadata, spec } = resource.props as { metadata?: ObjectName; spec?: { replicas?: number } };
        if (spec?.replicas !== undefined && owned.has(keyOf(metadata?.namespace, metadata?.name))) {
          yield { urn: resource.urn, message: `says replicas: ${spec.replicas} beside an autoscaler; leave it out` };
        }
      }
    },
  },
];

interface ObjectName {
  readonly name?: string;
  readonly namespace?: string;
}

const AUTOSCALERS = ['kubernetes:autoscaling/v2:HorizontalPodAutoscaler', 'kubernetes:keda.sh/v1alpha1:ScaledObject'];

function scaleTarget({ type, props }: { type: string; props: Readonly<Record<string, unknown>> }): string[] {
  if (!AUTOSCALERS.includes(type)) return [];
  const { metadata, spec } = props as { metadata?: ObjectName; spec?: { scaleTargetRef?: ObjectName } };
  return [keyOf(metadata?.namespace, spec?.scaleTargetRef?.name)];
}

function keyOf(namespace: string | undefined, name: string | undefined): string {
  return `${namespace ?? 'default'}/${name ?? ''}`;
}
