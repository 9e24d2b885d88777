import { Annotations } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { lookUpInstance, SpecError, type InferenceServicePlan } from '../runtime/spec';
import type { ICapacity } from './capacity';
import type { Rollout } from './rollout';

/**
 * @throws SpecError CLUSTER_MISMATCH when the machines join another cluster than the service's, or are another app's and
 * the cluster, made here, has none.
 */
export function assertCapacity(cluster: ecs.ICluster, capacity: ICapacity): void {
  assertMachinesJoined(cluster, capacity);
  if (capacity.cluster === undefined || capacity.cluster === cluster) return;
  throw new SpecError(
    'CLUSTER_MISMATCH',
    'cluster',
    `got '${cluster.node.path}', but ${describeMachines(capacity)} join '${capacity.cluster.node.path}'`,
  );
}

// A cluster takes providers by a list of its own, which no other app can add to.
function assertMachinesJoined(cluster: ecs.ICluster, capacity: ICapacity): void {
  if (capacity.kind !== 'instances' || capacity.cluster !== undefined || cluster.hasEc2Capacity) return;
  throw new SpecError(
    'CLUSTER_MISMATCH',
    'capacity',
    `${describeMachines(capacity)} are another app's, and '${cluster.node.path}' has no machines; name the cluster that they joined with ecs.Cluster.fromClusterAttributes, or make a GpuInstanceGroup for this one`,
  );
}

function describeMachines(capacity: ICapacity): string {
  return Construct.isConstruct(capacity) ? `the machines of '${capacity.node.path}'` : 'the machines';
}

/**
 * Not an error: replicas rarely all run, other machines may join, and another rollout may be meant. Where traffic is
 * shifted, all replicas of both revisions run side by side.
 */
export function warnWhenRolloutHasNoRoom(
  scope: Construct,
  plan: InferenceServicePlan,
  capacity: ICapacity,
  rollout: Rollout,
): void {
  if (capacity.maxMachines === undefined) return;
  const perMachine = capacity.instanceTypes.map((type) =>
    plan.resources.gpuCount === 0
      ? 1
      : Math.floor(lookUpInstance(type, 'instanceTypes').gpuCount / plan.resources.gpuCount),
  );
  const places = capacity.maxMachines * Math.min(...perMachine);
  const { maxReplicas } = plan.scaling;
  const needed = rollout.shifts ? 2 * maxReplicas : maxReplicas + plan.rollout.maxSurge;
  if (places >= needed) return;
  const wayOut = rollout.shifts ? 'use Rollout.rolling()' : 'set spareReplica: false';
  Annotations.of(scope).addWarningV2(
    'slipway:no-room-for-rollout',
    `the group of at most ${capacity.maxMachines} machines has ${places} places, ${maxReplicas} replicas need ${needed} during a rollout: raise maxSize, lower maxReplicas, or ${wayOut}`,
  );
}
