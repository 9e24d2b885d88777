import type * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { Capacity } from './capacity';
import type { GpuInstanceGroupAttributes, IGpuInstanceGroup } from './gpu-instance-group';

/** A group of another app: a name, and what replicas must fit. */
export class ImportedGroup extends Construct implements IGpuInstanceGroup {
  readonly kind: 'instances' | 'managedInstances';
  readonly instanceTypes: readonly string[];
  readonly maxMachines?: number;
  readonly spot: boolean;
  readonly modelCache: boolean;
  readonly strategy: readonly ecs.CapacityProviderStrategy[];

  constructor(scope: Construct, id: string, attributes: GpuInstanceGroupAttributes) {
    super(scope, id);
    this.kind = attributes.managedInstances === true ? 'managedInstances' : 'instances';
    this.instanceTypes = Capacity.onDemand(attributes.instanceTypes).instanceTypes;
    this.spot = attributes.spot ?? false;
    this.modelCache = attributes.modelCache ?? false;
    if (this.modelCache && this.kind === 'managedInstances') {
      throw new SpecError(
        'MODEL_CACHE_UNSUPPORTED',
        'modelCache',
        'managed instances take no volumes of Docker; leave it out',
      );
    }
    if (attributes.maxSize !== undefined) this.maxMachines = attributes.maxSize;
    this.strategy = [{ capacityProvider: attributes.capacityProviderName, weight: 1 }];
  }
}
