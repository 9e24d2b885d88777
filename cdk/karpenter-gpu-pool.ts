import * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { GPU_TAINT, planGpuPool, SpecError, type GpuPool, type Placement } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledge } from './acknowledge';
import type { Capacity, MachineCapacity } from './capacity';
import { assertKubectl } from './eks-inference-service';
import { kebabCase } from './kebab-case';

export interface KarpenterGpuPoolProps {
  /** Of `aws-cdk-lib/aws-eks-v2`, with a kubectl provider, and with Karpenter 1.0 or newer in it. */
  readonly cluster: eks.ICluster;
  /**
   * Which machines, and how they are bought: on demand, or spot first, where Karpenter takes on-demand ones when there is
   * no spot one. Types must be good for the same pods: all with the same number of GPUs.
   */
  readonly capacity: Capacity;
  /** Most GPUs of all machines together: the ceiling of what the pool may cost. */
  readonly maxGpus: number;
  /** Tags of the subnets that machines may start in, as Karpenter finds them. */
  readonly subnetTags: Readonly<Record<string, string>>;
  /**
   * Image of the machines by Karpenter's alias. On machines with GPUs it takes the variant with NVIDIA's driver.
   * @default 'al2023@latest': the newest of the day a machine starts; name a dated one where drivers must not change
   */
  readonly amiAlias?: string;
  /** Encrypted root volume, 30 to 16,384 GiB. Pods' scratch space lies on NVMe where machines have it. @default 200 */
  readonly diskSizeGiB?: number;
  /**
   * Role of the machines, which the cluster knows already.
   * @default - one of its own, with what EKS asks of every node, and an access entry in the cluster
   */
  readonly nodeRole?: iam.IRole;
  /** Name of the pool and value of the label `slipway.dev/pool`. @default - the construct's id in lower case, with dashes */
  readonly pool?: string;
}

/**
 * GPU machines that Karpenter starts for pods that wait and removes when none is left: a NodePool and an EC2NodeClass.
 * Karpenter's controller, which must be there, needs `iam:PassRole` for the role of the machines.
 *
 * @example
 * const l4 = new KarpenterGpuPool(this, 'L4', {
 *   cluster,
 *   capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge']),
 *   maxGpus: 8,
 *   subnetTags: { 'karpenter.sh/discovery': 'prod' },
 * });
 */
export class KarpenterGpuPool extends Construct {
  /** For `placement` of a service. */
  readonly placement: Placement;
  readonly instanceTypes: readonly string[];
  /** The parts. Exposed so that nothing is out of reach. */
  readonly nodeRole: iam.IRole;
  readonly nodeClass: eks.KubernetesManifest;
  readonly nodePool: eks.KubernetesManifest;

  constructor(scope: Construct, id: string, props: KarpenterGpuPoolProps) {
    super(scope, id);
    const capacity = props.capacity as MachineCapacity;
    const capacityTypes = capacityTypesOf(capacity);
    const name = props.pool ?? kebabCase(id);
    const diskSizeGiB = integer('diskSizeGiB', props.diskSizeGiB, 200, 30, 16_384);
    const pool = planGpuPool(capacity.instanceTypes, name, diskSizeGiB, 'aws');
    const maxGpus = integer('maxGpus', props.maxGpus, pool.gpuCount, pool.gpuCount, 100_000);
    assertKubectl(props.cluster);
    this.placement = { ...pool.placement, maxGpus };
    this.instanceTypes = capacity.instanceTypes;
    this.nodeRole = props.nodeRole ?? this.createNodeRole(props.cluster);
    this.nodeClass = this.apply(props.cluster, 'NodeClass', this.renderNodeClass(name, props, diskSizeGiB));
    this.nodePool = this.apply(
      props.cluster,
      'NodePool',
      renderNodePool(name, pool, capacity.instanceTypes, capacityTypes, maxGpus),
    );
    this.nodePool.node.addDependency(this.nodeClass);
  }

