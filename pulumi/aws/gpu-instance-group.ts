import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, planGpuPool, SpecError, type GpuPool, type Placement } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { decideFor } from '../refusal';

export interface GpuInstanceGroupArgs {
  readonly clusterName: pulumi.Input<string>;
  /** Private subnets; GPU stock differs between zones, so more zones start sooner. */
  readonly subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** GPU types that are good for the same pods: all with the same number of GPUs. The first is tried first. */
  readonly instanceTypes: readonly string[];
  /**
   * Fewest machines. EKS refuses to raise it above the number at hand, which the autoscaler owns: start that many first,
   * by `aws eks update-nodegroup-config`, then run `pulumi up --refresh`. @default 0
   */
  readonly minSize?: number;
  /** Most machines. */
  readonly maxSize: number;
  /** Whether machines are spot: cheaper, and taken away with two minutes' notice. @default false */
  readonly spot?: boolean;
  /** Root volume, 30 to 16,384: images and the model cache. @default 200 */
  readonly diskSizeGiB?: number;
  /** Role of the machines. @default - a role of its own with the three policies that EKS asks of every node */
  readonly nodeRoleArn?: pulumi.Input<string>;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
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
 * const l4 = new GpuInstanceGroup('l4', { clusterName, subnetIds, instanceTypes: ['g6.xlarge'], maxSize: 8 });
 * new InferenceService('resnet', { placement: l4.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly launchTemplate: aws.ec2.LaunchTemplate;
  readonly nodeGroup: aws.eks.NodeGroup;
  /** Undefined where `nodeRoleArn` was given. */
  readonly nodeRole?: aws.iam.Role;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:GpuInstanceGroup', name, args, opts);
    const machine = decideFor(this, () => planMachines(args, args.pool ?? name));
    const child = { parent: this };

    let attachments: readonly pulumi.Resource[] = [];
    if (args.nodeRoleArn === undefined) {
      this.nodeRole = createNodeRole(name, this);
      attachments = attachNodePolicies(name, this.nodeRole, this);
    }
    this.launchTemplate = createLaunchTemplate(name, machine.diskSizeGiB, this);
    this.nodeGroup = new aws.eks.NodeGroup(
      name,
      {
        clusterName: args.clusterName,
        nodeRoleArn: args.nodeRoleArn ?? this.nodeRole!.arn,
        subnetIds: args.subnetIds,
        amiType: 'AL2023_x86_64_NVIDIA',
        capacityType: args.spot === true ? 'SPOT' : 'ON_DEMAND',
        instanceTypes: [...args.instanceTypes],
        launchTemplate: {
          id: this.launchTemplate.id,
          version: pulumi.interpolate`${this.launchTemplate.latestVersion}`,
        },
        scalingConfig: { minSize: machine.minSize, maxSize: args.maxSize, desiredSize: machine.minSize },
        updateConfig: { maxUnavailable: 1 },
        nodeRepairConfig: { enabled: true },
        labels: machine.labels,
        taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: 'NO_SCHEDULE' }],
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load.
      { ...child, ignoreChanges: ['scalingConfig.desiredSize'], dependsOn: [...attachments] },
    );
    tagAutoScalingGroup(name, this.nodeGroup, machine, this);

    this.placement = machine.placement;
    this.registerOutputs({ nodeGroupName: this.nodeGroup.nodeGroupName });
  }
}

const NODE_POLICIES = ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryPullOnly'];

interface MachinePlan extends GpuPool {
  readonly minSize: number;
  readonly diskSizeGiB: number;
}

function planMachines(args: GpuInstanceGroupArgs, pool: string): MachinePlan {
  const { instanceTypes, minSize = 0, maxSize } = args;
  const diskSizeGiB = integer('diskSizeGiB', args.diskSizeGiB, 200, 30, 16_384);
  const planned = planGpuPool(instanceTypes, pool, diskSizeGiB, 'aws');
  if (!(Number.isSafeInteger(minSize) && Number.isSafeInteger(maxSize) && minSize >= 0 && maxSize >= 1)) {
    throw new SpecError(
      'NUMBER_INVALID',
      'maxSize',
      `minSize must be a whole number from 0 up and maxSize from 1 up, got ${minSize} and ${maxSize}`,
    );
  }
  if (maxSize < minSize) {
    throw new SpecError('REPLICA_RANGE', 'maxSize', `must be at least minSize (${minSize}), got ${maxSize}`);
  }
  return { ...planned, minSize, diskSizeGiB };
}

function createNodeRole(name: string, parent: pulumi.ComponentResource): aws.iam.Role {
  const assumeRolePolicy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }],
  });
  return new aws.iam.Role(name, { assumeRolePolicy }, { parent });
}

function attachNodePolicies(
  name: string,
  role: aws.iam.Role,
  parent: pulumi.ComponentResource,
): readonly aws.iam.RolePolicyAttachment[] {
  const { partition } = aws.getPartitionOutput({}, { parent });
  return NODE_POLICIES.map(
    (policy) =>
      new aws.iam.RolePolicyAttachment(
        `${name}-${policy}`,
        { role: role.name, policyArn: pulumi.interpolate`arn:${partition}:iam::aws:policy/${policy}` },
        { parent },
      ),
  );
}

function createLaunchTemplate(
  name: string,
  diskSizeGiB: number,
  parent: pulumi.ComponentResource,
): aws.ec2.LaunchTemplate {
  return new aws.ec2.LaunchTemplate(
    name,
    {
      updateDefaultVersion: true,
      // One hop ends at the machine: a pod that asks for the machine's credentials gets no answer.
      metadataOptions: { httpEndpoint: 'enabled', httpTokens: 'required', httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [
        {
          deviceName: '/dev/xvda',
          ebs: {
            volumeSize: diskSizeGiB,
            volumeType: 'gp3',
            // Images and models are read whole at a start: the throughput is what the startup budget hangs on.
            throughput: 500,
            iops: 6000,
            encrypted: 'true',
            deleteOnTermination: 'true',
          },
        },
      ],
    },
    { parent },
  );
}

/** The tags by which the cluster autoscaler knows what a machine of an empty group would look like. */
function tagAutoScalingGroup(
  name: string,
  nodeGroup: aws.eks.NodeGroup,
  { autoscalerHints }: MachinePlan,
  parent: pulumi.ComponentResource,
): void {
  const autoscalingGroupName = nodeGroup.resources.apply((resources) => resources[0]!.autoscalingGroups[0]!.name);
  for (const [hint, [key, value]] of Object.entries(autoscalerHints)) {
    new aws.autoscaling.Tag(
      `${name}-${hint}`,
      { autoscalingGroupName, tag: { key, value, propagateAtLaunch: false } },
      { parent },
    );
  }
}
