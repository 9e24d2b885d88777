import { Duration } from 'aws-cdk-lib';
import * as batch from 'aws-cdk-lib/aws-batch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { lookUpInstance, SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledge } from './acknowledge';
import type { Capacity, MachineCapacity } from './capacity';
import { wayOutOf } from './way-out';

export interface GpuJobQueueProps {
  readonly vpc: ec2.IVpc;
  /** Which machines, and how they are bought. A job starts on any of the types that has room for it. */
  readonly capacity: Capacity;
  /** Most machines of the first type, of each way they are bought. @default 4 */
  readonly maxMachines?: number;
  /** Encrypted root volume, 30 to 16,384 GiB: images, models and scratch space of all jobs on a machine. @default 100 */
  readonly rootVolumeGiB?: number;
  /** Where machines start. @default - the private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** A job that waits this long at the head of the queue because no machine can run it is cancelled. @default - 12 hours */
  readonly stuckAfter?: Duration;
}

/**
 * GPU machines that AWS Batch starts for jobs that wait and stops when none is left, and the queue that jobs wait in.
 * Spot first means: spot machines, and on-demand ones where the capacity keeps a base.
 *
 * @example
 * const queue = new GpuJobQueue(this, 'Queue', { vpc, capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge']) });
 */
export class GpuJobQueue extends Construct implements ec2.IConnectable {
  readonly connections: ec2.Connections;
  readonly instanceTypes: readonly string[];
  /** Whether AWS may take machines back with two minutes' notice. */
  readonly spot: boolean;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly queue: batch.JobQueue;
  readonly computeEnvironments: readonly batch.ManagedEc2EcsComputeEnvironment[];
  readonly securityGroup: ec2.SecurityGroup;
  readonly launchTemplate: ec2.LaunchTemplate;
  readonly instanceRole: iam.Role;

  constructor(scope: Construct, id: string, props: GpuJobQueueProps) {
    super(scope, id);
    const capacity = props.capacity as MachineCapacity;
    assertCapacity(capacity);
    this.instanceTypes = capacity.instanceTypes;
    this.spot = capacity.kind === 'spot';
    this.securityGroup = this.createSecurityGroup(props.vpc);
    this.connections = new ec2.Connections({ securityGroups: [this.securityGroup] });
    this.instanceRole = this.createInstanceRole();
    this.launchTemplate = this.createLaunchTemplate(capacity, props);
    const { vcpu } = lookUpInstance(capacity.instanceTypes[0]!, 'instanceTypes[0]');
    const maxMachines = integer('maxMachines', props.maxMachines, 4, 1, 10_000);
    const machines = (environmentId: string, spot: boolean, count: number) =>
      this.createEnvironment(environmentId, props, spot, count * vcpu);
    // Batch goes on to the next environment when the one before it is full, and not when spot machines are scarce.
    this.computeEnvironments =
      capacity.kind !== 'spot'
        ? [machines('OnDemand', false, maxMachines)]
        : capacity.onDemandBase === 0
          ? [machines('Spot', true, maxMachines)]
          : [machines('Spot', true, maxMachines), machines('OnDemand', false, capacity.onDemandBase)];
    this.queue = new batch.JobQueue(this, 'Queue', {
      priority: 1,
      computeEnvironments: this.computeEnvironments.map((computeEnvironment, i) => ({
        computeEnvironment,
        order: i + 1,
      })),
      // Such a job would hold up all that wait behind it, for ever.
      jobStateTimeLimitActions: STUCK.map((reason) => ({
        reason,
        action: batch.JobStateTimeLimitActionsAction.CANCEL,
        state: batch.JobStateTimeLimitActionsState.RUNNABLE,
        maxTime: props.stuckAfter ?? Duration.hours(12),
      })),
    });
  }

