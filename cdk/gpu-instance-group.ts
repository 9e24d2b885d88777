import { Annotations, Stack, type CfnResource } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct, Dependable, type IDependable } from 'constructs';
import { lookUpInstance, SpecError, type Preset } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledge } from './acknowledge';
import type { ICapacity } from './capacity';

export interface GpuInstanceGroupProps {
  /** Cluster that the machines join. It must be in the same stack, and not an imported one, which takes no machines. */
  readonly cluster: ecs.Cluster;
  /**
   * EC2 types of the catalogue, in order of preference. Several give the group more chances to find a machine; a
   * replica is sized to fit each of them.
   */
  readonly instanceTypes: readonly string[];
  /** Machines kept when nothing runs. @default 0 */
  readonly minSize?: number;
  /** Most machines. @default 4 */
  readonly maxSize?: number;
  /** Whether machines may be spot ones, which AWS takes back with two minutes' notice. @default false */
  readonly spot?: boolean;
  /** Machines that are never spot. @default 0 */
  readonly onDemandBase?: number;
  /**
   * `production`: a machine that runs a replica is never scaled in. `development`: it may be, so that a delete does not
   * wait for it.
   * @default 'production'
   */
  readonly preset?: Preset;
  /**
   * The image machines boot from, for instance `ec2.MachineImage.fromSsmParameter` with a dated parameter. It must be
   * an ECS one with the NVIDIA driver.
   * @default - the recommended AL2023 GPU image of the day of each deployment; its driver may change
   */
  readonly machineImage?: ec2.IMachineImage;
  /** Encrypted root volume, GiB: images, models and temporary files of all replicas on a machine. @default 100 */
  readonly rootVolumeGiB?: number;
  /** @default - the private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
}

/**
 * Machines of given GPU types behind one ECS capacity provider: none while nothing runs, one more whenever a replica
 * finds no place. Depending on the group means depending on its association with the cluster too.
 *
 * @example
 * const l4 = new GpuInstanceGroup(this, 'L4', { cluster, instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxSize: 8 });
 */
export class GpuInstanceGroup extends Construct implements ICapacity, ec2.IConnectable {
  readonly kind = 'instances';
  readonly cluster: ecs.Cluster;
  readonly instanceTypes: readonly string[];
  readonly maxSize: number;
  readonly spot: boolean;
  readonly connections: ec2.Connections;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly role: iam.Role;
  readonly securityGroup: ec2.SecurityGroup;
  readonly launchTemplate: ec2.LaunchTemplate;
  readonly autoScalingGroup: autoscaling.AutoScalingGroup;
  readonly capacityProvider: ecs.AsgCapacityProvider;

  constructor(scope: Construct, id: string, props: GpuInstanceGroupProps) {
    super(scope, id);
    assertStack(this, props.cluster);
    assertInstanceTypes(props.instanceTypes);
    const { minSize, maxSize } = planSize(props);
    this.spot = props.spot ?? false;
    const preset = props.preset ?? 'production';
    this.cluster = props.cluster;
    this.instanceTypes = [...props.instanceTypes];
    this.maxSize = maxSize;

    this.role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
    this.securityGroup = this.createSecurityGroup();
    this.connections = new ec2.Connections({ securityGroups: [this.securityGroup] });
    this.launchTemplate = this.createLaunchTemplate(props);
    this.autoScalingGroup = this.createAutoScalingGroup(props, { minSize, maxSize });
    this.capacityProvider = new ecs.AsgCapacityProvider(this, 'CapacityProvider', {
      autoScalingGroup: this.autoScalingGroup,
      // Replicas of a machine that goes away are drained first; without this CDK adds a Lambda function to do it.
      enableManagedDraining: true,
      enableManagedTerminationProtection: preset === 'production',
      // A GPU machine takes minutes to boot; before that its absence of load says nothing.
      instanceWarmupPeriod: 300,
    });
    this.cluster.addAsgCapacityProvider(this.capacityProvider);
    this.dependOnAssociation();

    if (preset === 'production' && props.machineImage === undefined) {
      Annotations.of(this).addWarningV2(
        'slipway:unpinned-machine-image',
        'each deployment takes the ECS GPU image recommended that day, and with it another NVIDIA driver: name a dated one in machineImage',
      );
    }
    this.acknowledgeFindings();
  }

  get maxMachines(): number {
    return this.maxSize;
  }

  get strategy(): readonly ecs.CapacityProviderStrategy[] {
    return [{ capacityProvider: this.capacityProvider.capacityProviderName, weight: 1 }];
  }

  /** The group itself, which stands for its association with the cluster. */
  get mustOutlive(): IDependable {
    return this;
  }

  private createSecurityGroup(): ec2.SecurityGroup {
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: this.cluster.vpc,
      description: 'GPU machines: nothing comes in, HTTPS goes out',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'ECS, ECR and CloudWatch');
    return securityGroup;
  }

