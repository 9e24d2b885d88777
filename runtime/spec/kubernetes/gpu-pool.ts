import type { Cloud } from '../clouds';
import { LABELS } from '../endpoints';
import { SpecError } from '../errors';
import { lookUpInstance, type InstanceFacts } from '../instance-catalog';
import { GPU_TAINT, type Placement } from './placement';

/** Machines with GPUs of a Kubernetes cluster, as pods and the cluster autoscaler find them. */
export interface GpuPool {
  readonly gpuCount: number;
  /** Of every node. */
  readonly labels: Readonly<Record<string, string>>;
  /** For `placement` of a service. */
  readonly placement: Placement;
  /**
   * On AWS, what the cluster autoscaler is told of an empty group, which shows it no machine to learn from: tag and value
   * by what it is about. Elsewhere the cloud's own autoscaler reads the node pool, so there is nothing to tell.
   */
  readonly autoscalerHints: Readonly<Record<string, readonly [string, string]>>;
}

const GPU_RESOURCE = 'nvidia.com/gpu';
// With it, the cluster autoscaler of AWS waits for the device plugin of a new machine instead of adding a second one.
const ACCELERATOR_LABEL = 'k8s.amazonaws.com/accelerator';
// What Kubernetes takes as the value of a label.
const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const HINT = 'k8s.io/cluster-autoscaler/node-template';

/**
 * @param instanceTypes All with the same number of GPUs; the first is tried first.
 * @param pool Value of the label `slipway.dev/pool` that places pods here.
 * @param diskSizeGiB What a node has for images and scratch space.
 * @param cloud Whose types they must be.
 * @throws SpecError NAME_INVALID for a pool that no label can say, NO_INSTANCE_FITS without a type,
 * UNKNOWN_INSTANCE_TYPE, GPU_COUNT when the types differ in GPUs.
 */
export function planGpuPool(
  instanceTypes: readonly string[],
  pool: string,
  diskSizeGiB: number,
  cloud: Cloud,
): GpuPool {
  if (!LABEL_VALUE.test(pool)) {
    throw new SpecError(
      'NAME_INVALID',
      'pool',
      `must be 1 to 63 letters, digits, '.', '_' or '-' and begin and end with a letter or digit, got '${pool}'`,
    );
  }
  const facts = instanceTypes.map((type, i): InstanceFacts => lookUpInstance(type, `instanceTypes[${i}]`, cloud));
  const [first] = facts;
  if (first === undefined) throw new SpecError('NO_INSTANCE_FITS', 'instanceTypes', 'must name at least one, got none');
  const other = facts.findIndex(({ gpuCount }) => gpuCount !== first.gpuCount);
  if (other >= 0) {
    throw new SpecError(
      'GPU_COUNT',
      `instanceTypes[${other}]`,
      `all must have the ${first.gpuCount} GPUs of ${instanceTypes[0]}, ${instanceTypes[other]} has ${facts[other]!.gpuCount}; the autoscaler takes every machine of a group for the same`,
    );
  }
  // A machine must not be labelled as another: of several GPU models the label says the maker alone.
  const accelerator = facts.every(({ gpu }) => gpu === first.gpu) ? `nvidia-${first.gpu.toLowerCase()}` : 'nvidia';
  const onAws = cloud === 'aws';
  return {
    gpuCount: first.gpuCount,
    labels: { [LABELS.pool]: pool, ...(onAws ? { [ACCELERATOR_LABEL]: accelerator } : {}) },
    placement: {
      nodeSelector: { [LABELS.pool]: pool },
      tolerations: [{ ...GPU_TAINT, operator: 'Equal' }],
      gpuResourceName: GPU_RESOURCE,
      instanceTypes: [...instanceTypes],
    },
    autoscalerHints: onAws ? hintsFor(pool, first.gpuCount, accelerator, diskSizeGiB) : {},
  };
}

function hintsFor(
  pool: string,
  gpuCount: number,
  accelerator: string,
  diskSizeGiB: number,
): Record<'gpu' | 'disk' | 'pool' | 'accelerator' | 'taint', readonly [string, string]> {
  return {
    gpu: [`${HINT}/resources/${GPU_RESOURCE}`, String(gpuCount)],
    // Every replica asks for scratch space; without this hint an empty group seems to have none.
    disk: [`${HINT}/resources/ephemeral-storage`, `${diskSizeGiB}Gi`],
    pool: [`${HINT}/label/${LABELS.pool}`, pool],
    accelerator: [`${HINT}/label/${ACCELERATOR_LABEL}`, accelerator],
    taint: [`${HINT}/taint/${GPU_TAINT.key}`, `${GPU_TAINT.value}:${GPU_TAINT.effect}`],
  };
}
