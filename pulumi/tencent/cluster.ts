import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { shortened } from '../account-name';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import type { ClusterFacts } from './cluster-facts';
import { closedMachines } from './machines';
import {
  currentOwner,
  KubernetesAddon,
  KubernetesAuthAttachment,
  KubernetesCluster,
  KubernetesClusterEndpoint,
  KubernetesEncryptionProtection,
  KubernetesNodePool,
} from './provider';
import { TOKEN_AUDIENCE } from './token-audience';

export interface ClusterArgs {
  /** Region of the provider: `ap-guangzhou`. */
  readonly region: pulumi.Input<string>;
  readonly vpcId: pulumi.Input<string>;
  /** Of the machines, in two zones at least; they need a way out for images, by a NAT gateway of the author's. */
  readonly subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** Of the machines: they let in what comes from the VPC, and nothing else. */
  readonly securityGroupIds: pulumi.Input<pulumi.Input<string>[]>;
  /** Of pods, in the same zones. @default - those of the machines */
  readonly podSubnetIds?: pulumi.Input<pulumi.Input<string>[]>;
  /** Addresses of services, beside those of the network, from a /17 to a /27. It cannot be changed. @default '172.21.0.0/20' */
  readonly serviceCidr?: string;
  /** `1.32.2`. @default - the one that TKE takes on the day it is made */
  readonly kubernetesVersion?: pulumi.Input<string>;
  /** Id of the KMS key that encrypts secrets. @default - a key of KMS that TKE makes, `TKE-KMS` */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Machines for all that needs no GPU, 2 to 100. @default 2 */
  readonly systemNodes?: number;
  /** @default 'S5.LARGE16' */
  readonly systemInstanceType?: string;
  /** Whether TKE refuses to delete the cluster. Set it to false, and deploy, before the stack is destroyed. @default true */
  readonly deletionProtection?: boolean;
  /** Of the cluster and its machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * Experimental: a managed TKE cluster for those who have none: an API server without a public address, secrets encrypted with
 * KMS, an identity provider for service accounts with its webhook, network policies enforced, audit log and events in CLS, and
 * the autoscaler of node pools. The network is the author's. It was never run against an account.
 *
 * Attributes are those of `tencentcloud_kubernetes_cluster` and its kin in version 1.83.25 of the Terraform provider
 * (tencentcloudstack/terraform-provider-tencentcloud, website/docs/r and tencentcloud/services/tke).
 *
 * @example
 * const cluster = new Cluster('platform', { region: 'ap-guangzhou', vpcId, subnetIds, securityGroupIds });
 * const a10 = new GpuInstanceGroup('a10', { cluster: cluster.facts, instanceTypes: ['PNV4.7XLARGE116'], maxSize: 8 });
 */
export class Cluster extends pulumi.ComponentResource {
  /** For `cluster` of the other components, which wait until the cluster has its machines. */
  readonly facts: ClusterFacts;
  /**
   * TKE's own, by the address in the network. It holds the key of whoever runs Pulumi, for twenty years: TKE has no other, and
   * it is a secret of the state (DescribeClusterKubeconfig, cloud.tencent.com/document/api/457/48149).
   */
  readonly kubeconfig: pulumi.Output<string>;
  /** For services and add-ons: `{ provider: cluster.provider }`. */
  readonly provider: k8s.Provider;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:Cluster', name, args, opts);
    const plan = decideFor(this, () => planCluster(args), args);

    const cluster = createControlPlane(name, args, plan, this);
    CLUSTERS.set(this, cluster);
    const clusterId = cluster.id;
    const nodes = createSystemNodes(name, args, plan, cluster, this);
    const after = { parent: this, dependsOn: [nodes] };
    const identities = new KubernetesAuthAttachment(name, { clusterId, ...IDENTITIES }, after);
    const policies = new KubernetesAddon(
      `${name}-network-policy`,
      { clusterId, addonName: NETWORK_POLICY_ADDON },
      after,
    );
    const endpoint = new KubernetesClusterEndpoint(
      name,
      {
        clusterId,
        clusterInternet: false,
        clusterIntranet: true,
        clusterIntranetSubnetId: pulumi.output(args.subnetIds).apply(([first]) => first!),
      },
      // TKE opens none for a cluster without machines.
      after,
    );

    this.facts = {
      // A pod that starts before the webhook would have no identity.
      id: pulumi.all([clusterId, nodes.id, identities.id, policies.id]).apply(([known]) => known),
      region: args.region,
      vpcId: args.vpcId,
      subnetIds: args.subnetIds,
      securityGroupIds: args.securityGroupIds,
      ownerUin: currentOwner(this),
      oidcIssuerUrl: identities.tkeDefaultIssuer,
    };
    this.kubeconfig = pulumi.secret(endpoint.kubeConfigIntranet);
    this.provider = new k8s.Provider(
      name,
      // By its id: a kubeconfig that changes must not replace everything in the cluster.
      { kubeconfig: this.kubeconfig, clusterIdentifier: clusterId },
      { parent: this, dependsOn: [nodes, policies] },
    );
    this.registerOutputs({ facts: this.facts, kubeconfig: this.kubeconfig });
  }

  /** For `deletedWith` of what is on it. */
  get cluster(): pulumi.CustomResource {
    return CLUSTERS.get(this)!;
  }
}