  private createLaunchTemplate(props: GpuInstanceGroupProps): ec2.LaunchTemplate {
    const userData = ec2.UserData.forLinux();
    // CDK appends ECS_CLUSTER. It writes none of these, and its own spot draining does nothing with a launch template.
    userData.addCommands(
      ...[
        'ECS_ENABLE_GPU_SUPPORT=true',
        // A replica has its own role: it must not be able to take the machine's.
        'ECS_AWSVPC_BLOCK_IMDS=true',
        ...(this.spot ? ['ECS_ENABLE_SPOT_INSTANCE_DRAINING=true'] : []),
      ].map((line) => `echo ${line} >> /etc/ecs/ecs.config`),
    );
    return new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      instanceType: new ec2.InstanceType(this.instanceTypes[0]!),
      machineImage: props.machineImage ?? ecs.EcsOptimizedImage.amazonLinux2023(ecs.AmiHardwareType.GPU),
      userData,
      role: this.role,
      securityGroup: this.securityGroup,
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: ec2.BlockDeviceVolume.ebs(integer('rootVolumeGiB', props.rootVolumeGiB, 100, 30, 16_384), {
            encrypted: true,
            volumeType: ec2.EbsDeviceVolumeType.GP3,
          }),
        },
      ],
    });
  }

  private createAutoScalingGroup(
    props: GpuInstanceGroupProps,
    size: { minSize: number; maxSize: number },
  ): autoscaling.AutoScalingGroup {
    const mixed = this.spot || this.instanceTypes.length > 1;
    const group = new autoscaling.AutoScalingGroup(this, 'AutoScalingGroup', {
      vpc: this.cluster.vpc,
      vpcSubnets: props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      // No desired capacity: the capacity provider owns it, and a template that states it would reset it.
      minCapacity: size.minSize,
      maxCapacity: size.maxSize,
      ...(this.spot ? { capacityRebalance: true } : {}),
      ...(mixed
        ? { mixedInstancesPolicy: this.mixInstances(props.onDemandBase) }
        : { launchTemplate: this.launchTemplate }),
      updatePolicy: autoscaling.UpdatePolicy.instanceRefresh({
        strategy: autoscaling.InstanceRefreshStrategy.ROLLING,
        minHealthyPercentage: 100,
        maxHealthyPercentage: 200,
        skipMatching: true,
        // Machines are protected while a replica runs on them; managed draining moves the replicas, so a new image may
        // still replace them. Waiting instead would let an update hang for as long as there is load.
        scaleInProtectedInstances: autoscaling.ScaleInProtectedInstances.REFRESH,
      }),
    });
    // cfn-lint up to 1.51 does not know UpdatePolicy.AutoScalingInstanceRefresh yet.
    (group.node.defaultChild as CfnResource).addMetadata('cfn-lint', { config: { ignore_checks: ['E3016'] } });
    return group;
  }

  private mixInstances(onDemandBase: number | undefined): autoscaling.MixedInstancesPolicy {
    return {
      launchTemplate: this.launchTemplate,
      launchTemplateOverrides: this.instanceTypes.map((type) => ({ instanceType: new ec2.InstanceType(type) })),
      instancesDistribution: {
        onDemandAllocationStrategy: autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
        onDemandBaseCapacity: integer('onDemandBase', onDemandBase, 0, 0, 10_000),
        onDemandPercentageAboveBaseCapacity: this.spot ? 0 : 100,
        ...(this.spot ? { spotAllocationStrategy: autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED } : {}),
      },
    };
  }

  // A service must be created after the association of the capacity provider with the cluster and deleted before it, or
  // the delete fails with "the capacity provider is in use". CDK creates the association late, under the cluster, and
  // orders nothing after it: so whoever depends on this group depends on the association, looked up when dependencies are
  // resolved, and through it on the provider and the machines.
  private dependOnAssociation(): void {
    const { cluster } = this;
    Dependable.implement(this, {
      get dependencyRoots() {
        return cluster.node.findAll().filter((child) => child instanceof ecs.CfnClusterCapacityProviderAssociations);
      },
    });
  }

  private acknowledgeFindings(): void {
    acknowledge(
      this.role,
      'IAM5[Resource::*]',
      'what the ECS agent needs to register a machine takes no narrower resource; CDK writes it',
    );
    acknowledge(this.role, 'IAM5[Action::ecs:Submit*]', 'the two calls by which the ECS agent reports task states');
    acknowledge(
      this.autoScalingGroup,
      'AS3',
      'the capacity provider scales the group; notifications would tell nobody anything',
    );
    acknowledge(this.autoScalingGroup, 'EC26', 'the root volume is encrypted, in the launch template');
  }
}

// The cluster names its capacity providers and the machines name the cluster: two stacks would each wait for the other.
function assertStack(group: GpuInstanceGroup, cluster: ecs.Cluster): void {
  const [own, others] = [Stack.of(group), Stack.of(cluster)];
  if (own !== others) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      'cluster',
      `must be in the stack of its machines, '${own.node.path}', got '${cluster.node.path}'; put the group beside the cluster`,
    );
  }
}

function assertInstanceTypes(instanceTypes: readonly string[]): void {
  if (instanceTypes.length === 0) {
    throw new SpecError('NO_INSTANCE_FITS', 'instanceTypes', 'must name at least one type, got none');
  }
  instanceTypes.forEach((type, i) => lookUpInstance(type, `instanceTypes[${i}]`));
}

function planSize(props: GpuInstanceGroupProps): { minSize: number; maxSize: number } {
  const minSize = integer('minSize', props.minSize, 0, 0, 10_000);
  const maxSize = integer('maxSize', props.maxSize, Math.max(minSize, 4), 1, 10_000);
  if (maxSize < minSize) {
    throw new SpecError('REPLICA_RANGE', 'maxSize', `must be at least minSize (${minSize}), got ${maxSize}`);
  }
  return { minSize, maxSize };
}