  private createNodeRole(cluster: eks.ICluster): iam.Role {
    const role = new iam.Role(this, 'NodeRole', {
      assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
      managedPolicies: NODE_POLICIES.map((policy) => iam.ManagedPolicy.fromAwsManagedPolicyName(policy)),
    });
    for (const policy of NODE_POLICIES) {
      acknowledge(
        role,
        `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`,
        'EKS asks it of the role of every node',
      );
    }
    new eks.AccessEntry(this, 'AccessEntry', {
      cluster,
      principal: role.roleArn,
      accessEntryType: eks.AccessEntryType.EC2_LINUX,
      accessPolicies: [],
    });
    return role;
  }

  private renderNodeClass(name: string, props: KarpenterGpuPoolProps, diskSizeGiB: number): object {
    return {
      apiVersion: 'karpenter.k8s.aws/v1',
      kind: 'EC2NodeClass',
      metadata: { name },
      spec: {
        role: this.nodeRole.roleName,
        amiSelectorTerms: [{ alias: props.amiAlias ?? 'al2023@latest' }],
        subnetSelectorTerms: [{ tags: { ...props.subnetTags } }],
        securityGroupSelectorTerms: [{ id: props.cluster.clusterSecurityGroupId }],
        // One hop ends at the machine: a pod that asks for the machine's credentials gets no answer.
        metadataOptions: { httpEndpoint: 'enabled', httpTokens: 'required', httpPutResponseHopLimit: 1 },
        blockDeviceMappings: [
          {
            deviceName: '/dev/xvda',
            ebs: {
              volumeSize: `${diskSizeGiB}Gi`,
              volumeType: 'gp3',
              throughput: 500,
              iops: 6_000,
              encrypted: true,
              deleteOnTermination: true,
            },
          },
        ],
        // Images and the model cache lie on the machine's own disks.
        instanceStorePolicy: 'RAID0',
      },
    };
  }

  private apply(cluster: eks.ICluster, id: string, object: object): eks.KubernetesManifest {
    return new eks.KubernetesManifest(this, id, { cluster, manifest: [object], overwrite: false, prune: false });
  }
}

const NODE_POLICIES = ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryPullOnly'];

function renderNodePool(
  name: string,
  pool: GpuPool,
  instanceTypes: readonly string[],
  capacityTypes: readonly string[],
  maxGpus: number,
): object {
  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodePool',
    metadata: { name },
    spec: {
      limits: { [pool.placement.gpuResourceName]: String(maxGpus) },
      disruption: {
        // A machine that runs a replica is left alone: moving it for a better price would load a model again.
        consolidationPolicy: 'WhenEmpty',
        consolidateAfter: '5m',
        budgets: [{ nodes: '1' }],
      },
      template: {
        metadata: { labels: pool.labels },
        spec: {
          nodeClassRef: { group: 'karpenter.k8s.aws', kind: 'EC2NodeClass', name },
          // A month at most: then the machine is drained, and another one has the newest image.
          expireAfter: '720h',
          taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: GPU_TAINT.effect }],
          requirements: [
            { key: 'node.kubernetes.io/instance-type', operator: 'In', values: [...instanceTypes] },
            { key: 'karpenter.sh/capacity-type', operator: 'In', values: [...capacityTypes] },
            { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
            { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
          ],
        },
      },
    },
  };
}

function capacityTypesOf(capacity: MachineCapacity): readonly string[] {
  if (capacity.kind === 'onDemand') return ['on-demand'];
  if (capacity.kind === 'spot' && capacity.onDemandBase === 0 && capacity.onDemandPercentage === 0) {
    return ['spot', 'on-demand'];
  }
  throw new SpecError(
    'CAPACITY_CHOICE',
    'capacity',
    capacity.kind === 'spot'
      ? `Karpenter takes spot machines while there are any, got onDemandBase ${capacity.onDemandBase} and onDemandPercentage ${capacity.onDemandPercentage}; put the base into a pool of its own`
      : `a pool of Karpenter is on demand or spot first, got '${capacity.kind}'`,
  );
}