/** Beside their components: the schema of the plugin knows no resource of the Terraform provider. */
const CLUSTERS = new WeakMap<Cluster, KubernetesCluster>();

/** Those of service accounts: the account's CAM knows the cluster's issuer by the cluster's id. */
const IDENTITIES = {
  useTkeDefault: true,
  // CAM reads the issuer's keys, which are public; it opens nothing else.
  autoCreateDiscoveryAnonymousAuth: true,
  autoCreateOidcConfig: true,
  autoCreateClientIds: [TOKEN_AUDIENCE],
  autoInstallPodIdentityWebhookAddon: true,
};

/**
 * Without it TKE takes network policies and enforces none of them. The name is the console's; no page that could be read
 * lists the names that the API takes, and a wrong one fails the deployment.
 */
const NETWORK_POLICY_ADDON = 'networkpolicy';

/** Of the one autoscaler that all node pools have. */
const AUTOSCALER = {
  isScaleInEnabled: true,
  expander: 'least-waste',
  maxConcurrentScaleIn: 5,
  scaleInDelay: 10,
  scaleInUnneededTime: 10,
  scaleInUtilizationThreshold: 50,
  ignoreDaemonSetsUtilization: true,
  // Every replica has scratch space on its machine; a machine would never be given back.
  skipNodesWithLocalStorage: false,
  skipNodesWithSystemPods: true,
};

const PODS_PER_NODE = 64;

interface ClusterPlan {
  readonly serviceCidr: string;
  readonly maxServices: number;
  readonly systemNodes: number;
}

function planCluster(args: ClusterArgs): ClusterPlan {
  const serviceCidr = args.serviceCidr ?? '172.21.0.0/20';
  return {
    serviceCidr,
    maxServices: addressesOf(serviceCidr),
    systemNodes: integer('systemNodes', args.systemNodes, 2, 2, 100),
  };
}

/** TKE must be told the number besides the network, 32 to 32,768. */
function addressesOf(cidr: string): number {
  const [, bits] = /^\d+\.\d+\.\d+\.\d+\/(1[7-9]|2[0-7])$/.exec(cidr) ?? [];
  if (bits === undefined) {
    throw new SpecError(
      'NUMBER_INVALID',
      'serviceCidr',
      `must be a network from /17 to /27, as in '172.21.0.0/20', got '${cidr}'`,
    );
  }
  return 2 ** (32 - Number(bits));
}

function createControlPlane(
  name: string,
  args: ClusterArgs,
  { serviceCidr, maxServices }: ClusterPlan,
  parent: pulumi.ComponentResource,
): KubernetesCluster {
  const cluster = new KubernetesCluster(
    name,
    {
      clusterName: shortened(`${name}-${pulumi.getStack()}`, 60),
      ...(args.kubernetesVersion === undefined ? {} : { clusterVersion: args.kubernetesVersion }),
      clusterDeployType: 'MANAGED_CLUSTER',
      containerRuntime: 'containerd',
      vpcId: args.vpcId,
      networkType: 'VPC-CNI',
      vpcCniType: 'tke-route-eni',
      isNonStaticIpMode: true,
      eniSubnetIds: args.podSubnetIds ?? args.subnetIds,
      serviceCidr,
      clusterMaxServiceNum: maxServices,
      clusterMaxPodNum: PODS_PER_NODE,
      // A level is a number of machines, beyond which pools would not grow.
      autoUpgradeClusterLevel: true,
      // Whoever is not the account itself would have a kubeconfig that may do nothing.
      acquireClusterAdminRole: true,
      clusterAudit: { enabled: true },
      eventPersistence: { enabled: true },
      nodePoolGlobalConfigs: [AUTOSCALER],
      deletionProtection: args.deletionProtection ?? true,
      ...tagged(args.tags),
    },
    { parent },
  );
  new KubernetesEncryptionProtection(
    name,
    {
      clusterId: cluster.id,
      kmsConfiguration: {
        kmsRegion: args.region,
        ...(args.encryptionKey === undefined ? {} : { keyId: args.encryptionKey }),
      },
    },
    { parent },
  );
  return cluster;
}

const SYSTEM_DISK_GIB = 100;

function createSystemNodes(
  name: string,
  args: ClusterArgs,
  { systemNodes }: ClusterPlan,
  cluster: KubernetesCluster,
  parent: pulumi.ComponentResource,
): KubernetesNodePool {
  const closed = closedMachines(SYSTEM_DISK_GIB, args.securityGroupIds);
  return new KubernetesNodePool(
    `${name}-system`,
    {
      clusterId: cluster.id,
      name: 'system',
      vpcId: args.vpcId,
      subnetIds: args.subnetIds,
      minSize: systemNodes,
      maxSize: systemNodes,
      enableAutoScale: false,
      desiredCapacity: systemNodes,
      waitNodeReady: true,
      multiZoneSubnetPolicy: 'EQUALITY',
      retryPolicy: 'INCREMENTAL_INTERVALS',
      deleteKeepInstance: false,
      autoScalingConfig: {
        ...closed.autoScalingConfig,
        instanceType: args.systemInstanceType ?? 'S5.LARGE16',
        instanceChargeType: 'POSTPAID_BY_HOUR',
      },
      nodeConfig: closed.nodeConfig,
      ...tagged(args.tags),
    },
    { parent },
  );
}
