import { AutoscalingConfig } from '@pulumi/alicloud/cs/autoscalingConfig';
import { KubernetesAddon } from '@pulumi/alicloud/cs/kubernetesAddon';
import { ManagedKubernetes } from '@pulumi/alicloud/cs/managedKubernetes';
import { NodePool } from '@pulumi/alicloud/cs/nodePool';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { integer } from '../../runtime/spec/numbers';
import { fitName } from '../fit-name';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import type { ClusterFacts } from './cluster-facts';
import { kubeconfigOf } from './kubeconfig';
import { closedMachines } from './machines';
import { currentRegion } from './region';

export interface ClusterArgs {
  /** Of control plane and machines, in two zones at least; they need a way out for images, by a NAT gateway of the author's. */
  readonly vswitchIds: pulumi.Input<pulumi.Input<string>[]>;
  /** Of pods, in the same zones. @default - those of the machines */
  readonly podVswitchIds?: pulumi.Input<pulumi.Input<string>[]>;
  /** Addresses of services, beside those of the network. It cannot be changed. @default '172.21.0.0/20' */
  readonly serviceCidr?: pulumi.Input<string>;
  /** `1.34.1-aliyun.1`. @default - the newest that ACK has on the day it is made */
  readonly kubernetesVersion?: pulumi.Input<string>;
  /** Id of the KMS key that encrypts secrets. @default - secrets are encrypted as the disks below them are, and no further */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Machines for all that needs no GPU, 2 to 100. @default 2 */
  readonly systemNodes?: number;
  /** @default 'ecs.g7.xlarge' */
  readonly systemInstanceType?: string;
  /** Whether ACK refuses to delete the cluster. Set it to false, and deploy, before the stack is destroyed. @default true */
  readonly deletionProtection?: boolean;
  /** Of the cluster and its machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A managed ACK cluster for those who have none: an API server without a public address, RAM roles for service accounts
 * (which can never be switched off again), network policies by Terway, logs of the control plane and its audit log in SLS,
 * and the one autoscaler, from zero. The network is the author's.
 *
 * @example
 * const cluster = new Cluster('platform', { vswitchIds });
 * const a10 = new GpuInstanceGroup('a10', { cluster: cluster.facts, instanceTypes: ['ecs.gn7i-c8g1.2xlarge'], maxSize: 8 });
 */
export class Cluster extends pulumi.ComponentResource {
  readonly cluster: ManagedKubernetes;
  /** For `cluster` of the other components, which wait until the cluster has its machines. */
  readonly facts: ClusterFacts;
  /** Who uses it needs `ack-ram-tool` and a right to the cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** For services and add-ons: `{ provider: cluster.provider }`. */
  readonly provider: k8s.Provider;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:alibaba:Cluster', name, args, opts);
    const systemNodes = decideFor(this, () => integer('systemNodes', args.systemNodes, 2, 2, 100), args);
    const region = currentRegion(this);

    this.cluster = createControlPlane(name, args, this);
    const clusterId = this.cluster.id;
    const nodes = createSystemNodes(name, args, systemNodes, this.cluster, this);
    const after = { parent: this, dependsOn: [nodes] };
    // Gives pods the tokens of their service accounts; its own pods need a machine.
    const webhook = new KubernetesAddon(
      `${name}-pod-identity`,
      { clusterId, name: 'ack-pod-identity-webhook' },
      { ...after, ignoreChanges: ['version'] },
    );
    new AutoscalingConfig(name, { clusterId, ...AUTOSCALER }, after);

    const { rrsaMetadata } = this.cluster;
    this.facts = {
      // A pod that starts before the webhook would have no identity.
      id: pulumi.all([clusterId, nodes.id, webhook.id]).apply(([known]) => known),
      vswitchIds: args.vswitchIds,
      oidcIssuerUrl: rrsaMetadata.rrsaOidcIssuerUrl,
      oidcProviderArn: rrsaMetadata.ramOidcProviderArn,
      region,
    };
    this.kubeconfig = kubeconfigOf(this.cluster, region, this);
    this.provider = new k8s.Provider(
      name,
      // By its id: a kubeconfig that changes must not replace everything in the cluster.
      { kubeconfig: this.kubeconfig, clusterIdentifier: clusterId },
      after,
    );
    this.registerOutputs({ facts: this.facts, kubeconfig: this.kubeconfig });
  }
}

const AUTOSCALER = {
  scalerType: 'cluster-autoscaler',
  scaleDownEnabled: true,
  scaleUpFromZero: true,
  unneededDuration: '10m',
  coolDownDuration: '10m',
  scanInterval: '30s',
  utilizationThreshold: '0.5',
  gpuUtilizationThreshold: '0.5',
  // Every replica has scratch space on its machine; a machine would never be given back.
  skipNodesWithLocalStorage: false,
} as const;

/** Names and settings as the API `CreateCluster` of 2015-12-15 takes them. */
const ADDONS = [
  { name: 'terway-eniip', config: JSON.stringify({ NetworkPolicy: 'true' }) },
  { name: 'csi-plugin' },
  { name: 'csi-provisioner' },
  // ACK would make one with a public address.
  { name: 'nginx-ingress-controller', disabled: true },
];

const LOGGED = ['apiserver', 'kcm', 'scheduler', 'ccm'];
const LOG_DAYS = '90';

function createControlPlane(name: string, args: ClusterArgs, parent: pulumi.ComponentResource): ManagedKubernetes {
  const { named, once } = fitName('name', 63, name, parent);
  return new ManagedKubernetes(
    name,
    {
      ...named,
      clusterSpec: 'ack.pro.small',
      ...(args.kubernetesVersion === undefined ? {} : { version: args.kubernetesVersion }),
      vswitchIds: args.vswitchIds,
      podVswitchIds: args.podVswitchIds ?? args.vswitchIds,
      serviceCidr: args.serviceCidr ?? '172.21.0.0/20',
      newNatGateway: false,
      slbInternetEnabled: false,
      isEnterpriseSecurityGroup: true,
      enableRrsa: true,
      ...(args.encryptionKey === undefined
        ? {}
        : { encryptionProviderKey: args.encryptionKey, disableEncryption: false }),
      controlPlaneLogComponents: LOGGED,
      controlPlaneLogTtl: LOG_DAYS,
      auditLogConfig: { enabled: true },
      addons: ADDONS,
      // Otherwise the key of an administrator would lie in the state.
      skipSetCertificateAuthority: true,
      deletionProtection: args.deletionProtection ?? true,
      ...tagged(args.tags),
    },
    // Add-ons are taken when the cluster is made, and never again.
    { parent, ...once, ignoreChanges: ['addons'] },
  );
}

function createSystemNodes(
  name: string,
  args: ClusterArgs,
  systemNodes: number,
  cluster: ManagedKubernetes,
  parent: pulumi.ComponentResource,
): NodePool {
  return new NodePool(
    `${name}-system`,
    {
      clusterId: cluster.id,
      nodePoolName: 'system',
      vswitchIds: args.vswitchIds,
      instanceTypes: [args.systemInstanceType ?? 'ecs.g7.xlarge'],
      ...closedMachines(120, undefined),
      desiredSize: String(systemNodes),
      ...tagged(args.tags),
    },
    { parent },
  );
}
