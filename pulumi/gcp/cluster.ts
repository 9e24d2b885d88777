import * as container from '@pulumi/gcp/container';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { integer } from '../../runtime/spec/numbers';
import { fitName } from '../fit-name';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import { createNodeAccount, type NodeAccount } from './node-account';
import { closedNodes, LOOKED_AFTER } from './node-config';
import { projectOf, type Project } from './project';
import { resourceLabelled } from './tags';

/** How soon GKE brings a new version of Kubernetes. */
export const ReleaseChannel = { Rapid: 'RAPID', Regular: 'REGULAR', Stable: 'STABLE' } as const;
export type ReleaseChannel = (typeof ReleaseChannel)[keyof typeof ReleaseChannel];

export interface ClusterArgs {
  /** Region, for a control plane in three zones, or a zone. */
  readonly location: pulumi.Input<string>;
  /** Network of the author's, and a subnetwork of it that has a way out for images and models. */
  readonly network: pulumi.Input<string>;
  readonly subnetwork: pulumi.Input<string>;
  /** @default - the provider's */
  readonly project?: pulumi.Input<string>;
  /** Secondary range of the subnetwork for pods. @default - GKE makes one */
  readonly podsRange?: pulumi.Input<string>;
  /** Secondary range of the subnetwork for services. @default - GKE makes one */
  readonly servicesRange?: pulumi.Input<string>;
  /**
   * Name of the Cloud KMS key that encrypts secrets beside Google's own encryption, `projects/…/cryptoKeys/…`; GKE's own
   * account must be allowed to use it. @default - Google's encryption alone
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Addresses that may reach the API server from outside of the network. @default - none: the endpoint is private */
  readonly authorizedCidrs?: string[];
  /** @default 'REGULAR' */
  readonly releaseChannel?: ReleaseChannel;
  /** Machines for all that needs no GPU, 1 to 100. @default 2 */
  readonly systemNodes?: number;
  /** @default 'e2-standard-4' */
  readonly systemInstanceType?: string;
  /** Whether Pulumi refuses to delete the cluster. Set it to false, and deploy, before the stack is destroyed. @default true */
  readonly deletionProtection?: boolean;
  /** Labels of the cluster and its machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A GKE cluster for those who have none: private nodes and endpoint, Dataplane V2, which enforces network policies,
 * identities for pods, machines whose start is verified, and updates by a release channel. The network is the author's.
 *
 * @example
 * const cluster = new Cluster('platform', { location: 'europe-west4', network, subnetwork });
 * const l4 = new GpuInstanceGroup('l4', { cluster: cluster.facts, instanceTypes: ['g2-standard-8'], maxSize: 8 });
 */
export class Cluster extends pulumi.ComponentResource {
  readonly cluster: container.Cluster;
  /** For `cluster` of the other components, which wait until the cluster has its machines. */
  readonly facts: ClusterFacts;
  /** Who uses it needs gcloud's `gke-gcloud-auth-plugin` and a right to the cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** For services and add-ons: `{ provider: cluster.provider }`. */
  readonly provider: k8s.Provider;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:gcp:Cluster', name, args, opts);
    const systemNodes = decideFor(this, () => integer('systemNodes', args.systemNodes, 2, 1, 100), args);
    const project = projectOf(args.project === undefined ? {} : { project: args.project }, this);

    const machines = createNodeAccount(name, project, this);
    this.cluster = createControlPlane(name, args, project, machines, this);
    const nodes = createSystemNodes(name, args, systemNodes, this.cluster, machines, this);

    // GKE leaves the taint off GPU machines that come before any other: whoever needs the cluster waits for these.
    const ready = pulumi.all([this.cluster.name, nodes.id]).apply(([known]) => known);
    this.facts = { name: ready, location: args.location, project: project.id, projectNumber: project.number };
    this.kubeconfig = pulumi.secret(kubeconfigOf(this.cluster));
    this.provider = new k8s.Provider(
      name,
      // By its id: a kubeconfig that changes must not replace everything in the cluster.
      { kubeconfig: this.kubeconfig, clusterIdentifier: this.cluster.id },
      { parent: this, dependsOn: [nodes] },
    );
    this.registerOutputs({ facts: this.facts, kubeconfig: this.kubeconfig });
  }
}

