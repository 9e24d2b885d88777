import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import { SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import type { MachineCapacity } from './capacity';
import type { MachineOs } from './machine-image';

/** Machines that booted once and were stopped: starting one takes less than booting another. Their volumes are paid for. */
export interface WarmPoolProps {
  /** Machines kept stopped, however few are asked for. @default 0 */
  readonly minSize?: number;
  /** Most machines, running and stopped together. @default - maxSize of the group */
  readonly maxPrepared?: number;
}

export function addWarmPool(group: autoscaling.AutoScalingGroup, props: WarmPoolProps, maxSize: number): void {
  const minSize = integer('warmPool.minSize', props.minSize, 0, 0, maxSize);
  group.addWarmPool({
    minSize,
    ...(props.maxPrepared === undefined
      ? {}
      : {
          maxGroupPreparedCapacity: integer(
            'warmPool.maxPrepared',
            props.maxPrepared,
            maxSize,
            Math.max(1, minSize),
            maxSize,
          ),
        }),
    poolState: autoscaling.PoolState.STOPPED,
    // ECS refuses machines that were in service before.
    reuseOnScaleIn: false,
  });
}

/**
 * @throws SpecError WARM_POOL_WITH_SPOT, and CAPACITY_CHOICE for Bottlerocket.
 */
export function assertWarmPool(capacity: MachineCapacity, os: MachineOs): void {
  if (capacity.kind === 'spot' || capacity.kind === 'capacityBlock') {
    throw new SpecError(
      'WARM_POOL_WITH_SPOT',
      'warmPool',
      `${capacity.kind === 'spot' ? 'spot machines' : 'machines of a capacity block'} cannot be stopped and kept; use Capacity.onDemand or Capacity.reservation, or leave warmPool out`,
    );
  }
  if (os === 'bottlerocket') {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'warmPool',
      'a Bottlerocket machine would join the cluster before it is stopped; use GpuMachineImage.amazonLinux2023, or leave warmPool out',
    );
  }
}
