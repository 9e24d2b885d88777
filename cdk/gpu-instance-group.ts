import { Annotations, Duration } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct, Dependable, type IConstruct, type IDependable } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { createAutoScaledMachines } from './auto-scaled-machines';
import type { Capacity, ICapacity } from './capacity';
import { associationOf } from './fargate-capacity';
import { ImportedGroup } from './imported-group';
import type { GpuMachineImage } from './machine-image';
import { planMachines, type Machines, type MachinesPlan } from './machines-plan';
import { createManagedInstances } from './managed-instances-group';
import type { IInferencePlatform } from './platform';
import { noteQuota } from './quota-note';
import type { WarmPoolProps } from './warm-pool';

export interface GpuInstanceGroupProps {
  /** Cluster that the machines join, in the same stack, and not an imported one, which takes no machines. It is this or `platform`. */
  readonly cluster?: ecs.Cluster;
  /** Platform whose cluster the machines join; it is in the same stack. It is this or `cluster`. */
  readonly platform?: IInferencePlatform;
  /** Which machines, and how they are bought. It is this or `instanceTypes`. */
  readonly capacity?: Capacity;
  /** Short for `Capacity.onDemand`: types in order of preference; a replica is sized to fit each of them. */
  readonly instanceTypes?: readonly string[];
  /** Machines kept when nothing runs. @default 0 */
  readonly minSize?: number;
  /** Most machines. @default 4 */
  readonly maxSize?: number;
  /**
   * `production`: a machine that runs a replica is never scaled in. `development`: it may be, so that a delete does not
   * wait for it.
   * @default - the platform's, or 'production'
   */
  readonly preset?: Preset;
  /** @default - the recommended AL2023 GPU image of the day of each deployment; its driver may change */
  readonly machineImage?: GpuMachineImage;
  /** Encrypted volume, GiB: images, models and temporary files of all replicas on a machine. @default 100 */
  readonly rootVolumeGiB?: number;
  /** Key of the machines' volumes. @default - the account's key for EBS */
  readonly volumeKey?: kms.IKey;
  /**
   * Whether downloaded models are kept on the machine's own NVMe, for the next replica of their service that lands
   * there. Each service has a volume of its own; all other volumes of Docker lie on the disks, too.
   * @default - true where every type has NVMe and the image has a shell
   */
  readonly modelCache?: boolean;
  /** Machines that booted already and wait, stopped. @default - none */
  readonly warmPool?: WarmPoolProps;
  /** @default - the platform's subnets, or the private ones */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** @default - one of its own that lets nothing in and HTTPS out */
  readonly securityGroup?: ec2.ISecurityGroup;
  /** What machines may do. @default - a role of its own, with what the ECS agent needs */
  readonly role?: iam.IRole;
  /** Run at the first boot before the machine joins the cluster: lines of shell, or of TOML on Bottlerocket. @default - nothing */
  readonly userData?: readonly string[];
  /** How much of the machines' room replicas should take, 1 to 100: below 100 machines are kept in reserve. @default 100 */
  readonly targetCapacityPercent?: number;
  /** Age at which a machine is replaced, 1 to 365 days. @default - any */
  readonly maxInstanceLifetime?: Duration;
}

/** Machines that services can be placed on. */
export interface IGpuInstanceGroup extends IConstruct, ICapacity {}

/** Machines of somebody else's app, as far as a service must know them. */
export interface GpuInstanceGroupAttributes {
  readonly capacityProviderName: string;
  /** Types that a replica must fit. */
  readonly instanceTypes: readonly string[];
  /** @default - nobody knows */
  readonly maxSize?: number;
  /** Whether the machines are ECS Managed Instances. @default false */
  readonly managedInstances?: boolean;
  /** Whether AWS may take the machines back. @default false */
  readonly spot?: boolean;
  /** `modelCache` of the group. Not with `managedInstances`. @default false */
  readonly modelCache?: boolean;
}

const BRAND = Symbol.for('slipway.cdk.GpuInstanceGroup');

/**
 * Machines of given GPU types behind one ECS capacity provider: none while nothing runs, one more whenever a replica
 * finds no place. Depending on the group means depending on its association with the cluster too.
 *
 * @example
 * const l4 = new GpuInstanceGroup(this, 'L4', { cluster, instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxSize: 8 });
 */
export class GpuInstanceGroup extends Construct implements IGpuInstanceGroup, ec2.IConnectable {
  /** Works across two installed copies of this package, where `instanceof` does not. */
  static isGpuInstanceGroup(x: unknown): x is GpuInstanceGroup {
    return typeof x === 'object' && x !== null && BRAND in x;
  }

  /** Machines that another app made and whose provider the service's cluster knows. */
  static fromCapacityProvider(scope: Construct, id: string, attributes: GpuInstanceGroupAttributes): IGpuInstanceGroup {
    return new ImportedGroup(scope, id, attributes);
  }

