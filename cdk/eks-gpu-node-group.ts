import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { GPU_TAINT, planGpuPool, SpecError, type GpuPool, type Placement } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledge } from './acknowledge';
import type { Capacity, MachineCapacity } from './capacity';
import { kebabCase } from './kebab-case';

export interface EksGpuNodeGroupProps {
  /** Of `aws-cdk-lib/aws-eks-v2`. */
  readonly cluster: eks.ICluster;
  /**
   * Which machines, and how they are bought: on demand, all of them spot, or a capacity block. Types must be good for the
   * same pods: all with the same number of GPUs.
   */
  readonly capacity: Capacity;
  /** Fewest machines. @default 0 */
  readonly minSize?: number;
  /** Most machines. @default - minSize, and at least 4 */
  readonly maxSize?: number;
  /** Encrypted root volume, 30 to 16,384 GiB: images and the model cache. @default 200 */
  readonly diskSizeGiB?: number;
  /** GPU stock differs between zones, so more zones start sooner. @default - the private subnets */
  readonly subnets?: ec2.SubnetSelection;
  /** Role of the machines. @default - one of its own, with the three policies that EKS asks of every node */
  readonly nodeRole?: iam.IRole;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the construct's id in lower case, with dashes */
  readonly pool?: string;
}

/**
 * GPU machines of an EKS cluster behind one managed node group: scaled from zero by the cluster autoscaler, tainted so
 * that only GPU pods land on them, repaired when they fail, with encrypted disks and instance metadata closed to pods.
 *
 * The machines carry NVIDIA's driver. Add-ons of the cluster are the device plugin that offers `nvidia.com/gpu` to pods,
 * the cluster autoscaler, and `eks-node-monitoring-agent`, without which a failed GPU is not noticed.
 *
 * @example
 * const l4 = new EksGpuNodeGroup(this, 'L4', { cluster, capacity: Capacity.onDemand(['g6.xlarge']), maxSize: 8 });
 * new EksInferenceService(this, 'Digits', { placement: l4.placement, … });
 */
export class EksGpuNodeGroup extends Construct {
  /** For `placement` of a service. */
  readonly placement: Placement;
  readonly instanceTypes: readonly string[];
  /** The parts. Exposed so that nothing is out of reach. */
  readonly launchTemplate: ec2.LaunchTemplate;
  readonly nodegroup: eks.Nodegroup;

  constructor(scope: Construct, id: string, props: EksGpuNodeGroupProps) {
    super(scope, id);
    const capacity = props.capacity as MachineCapacity;
    assertCapacity(capacity);
    const diskSizeGiB = integer('diskSizeGiB', props.diskSizeGiB, 200, 30, 16_384);
    const pool = planGpuPool(capacity.instanceTypes, props.pool ?? kebabCase(id), diskSizeGiB, 'aws');
    const size = planSize(props);
    this.placement = { ...pool.placement, maxGpus: size.maxSize * pool.gpuCount };
    this.instanceTypes = capacity.instanceTypes;
    this.launchTemplate = this.createLaunchTemplate(capacity, diskSizeGiB);
    this.nodegroup = this.createNodegroup(props, capacity, pool, size);
  }

