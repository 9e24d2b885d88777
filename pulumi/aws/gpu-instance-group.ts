import * as autoscaling from '@pulumi/aws/autoscaling';
import type * as ec2 from '@pulumi/aws/ec2';
import * as eks from '@pulumi/aws/eks';
import type * as iam from '@pulumi/aws/iam';
import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, planGpuPool, type GpuPool, type Placement } from '../../runtime/spec';
import { logCost } from '../cost-line';
import { fitName } from '../fit-name';
import { placementOf, planGroupSize, type GroupSize } from '../gpu-group';
import type { GpuSharingArgs } from '../gpu-sharing';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import { createNodeRole } from './iam-role';
import { createNodeTemplate } from './node-template';
import { tagged } from '../tags';

export interface GpuInstanceGroupArgs {
  readonly cluster: ClusterFacts;
  /** GPU types that are good for the same pods: all with the same number of GPUs. The first is tried first. */
  readonly instanceTypes: string[];
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
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
  readonly pool?: string;
  /** Pods share GPUs; the device plugin of the cluster must be told the same. @default - a GPU has one pod */
  readonly sharing?: GpuSharingArgs;
  /** Role of the machines. @default - a role of its own with the three policies that EKS asks of every node */
  readonly nodeRoleArn?: pulumi.Input<string>;
  /** Permissions boundary of the role. @default - none */
  readonly permissionsBoundaryArn?: pulumi.Input<string>;
  /** Of everything made here, the machines and their disks included. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * GPU machines of an EKS cluster behind one managed node group: scaled from zero by the cluster autoscaler, tainted so
 * that only GPU pods land on them, repaired when they fail, with encrypted disks and instance metadata closed to pods.
 *
 * The machines carry NVIDIA's driver. Add-ons of the cluster are the device plugin that offers `nvidia.com/gpu` to pods,
 * the cluster autoscaler, and `eks-node-monitoring-agent`, without which a failed GPU is not noticed.
 *
 * @example
 * const l4 = new GpuInstanceGroup('l4', { cluster: { name, subnetIds }, instanceTypes: ['g6.xlarge'], maxSize: 8 });
 * new InferenceService('resnet', { placement: l4.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly launchTemplate: ec2.LaunchTemplate;
  readonly nodeGroup: eks.NodeGroup;
  /** Undefined where `nodeRoleArn` was given. */
  readonly nodeRole?: iam.Role;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:GpuInstanceGroup', name, args, opts);
    const machines = decideFor(this, () => planMachines(args, args.pool ?? name), args);
    logCost(this, args);
    const child = { parent: this };

    let attachments: iam.RolePolicyAttachment[] = [];
    if (args.nodeRoleArn === undefined) {
      ({ role: this.nodeRole, attachments } = createNodeRole(name, args, this));
    }
    this.launchTemplate = createNodeTemplate(name, machines.diskSizeGiB, args.tags, this);
    const { named, once } = fitName('nodeGroupName', 63, name, this);
    this.nodeGroup = new eks.NodeGroup(
      name,
      {
        ...named,
        clusterName: args.cluster.name,
        nodeRoleArn: args.nodeRoleArn ?? this.nodeRole!.arn,
        subnetIds: args.cluster.subnetIds,
        amiType: 'AL2023_x86_64_NVIDIA',
        capacityType: args.spot === true ? 'SPOT' : 'ON_DEMAND',
        instanceTypes: [...args.instanceTypes],
        launchTemplate: {
          id: this.launchTemplate.id,
          version: pulumi.interpolate`${this.launchTemplate.latestVersion}`,
        },
        scalingConfig: { minSize: machines.minSize, maxSize: args.maxSize, desiredSize: machines.minSize },
        updateConfig: { maxUnavailable: 1 },
        nodeRepairConfig: { enabled: true },
        labels: machines.labels,
        taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: 'NO_SCHEDULE' }],
        ...tagged(args.tags),
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load.
      { ...child, ...once, ignoreChanges: ['scalingConfig.desiredSize'], dependsOn: attachments },
    );
    tagAutoScalingGroup(name, this.nodeGroup, machines, this);

    this.placement = machines.placement;
    this.registerOutputs({ nodeGroupName: this.nodeGroup.nodeGroupName });
  }
}

type MachinePlan = GpuPool & GroupSize;

function planMachines(args: GpuInstanceGroupArgs, pool: string): MachinePlan {
  const size = planGroupSize(args);
  const planned = planGpuPool(args.instanceTypes, pool, size.diskSizeGiB, 'aws');
  const placement = placementOf(planned, args, size.maxSize);
  const { gpuResourceName, sharesPerGpu = 1 } = placement;
  // An empty group seems to have what its hints say: the GPUs as the device plugin offers them.
  const gpu = [`${RESOURCE_HINT}/${gpuResourceName}`, String(planned.gpuCount * sharesPerGpu)] as const;
  return { ...planned, ...size, placement, autoscalerHints: { ...planned.autoscalerHints, gpu } };
}

const RESOURCE_HINT = 'k8s.io/cluster-autoscaler/node-template/resources';

/** The tags by which the cluster autoscaler knows what a machine of an empty group would look like. */
function tagAutoScalingGroup(
  name: string,
  nodeGroup: eks.NodeGroup,
  { autoscalerHints }: MachinePlan,
  parent: pulumi.ComponentResource,
): void {
  const autoscalingGroupName = nodeGroup.resources.apply((resources) => resources[0]!.autoscalingGroups[0]!.name);
  for (const [hint, [key, value]] of Object.entries(autoscalerHints)) {
    new autoscaling.Tag(
      `${name}-${hint}`,
      { autoscalingGroupName, tag: { key, value, propagateAtLaunch: false } },
      { parent },
    );
  }
}