  readonly kind: 'instances' | 'managedInstances';
  readonly cluster: ecs.Cluster;
  readonly instanceTypes: readonly string[];
  /** undefined where ECS decides: managed instances. */
  readonly maxSize: number | undefined;
  readonly spot: boolean;
  readonly modelCache: boolean;
  readonly connections: ec2.Connections;
  readonly capacityProviderName: string;
  /** The parts. Exposed so that nothing is out of reach; those that may be undefined are ECS's own in managed instances. */
  readonly role: iam.IRole | undefined;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly launchTemplate: ec2.LaunchTemplate | undefined;
  readonly autoScalingGroup: autoscaling.AutoScalingGroup | undefined;
  readonly capacityProvider: ecs.AsgCapacityProvider | ecs.ManagedInstancesCapacityProvider;

  constructor(scope: Construct, id: string, props: GpuInstanceGroupProps) {
    super(scope, id);
    Object.defineProperty(this, BRAND, { value: true });
    const plan = planMachines(this, props);
    const { capacity, cluster, settings } = plan;
    this.cluster = cluster;
    this.instanceTypes = capacity.instanceTypes;
    this.spot = capacity.kind === 'spot' || (capacity.kind === 'managedInstances' && capacity.spot);
    this.modelCache = settings.modelCache;
    const machines: Machines =
      capacity.kind === 'managedInstances'
        ? createManagedInstances(this, { ...plan, capacity })
        : createAutoScaledMachines(this, { ...plan, capacity });
    this.role = machines.role;
    this.securityGroup = machines.securityGroup;
    this.launchTemplate = machines.launchTemplate;
    this.autoScalingGroup = machines.autoScalingGroup;
    this.capacityProvider = machines.capacityProvider;
    this.capacityProviderName = machines.capacityProvider.capacityProviderName;
    this.connections = new ec2.Connections({ securityGroups: [this.securityGroup] });
    if (this.autoScalingGroup === undefined) {
      this.kind = 'managedInstances';
    } else {
      this.kind = 'instances';
      this.maxSize = plan.maxSize;
      this.dependOnAssociation();
      this.annotate(plan);
    }
  }

  get maxMachines(): number | undefined {
    return this.maxSize;
  }

  get strategy(): readonly ecs.CapacityProviderStrategy[] {
    return [{ capacityProvider: this.capacityProviderName, weight: 1 }];
  }

  /**
   * The group itself, which stands for its association with the cluster. Managed instances need no other word than their
   * provider's name: the provider names its cluster by itself.
   */
  get mustOutlive(): IDependable | undefined {
    return this.kind === 'instances' ? this : undefined;
  }

  /**
   * Machines that are in service. Asking for it switches the group's metrics on, which cost nothing.
   * @default - average over a minute
   * @throws SpecError CAPACITY_CHOICE for managed instances, which have no such metric.
   */
  metricMachines(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    const group = this.groupOfMetric('metricMachines');
    (group.node.defaultChild as autoscaling.CfnAutoScalingGroup).metricsCollection = [
      { granularity: '1Minute', metrics: ['GroupInServiceInstances'] },
    ];
    return new cloudwatch.Metric({
      namespace: 'AWS/AutoScaling',
      metricName: 'GroupInServiceInstances',
      dimensionsMap: { AutoScalingGroupName: group.autoScalingGroupName },
      period: Duration.minutes(1),
      ...options,
    });
  }

  /**
   * How many machines there should be, in percent of those there are: over 100 while replicas wait for one.
   * @default - average over a minute
   * @throws SpecError CAPACITY_CHOICE for managed instances, which have no such metric.
   */
  metricCapacityProviderReservation(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    this.groupOfMetric('metricCapacityProviderReservation');
    return new cloudwatch.Metric({
      namespace: 'AWS/ECS/ManagedScaling',
      metricName: 'CapacityProviderReservation',
      dimensionsMap: { ClusterName: this.cluster.clusterName, CapacityProviderName: this.capacityProviderName },
      period: Duration.minutes(1),
      ...options,
    });
  }

  private groupOfMetric(name: string): autoscaling.AutoScalingGroup {
    if (this.autoScalingGroup !== undefined) return this.autoScalingGroup;
    throw new SpecError(
      'CAPACITY_CHOICE',
      name,
      'managed instances have no such metric; count the replicas of services',
    );
  }

  // A service must be created after the association of the capacity provider with the cluster and deleted before it, or
  // the delete fails with "the capacity provider is in use": so whoever depends on this group depends on the association,
  // and through it on the provider and the machines.
  private dependOnAssociation(): void {
    const association = Dependable.of(associationOf(this.cluster));
    Dependable.implement(this, {
      get dependencyRoots() {
        return association.dependencyRoots;
      },
    });
  }

  private annotate({ capacity, machineImage, maxSize, preset }: MachinesPlan): void {
    noteQuota(this, capacity, maxSize);
    if (preset !== 'production' || !machineImage.changesByItself) return;
    Annotations.of(this).addWarningV2(
      'slipway:unpinned-machine-image',
      'each deployment takes the ECS GPU image recommended that day, and with it another NVIDIA driver: name a dated one in machineImage',
    );
  }
}