  private createLaunchTemplate(capacity: MachineCapacity, diskSizeGiB: number): ec2.LaunchTemplate {
    const launchTemplate = new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      requireImdsv2: true,
      // One hop ends at the machine: a pod that asks for the machine's credentials gets no answer.
      httpPutResponseHopLimit: 1,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: ec2.BlockDeviceVolume.ebs(diskSizeGiB, {
            encrypted: true,
            volumeType: ec2.EbsDeviceVolumeType.GP3,
            // Images and models are read whole at a start: the throughput is what the startup budget hangs on.
            throughput: 500,
            iops: 6_000,
          }),
        },
      ],
    });
    if (capacity.kind === 'capacityBlock') {
      const cfnTemplate = launchTemplate.node.defaultChild as ec2.CfnLaunchTemplate;
      // A block is a market of its own, beside on-demand and spot, and only a launch template can name it and its type.
      cfnTemplate.addPropertyOverride('LaunchTemplateData.InstanceType', capacity.instanceTypes[0]);
      cfnTemplate.addPropertyOverride('LaunchTemplateData.InstanceMarketOptions', { MarketType: 'capacity-block' });
      cfnTemplate.addPropertyOverride('LaunchTemplateData.CapacityReservationSpecification', {
        CapacityReservationTarget: { CapacityReservationId: capacity.reservationId },
      });
    }
    return launchTemplate;
  }

  private createNodegroup(
    props: EksGpuNodeGroupProps,
    capacity: MachineCapacity,
    pool: GpuPool,
    { minSize, maxSize }: GroupSize,
  ): eks.Nodegroup {
    const nodegroup = new eks.Nodegroup(this, 'NodeGroup', {
      cluster: props.cluster,
      // Always said: what the CDK chooses by the type is without a driver for new families, or an image that has ended.
      amiType: eks.NodegroupAmiType.AL2023_X86_64_NVIDIA,
      capacityType: CAPACITY_TYPES[capacity.kind as keyof typeof CAPACITY_TYPES],
      launchTemplateSpec: {
        id: this.launchTemplate.launchTemplateId!,
        version: this.launchTemplate.latestVersionNumber,
      },
      minSize,
      maxSize,
      subnets: props.subnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      ...(props.nodeRole === undefined ? {} : { nodeRole: props.nodeRole }),
      maxUnavailable: 1,
      enableNodeAutoRepair: true,
      // An update waits for pods that may not be evicted, and does not end them.
      forceUpdate: false,
      labels: { ...pool.labels },
      taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: eks.TaintEffect.NO_SCHEDULE }],
      tags: Object.fromEntries(Object.values(pool.autoscalerHints)),
    });
    const cfnNodegroup = nodegroup.node.defaultChild as eks.CfnNodegroup;
    // Given to the group itself: the CDK knows too few families to let them pass beside an image.
    if (capacity.kind !== 'capacityBlock') cfnNodegroup.instanceTypes = [...capacity.instanceTypes];
    // The autoscaler owns the number of machines; an update that states it would stop some under load.
    cfnNodegroup.addPropertyDeletionOverride('ScalingConfig.DesiredSize');
    if (props.nodeRole === undefined) {
      for (const policy of NODE_POLICIES) {
        acknowledge(
          nodegroup,
          `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`,
          'EKS asks it of the role of every node',
        );
      }
    }
    return nodegroup;
  }
}

const NODE_POLICIES = ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryReadOnly'];

const CAPACITY_TYPES = {
  onDemand: eks.CapacityType.ON_DEMAND,
  spot: eks.CapacityType.SPOT,
  capacityBlock: eks.CapacityType.CAPACITY_BLOCK,
} as const;

function assertCapacity(capacity: MachineCapacity): void {
  if (!(capacity.kind in CAPACITY_TYPES)) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'capacity',
      `a managed node group is on demand, spot or a capacity block, got '${capacity.kind}'`,
    );
  }
  if (capacity.kind === 'spot' && (capacity.onDemandBase > 0 || capacity.onDemandPercentage > 0)) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'capacity',
      `a managed node group is all spot or not at all, got onDemandBase ${capacity.onDemandBase} and onDemandPercentage ${capacity.onDemandPercentage}; put the base into a group of its own with the same pool`,
    );
  }
}

interface GroupSize {
  readonly minSize: number;
  readonly maxSize: number;
}

function planSize(props: EksGpuNodeGroupProps): GroupSize {
  const minSize = integer('minSize', props.minSize, 0, 0, 10_000);
  const maxSize = integer('maxSize', props.maxSize, Math.max(minSize, 4), 1, 10_000);
  if (maxSize < minSize) {
    throw new SpecError('REPLICA_RANGE', 'maxSize', `must be at least minSize (${minSize}), got ${maxSize}`);
  }
  return { minSize, maxSize };
}
