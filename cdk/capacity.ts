import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type { IDependable } from 'constructs';
import { lookUpInstance, SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { FargateCapacity } from './fargate-capacity';

/** What a service needs to know about the machines it lands on. Late-bound are only the names in `strategy`. */
export interface ICapacity {
  /**
   * `instances`: machines of an Auto Scaling group. `managedInstances`: machines of the given types that ECS keeps by
   * itself. `fargate`: no machines to be seen.
   */
  readonly kind: 'instances' | 'managedInstances' | 'fargate';
  /** Types of the catalogue that a replica must fit; empty on Fargate. */
  readonly instanceTypes: readonly string[];
  /** Most machines. @default - no such limit, or nobody knows it */
  readonly maxMachines?: number;
  /** Whether AWS may take machines back with two minutes' notice. */
  readonly spot: boolean;
  /** Cluster that the machines joined. @default - any will do: Fargate, or machines of another app */
  readonly cluster?: ecs.ICluster;
  /** Where ECS places replicas; empty for the launch type Fargate. */
  readonly strategy: readonly ecs.CapacityProviderStrategy[];
  /**
   * Whether machines keep downloaded models for the next replica: in a volume of Docker for each service, which no other
   * service sees. Machines with Docker alone can.
   * @default false: models lie in a replica's own scratch space
   */
  readonly modelCache?: boolean;
  /**
   * What a service must be created after and deleted before: the association with the cluster.
   * @default - nothing
   */
  readonly mustOutlive?: IDependable;
  /**
   * Has the cluster take what `strategy` names, where no machines did so by joining it. Whoever places replicas calls it
   * once, and what comes back must outlive them.
   * @default - nothing is to be done: `mustOutlive` is all
   */
  joinCluster?(cluster: ecs.ICluster): IDependable | undefined;
}

/** Fargate on demand: what a service runs on when nobody says otherwise. */
export const FARGATE_CAPACITY: ICapacity = { kind: 'fargate', instanceTypes: [], spot: false, strategy: [] };

export interface SpotFirstOptions {
  /** Machines that are never spot: they are there before the first spot one. @default 0 */
  readonly onDemandBase?: number;
  /** Percent of the machines above the base that are not spot either, 0 to 99. @default 0 */
  readonly onDemandPercentage?: number;
}

export interface ReservationOptions {
  /**
   * Whether machines may run in the reservation alone: when it is full, nothing starts.
   * @default false: others are taken, on demand, when it is full
   */
  readonly only?: boolean;
}

export interface CapacityBlockOptions {
  /** Id of the block's reservation, `cr-…`. */
  readonly reservationId: string;
}

export interface ManagedInstancesOptions {
  /** Whether machines may be spot ones. ECS has no base on demand: it is all or none. @default false */
  readonly spot?: boolean;
  /**
   * Whether images and scratch space of replicas lie on the machine's own NVMe, which encrypts by itself. Else they lie on
   * a volume that ECS encrypts only where the account does so by default.
   * @default - true where every type has NVMe
   */
  readonly useLocalStorage?: boolean;
  /** Role by which ECS starts and stops machines. @default - one of the group's own */
  readonly infrastructureRole?: iam.IRole;
  /**
   * What machines may do. AWS's own policy for the infrastructure role passes roles whose name begins with
   * `ecsInstanceRole` alone.
   * @default - a profile of the group's own, with what the ECS agent needs
   */
  readonly instanceProfile?: iam.IInstanceProfile;
  /**
   * ARN of a resource group of On-Demand Capacity Reservations: machines run in them alone, and none starts when they are
   * full. Not with `spot`.
   * @default - machines are bought as `spot` says
   */
  readonly reservationGroupArn?: string;
}

export interface FargateOptions {
  /** Percent of the replicas above the base that run on Fargate Spot, 0 to 100. @default 0 */
  readonly spotPercentage?: number;
  /** Replicas that are never on Fargate Spot. @default 0 */
  readonly base?: number;
}

/**
 * Which machines a GpuInstanceGroup shall have, and how they are bought. A plain description: it makes nothing.
 *
 * @example
 * new GpuInstanceGroup(this, 'L4', { cluster, capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge'], { onDemandBase: 1 }) });
 */
export abstract class Capacity {
  /** Machines at the full price, the first type as long as there is one. Several types give more chances to find one. */
  static onDemand(instanceTypes: readonly string[]): Capacity {
    return new OnDemandCapacity(instanceTypes);
  }

  /**
   * Spot machines of whichever type is cheapest and least likely to be taken back, above a base that is not.
   * AWS takes a spot machine back with two minutes' notice; replicas are drained in that time.
   */
  static spotFirst(instanceTypes: readonly string[], options: SpotFirstOptions = {}): Capacity {
    return new SpotCapacity(instanceTypes, options);
  }

  /**
   * Machines of an On-Demand Capacity Reservation that was bought before.
   * @param reservation `cr-…`, or the ARN of a resource group of reservations
   */
  static reservation(
    instanceTypes: readonly string[],
    reservation: string,
    options: ReservationOptions = {},
  ): Capacity {
    return new ReservedCapacity(instanceTypes, reservation, options);
  }

  /** Machines of a Capacity Block for ML: of one type, in one zone, for the days it was bought for. */
  static capacityBlock(instanceType: string, options: CapacityBlockOptions): Capacity {
    return new CapacityBlock(instanceType, options);
  }

  /**
   * Machines that ECS starts, patches and removes by itself: no Auto Scaling group, no choice of the image or its
   * driver, no most machines, and a fee for each.
   */
  static managedInstances(instanceTypes: readonly string[], options: ManagedInstancesOptions = {}): Capacity {
    return new ManagedInstances(instanceTypes, options);
  }

  /** No machines at all: it goes straight into a service, without a group. There are no GPUs on Fargate. */
  static fargate(options: FargateOptions = {}): ICapacity {
    const { spotPercentage, base } = options;
    return spotPercentage === undefined && base === undefined
      ? FARGATE_CAPACITY
      : new FargateCapacity(integer('spotPercentage', spotPercentage, 0, 0, 100), integer('base', base, 0, 0, 100_000));
  }

  abstract readonly kind: 'onDemand' | 'spot' | 'reservation' | 'capacityBlock' | 'managedInstances';
  /** Types of the catalogue, in order of preference. */
  readonly instanceTypes: readonly string[];

  protected constructor(instanceTypes: readonly string[]) {
    if (instanceTypes.length === 0) {
      throw new SpecError('NO_INSTANCE_FITS', 'instanceTypes', 'must name at least one type, got none');
    }
    instanceTypes.forEach((type, i) => lookUpInstance(type, `instanceTypes[${i}]`, 'aws'));
    this.instanceTypes = [...new Set(instanceTypes)];
  }
}

export class OnDemandCapacity extends Capacity {
  readonly kind = 'onDemand';

  constructor(instanceTypes: readonly string[]) {
    super(instanceTypes);
  }
}

export class SpotCapacity extends Capacity {
  readonly kind = 'spot';
  readonly onDemandBase: number;
  readonly onDemandPercentage: number;

  constructor(instanceTypes: readonly string[], options: SpotFirstOptions) {
    super(instanceTypes);
    this.onDemandBase = integer('onDemandBase', options.onDemandBase, 0, 0, 10_000);
    // A hundred would be no spot machine at all, drained as if there were some.
    this.onDemandPercentage = integer('onDemandPercentage', options.onDemandPercentage, 0, 0, 99);
  }
}

export class ReservedCapacity extends Capacity {
  readonly kind = 'reservation';
  readonly reservation: ReservationTarget;
  readonly only: boolean;

  constructor(instanceTypes: readonly string[], reservation: string, options: ReservationOptions) {
    super(instanceTypes);
    this.only = options.only ?? false;
    this.reservation = reservationTarget('reservation', reservation);
    if (this.only && 'id' in this.reservation && this.instanceTypes.length > 1) {
      throw new SpecError(
        'CAPACITY_CHOICE',
        'instanceTypes',
        `a reservation is of one type, got ${this.instanceTypes.join(', ')}; name that one, the ARN of a resource group of reservations, or leave only: true out`,
      );
    }
  }
}

export class CapacityBlock extends Capacity {
  readonly kind = 'capacityBlock';
  readonly reservationId: string;

  constructor(instanceType: string, options: CapacityBlockOptions) {
    super([instanceType]);
    const target = reservationTarget('reservationId', options.reservationId);
    if (!('id' in target)) {
      throw new SpecError(
        'CAPACITY_BLOCK_TYPE',
        'reservationId',
        `a capacity block is one reservation, cr-…, got the ARN '${target.groupArn}'`,
      );
    }
    this.reservationId = target.id;
  }
}

export class ManagedInstances extends Capacity {
  readonly kind = 'managedInstances';
  readonly spot: boolean;
  readonly useLocalStorage: boolean;
  readonly infrastructureRole: iam.IRole | undefined;
  readonly instanceProfile: iam.IInstanceProfile | undefined;
  readonly reservationGroupArn: string | undefined;

  constructor(instanceTypes: readonly string[], options: ManagedInstancesOptions) {
    super(instanceTypes);
    this.spot = options.spot ?? false;
    this.infrastructureRole = options.infrastructureRole;
    this.instanceProfile = options.instanceProfile;
    this.reservationGroupArn = options.reservationGroupArn;
    if (this.spot && this.reservationGroupArn !== undefined) {
      throw new SpecError(
        'CAPACITY_CHOICE',
        'reservationGroupArn',
        'reserved machines are no spot ones; leave spot out',
      );
    }
    const without = this.instanceTypes.filter((type) => !hasLocalDisks(type));
    this.useLocalStorage = options.useLocalStorage ?? without.length === 0;
    if (this.useLocalStorage && without.length > 0) {
      throw new SpecError('CAPACITY_CHOICE', 'useLocalStorage', `${without.join(', ')} has no NVMe of its own`);
    }
  }
}

/** Every capacity there is, to be told apart by `kind`: `instanceof` fails across two installed copies of this package. */
export type MachineCapacity = OnDemandCapacity | SpotCapacity | ReservedCapacity | CapacityBlock | ManagedInstances;

/** Whether a machine of the type has NVMe disks of its own. */
export function hasLocalDisks(instanceType: string): boolean {
  return lookUpInstance(instanceType, 'instanceTypes').localNvmeGB > 0;
}

/** One reservation, or a resource group of several. */
export type ReservationTarget = { readonly id: string } | { readonly groupArn: string };

function reservationTarget(path: string, reservation: string): ReservationTarget {
  if (reservation.startsWith('arn:')) return { groupArn: reservation };
  // A reservation of the same app is known at deployment; it prints as a token.
  if (/^cr-[0-9a-z]+$/.test(reservation) || reservation.includes('${Token[')) return { id: reservation };
  throw new SpecError(
    'CAPACITY_CHOICE',
    path,
    `must be the id of a reservation, cr-…, or the ARN of a resource group of them, got '${reservation}'`,
  );
}
