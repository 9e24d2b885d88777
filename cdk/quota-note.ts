import { Annotations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { lookUpInstance } from '../runtime/spec';
import type { MachineCapacity } from './capacity';

/**
 * Says which quota the machines count against and how much of it they may take: a new account has none, and a group that
 * may start no machine reports nothing but replicas that wait.
 */
export function noteQuota(scope: Construct, capacity: MachineCapacity, maxSize: number): void {
  // A block was bought with its quota; what ECS starts by itself has no most machines to multiply.
  if (capacity.kind === 'capacityBlock' || capacity.kind === 'managedInstances') return;
  const quotas = new Map<string, number>();
  for (const type of capacity.instanceTypes) {
    for (const quota of quotasOf(type, capacity)) {
      quotas.set(quota, Math.max(quotas.get(quota) ?? 0, maxSize * lookUpInstance(type, 'instanceTypes').vcpu));
    }
  }
  const needed = [...quotas].map(([quota, vcpus]) => `${vcpus} vCPUs of '${quota}'`);
  Annotations.of(scope).addInfoV2(
    'slipway:quota',
    `${maxSize} machines take up to ${needed.join(' and ')}; ask for them in Service Quotas if the account has less`,
  );
}

// Names as Service Quotas shows them (service ec2).
function quotasOf(instanceType: string, capacity: MachineCapacity): readonly string[] {
  const family = instanceType.split('.')[0]!;
  const isP = family.startsWith('p');
  const onDemand = isP ? 'Running On-Demand P instances' : 'Running On-Demand G and VT instances';
  if (capacity.kind !== 'spot') return [onDemand];
  const spot = isP
    ? family.startsWith('p5')
      ? 'All P5 Spot Instance Requests'
      : 'All P4, P3 and P2 Spot Instance Requests'
    : 'All G and VT Spot Instance Requests';
  return capacity.onDemandBase > 0 || capacity.onDemandPercentage > 0 ? [spot, onDemand] : [spot];
}
