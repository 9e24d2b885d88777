import type * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { Capacity } from './capacity';
import type { GpuInstanceGroupAttributes, IGpuInstanceGroup } from './gpu-instance-group';

/** A group of another app: a name, and what replicas must fit. */
export class ImportedGroup extends Construct implements IGpuInstanceGroup {
  readonly kind: 'instances' | 'managedInstances';
  readonly instanceTypes: readonly string[];
  readonly maxMachines?: number;
  readonly spot: boolean;
  readonly modelCachePath?: string;
  readonly strategy: readonly ecs.CapacityProviderStrategy[];

  constructor(scope: Construct, id: string, attributes: GpuInstanceGroupAttributes) {
    super(scope, id);
    this.kind = attributes.managedInstances === true ? 'managedInstances' : 'instances';
    this.instanceTypes = Capacity.onDemand(attributes.instanceTypes).instanceTypes;
    this.spot = attributes.spot ?? false;
    if (attributes.maxSize !== undefined) this.maxMachines = attributes.maxSize;
    if (attributes.modelCachePath !== undefined) this.modelCachePath = attributes.modelCachePath;
    this.strategy = [{ capacityProvider: attributes.capacityProviderName, weight: 1 }];
  }
}
