import { Annotations } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { lookUpInstance, SpecError, type InferenceServicePlan } from '../runtime/spec';
import type { ICapacity } from './capacity';

/** @throws SpecError CLUSTER_MISMATCH when the machines join another cluster than the service's. */
export function assertCapacity(cluster: ecs.ICluster, capacity: ICapacity): void {
  if (capacity.cluster === undefined || capacity.cluster === cluster) return;
  const machines = Construct.isConstruct(capacity) ? `the machines of '${capacity.node.path}'` : 'the machines';
  throw new SpecError(
    'CLUSTER_MISMATCH',
    'cluster',
    `got '${cluster.node.path}', but ${machines} join '${capacity.cluster.node.path}'`,
  );
}

/** Not an error: replicas rarely all run, other machines may join, and another rollout may be meant. */
export function warnWhenRolloutHasNoRoom(scope: Construct, plan: InferenceServicePlan, capacity: ICapacity): void {
  if (capacity.maxMachines === undefined) return;
  const perMachine = capacity.instanceTypes.map((type) =>
    plan.resources.gpuCount === 0
      ? 1
      : Math.floor(lookUpInstance(type, 'instanceTypes').gpuCount / plan.resources.gpuCount),
  );
  const places = capacity.maxMachines * Math.min(...perMachine);
  const { maxReplicas } = plan.scaling;
  if (places >= maxReplicas + plan.rollout.maxSurge) return;
  Annotations.of(scope).addWarningV2(
    'slipway:no-room-for-rollout',
    `the group of at most ${capacity.maxMachines} machines has ${places} places, ${maxReplicas} replicas need ${maxReplicas + plan.rollout.maxSurge} during a rollout: raise maxSize, lower maxReplicas, or set spareReplica: false`,
  );
}