  /** Lets somebody send these jobs, and no others, to the queue. */
  grantSubmit(
    grantee: iam.IGrantable,
    ...jobs: readonly { readonly jobDefinition: batch.IJobDefinition }[]
  ): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['batch:SubmitJob'],
      resourceArns: [this.queue.jobQueueArn, ...jobs.map(({ jobDefinition }) => jobDefinition.jobDefinitionArn)],
    });
  }

  private createSecurityGroup(vpc: ec2.IVpc): ec2.SecurityGroup {
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'GPU machines of AWS Batch: nothing comes in, HTTPS goes out',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'ECS, ECR, S3 and CloudWatch');
    return securityGroup;
  }

  private createInstanceRole(): iam.Role {
    const policy = 'service-role/AmazonEC2ContainerServiceforEC2Role';
    const role = new iam.Role(this, 'InstanceRole', {
      assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
      managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName(policy)],
    });
    acknowledge(
      role,
      `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`,
      'AWS Batch asks it of the role of its machines; the cluster it names is of its own making',
    );
    return role;
  }

  private createLaunchTemplate(capacity: MachineCapacity, props: GpuJobQueueProps): ec2.LaunchTemplate {
    const userData = new ec2.MultipartUserData();
    const commands = ec2.UserData.forLinux();
    // A job has its own role: it must not be able to take the machine's. Jobs of one node share the machine's network, where
    // only their own care keeps them from it; nodes of a larger job have a network of their own, and this holds for them.
    commands.addCommands(
      'echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config',
      'echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config',
    );
    userData.addUserDataPart(commands, ec2.MultipartBody.SHELL_SCRIPT, true);
    const launchTemplate = new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      userData,
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
    if (capacity.kind === 'reservation' && 'id' in capacity.reservation) {
      const cfnTemplate = launchTemplate.node.defaultChild as ec2.CfnLaunchTemplate;
      cfnTemplate.addPropertyOverride('LaunchTemplateData.CapacityReservationSpecification', {
        CapacityReservationTarget: { CapacityReservationId: capacity.reservation.id },
      });
    } else if (capacity.kind === 'reservation' && 'groupArn' in capacity.reservation) {
      const cfnTemplate = launchTemplate.node.defaultChild as ec2.CfnLaunchTemplate;
      cfnTemplate.addPropertyOverride('LaunchTemplateData.CapacityReservationSpecification', {
        CapacityReservationTarget: { CapacityReservationResourceGroupArn: capacity.reservation.groupArn },
      });
    }
    return launchTemplate;
  }

  private createEnvironment(
    id: string,
    props: GpuJobQueueProps,
    spot: boolean,
    maxvCpus: number,
  ): batch.ManagedEc2EcsComputeEnvironment {
    const vpcSubnets = props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };
    const environment = new batch.ManagedEc2EcsComputeEnvironment(this, id, {
      vpc: props.vpc,
      vpcSubnets,
      securityGroups: [this.securityGroup],
      instanceRole: this.instanceRole,
      launchTemplate: this.launchTemplate,
      instanceTypes: this.instanceTypes.map((type) => new ec2.InstanceType(type)),
      useOptimalInstanceClasses: false,
      // Always said: left to the CDK or to Batch it may be one without a driver, or Amazon Linux 2, which has ended.
      images: [{ imageType: batch.EcsMachineImageType.ECS_AL2023_NVIDIA }],
      spot,
      allocationStrategy: spot
        ? batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED
        : batch.AllocationStrategy.BEST_FIT_PROGRESSIVE,
      minvCpus: 0,
      maxvCpus,
      updateToLatestImageVersion: true,
      // Machines are replaced as their jobs end; one that runs for longer than this is left to run out.
      terminateOnUpdate: false,
      updateTimeout: Duration.minutes(30),
    });
    const cfnEnvironment = environment.node.defaultChild as batch.CfnComputeEnvironment;
    cfnEnvironment.node.addDependency(wayOutOf(this, props.vpc, vpcSubnets));
    // Another launch template version is an update in place, by Batch's own role for it.
    cfnEnvironment.addPropertyOverride('ComputeResources.LaunchTemplate.Version', '$Latest');
    return environment;
  }
}

/** https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html */
const STUCK = [
  batch.JobStateTimeLimitActionsReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
  batch.JobStateTimeLimitActionsReason.JOB_RESOURCE_REQUIREMENT,
];

function assertCapacity(capacity: MachineCapacity): void {
  if (capacity.kind === 'managedInstances' || capacity.kind === 'capacityBlock') {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'capacity',
      `machines of AWS Batch are on demand, spot or reserved, got '${capacity.kind}'`,
    );
  }
  if (capacity.kind === 'spot' && capacity.onDemandPercentage > 0) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'capacity',
      `AWS Batch mixes by number and not by percent, got onDemandPercentage ${capacity.onDemandPercentage}; give onDemandBase`,
    );
  }
}