function createControlPlane(
  name: string,
  args: ClusterArgs,
  project: Project,
  { account, rights }: NodeAccount,
  parent: pulumi.ComponentResource,
): container.Cluster {
  const cidrs = args.authorizedCidrs ?? [];
  const { named, once } = fitName('name', 40, name, parent);
  return new container.Cluster(
    name,
    {
      ...named,
      location: args.location,
      project: project.id,
      network: args.network,
      subnetwork: args.subnetwork,
      networkingMode: 'VPC_NATIVE',
      ipAllocationPolicy: {
        ...(args.podsRange === undefined ? {} : { clusterSecondaryRangeName: args.podsRange }),
        ...(args.servicesRange === undefined ? {} : { servicesSecondaryRangeName: args.servicesRange }),
      },
      privateClusterConfig: { enablePrivateNodes: true, enablePrivateEndpoint: cidrs.length === 0 },
      masterAuthorizedNetworksConfig: {
        cidrBlocks: cidrs.map((cidrBlock) => ({ cidrBlock })),
        gcpPublicCidrsAccessEnabled: false,
      },
      // Certificates cannot be taken back.
      masterAuth: { clientCertificateConfig: { issueClientCertificate: false } },
      enableLegacyAbac: false,
      datapathProvider: 'ADVANCED_DATAPATH',
      workloadIdentityConfig: { workloadPool: pulumi.interpolate`${project.id}.svc.id.goog` },
      enableShieldedNodes: true,
      releaseChannel: { channel: args.releaseChannel ?? ReleaseChannel.Regular },
      ...(args.encryptionKey === undefined
        ? {}
        : { databaseEncryption: { state: 'ENCRYPTED', keyName: args.encryptionKey } }),
      loggingConfig: {
        enableComponents: ['SYSTEM_COMPONENTS', 'WORKLOADS', 'APISERVER', 'CONTROLLER_MANAGER', 'SCHEDULER'],
      },
      // GKE makes no cluster without a first pool; it goes at once, and must not have more rights until then.
      removeDefaultNodePool: true,
      initialNodeCount: 1,
      nodeConfig: closedNodes(account.email),
      deletionProtection: args.deletionProtection ?? true,
      ...resourceLabelled(args.tags),
    },
    // What is read back there is of a pool that is made elsewhere.
    { parent, ...once, dependsOn: rights, ignoreChanges: ['nodeConfig', 'initialNodeCount'] },
  );
}

function createSystemNodes(
  name: string,
  args: ClusterArgs,
  systemNodes: number,
  cluster: container.Cluster,
  { account }: NodeAccount,
  parent: pulumi.ComponentResource,
): container.NodePool {
  const { named, once } = fitName('name', 40, `${name}-system`, parent);
  return new container.NodePool(
    `${name}-system`,
    {
      ...named,
      cluster: cluster.name,
      location: args.location,
      project: cluster.project,
      initialNodeCount: 1,
      autoscaling: { totalMinNodeCount: systemNodes, totalMaxNodeCount: systemNodes + 1, locationPolicy: 'BALANCED' },
      ...LOOKED_AFTER,
      nodeConfig: {
        ...closedNodes(account.email),
        machineType: args.systemInstanceType ?? 'e2-standard-4',
        ...resourceLabelled(args.tags),
      },
    },
    { parent, ...once, ignoreChanges: ['initialNodeCount', 'nodeCount'] },
  );
}

function kubeconfigOf({ name, endpoint, masterAuth }: container.Cluster): pulumi.Output<string> {
  return pulumi.all([name, endpoint, masterAuth]).apply(([known, host, { clusterCaCertificate }]) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: known,
          cluster: { server: `https://${host}`, 'certificate-authority-data': clusterCaCertificate },
        },
      ],
      contexts: [{ name: known, context: { cluster: known, user: known } }],
      'current-context': known,
      users: [
        {
          name: known,
          user: {
            exec: {
              apiVersion: 'client.authentication.k8s.io/v1beta1',
              command: 'gke-gcloud-auth-plugin',
              provideClusterInfo: true,
              interactiveMode: 'Never',
            },
          },
        },
      ],
    }),
  );
}
