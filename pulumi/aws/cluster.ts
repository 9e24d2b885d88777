import * as cloudwatch from '@pulumi/aws/cloudwatch';
import * as eks from '@pulumi/aws/eks';
import { getPartitionOutput } from '@pulumi/aws/getPartition';
import { getRegionOutput } from '@pulumi/aws/getRegion';
import * as kms from '@pulumi/aws/kms';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { integer } from '../../runtime/spec/numbers';
import { shortHash } from '../../runtime/spec/short-hash';
import { shortened } from '../account-name';
import { fitName } from '../fit-name';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import { createNodeRole, createServiceRole } from './iam-role';
import { createNodeTemplate } from './node-template';
import { tagged } from '../tags';

export interface ClusterArgs {
  /** Private subnets, in at least two zones, with a way out for images and models. */
  readonly subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** @default - `<component name>-<stack>` */
  readonly clusterName?: string;
  /** Version of Kubernetes. @default - EKS' own default when the cluster is made; it is raised by setting it */
  readonly kubernetesVersion?: pulumi.Input<string>;
  /** ARN of the KMS key that encrypts secrets. @default - a key of its own, rotated every year, kept when the cluster goes */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Addresses that may reach the API server from outside of the VPC. @default - none: the endpoint is private */
  readonly authorizedCidrs?: string[];
  /** Roles that administer the cluster, beside the one that makes it. @default - none */
  readonly adminRoleArns?: string[];
  /** Machines for all that needs no GPU, 1 to 100. @default 2 */
  readonly systemNodes?: number;
  /** @default 'm7i.large' */
  readonly systemInstanceType?: string;
  /** Days that logs of the control plane are kept, a number that CloudWatch takes. @default 90 */
  readonly logRetentionDays?: number;
  /** Whether EKS refuses to delete the cluster. Set it to false, and deploy, before the stack is destroyed. @default true */
  readonly deletionProtection?: boolean;
  /** Permissions boundary of the roles. @default - none */
  readonly permissionsBoundaryArn?: pulumi.Input<string>;
  /** @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * An EKS cluster for those who have none: private endpoint, secrets encrypted with KMS, every log of the control plane,
 * network policies enforced, pod identity, and machines for the system. The network is the author's.
 *
 * @example
 * const cluster = new Cluster('platform', { subnetIds });
 * const l4 = new GpuInstanceGroup('l4', { cluster: cluster.facts, instanceTypes: ['g6.xlarge'], maxSize: 8 });
 */
export class Cluster extends pulumi.ComponentResource {
  readonly cluster: eks.Cluster;
  /** For `cluster` of the other components, which wait until the cluster has its machines. */
  readonly facts: ClusterFacts;
  /** Who uses it needs the AWS CLI and a role that the cluster knows. */
  readonly kubeconfig: pulumi.Output<string>;
  /** For services and add-ons: `{ provider: cluster.provider }`. */
  readonly provider: k8s.Provider;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:Cluster', name, args, opts);
    const plan = decideFor(this, () => planCluster(name, args), args);

    this.cluster = createControlPlane(name, args, plan, this);
    const early = EARLY_ADDONS.map((addon) => createAddon(name, addon, this.cluster, args, this, []));
    admitAdministrators(name, args, this.cluster, this);
    const nodes = createSystemNodes(name, args, plan, this.cluster, early, this);
    for (const addon of LATE_ADDONS) createAddon(name, addon, this.cluster, args, this, [nodes]);

    const ready = pulumi.all([this.cluster.name, nodes.id]).apply(([known]) => known);
    this.facts = { name: ready, subnetIds: args.subnetIds };
    this.kubeconfig = pulumi.secret(kubeconfigOf(this.cluster, this));
    this.provider = new k8s.Provider(
      name,
      // A kubeconfig that changes must not replace everything in the cluster; a cluster that is made anew, under the same
      // ARN, has nothing of it.
      {
        kubeconfig: this.kubeconfig,
        clusterIdentifier: pulumi.interpolate`${this.cluster.arn} ${this.cluster.createdAt}`,
      },
      { parent: this, dependsOn: [nodes] },
    );
    this.registerOutputs({ facts: this.facts, kubeconfig: this.kubeconfig });
  }
}

/** What machines need before they are ready. */
const EARLY_ADDONS: readonly Addon[] = [
  // The plugin enforces network policies only when it is told to.
  { name: 'vpc-cni', configuration: { enableNetworkPolicy: 'true' } },
  { name: 'kube-proxy' },
  { name: 'eks-pod-identity-agent' },
];
/** What needs machines, or only looks after them. */
const LATE_ADDONS: readonly Addon[] = [
  { name: 'coredns' },
  { name: 'metrics-server' },
  { name: 'eks-node-monitoring-agent' },
];

interface Addon {
  readonly name: string;
  readonly configuration?: Readonly<Record<string, string>>;
}

interface ClusterPlan {
  readonly clusterName: string;
  readonly systemNodes: number;
}

function planCluster(name: string, args: ClusterArgs): ClusterPlan {
  return {
    clusterName: args.clusterName ?? shortened(`${name}-${pulumi.getStack()}`, 100),
    systemNodes: integer('systemNodes', args.systemNodes, 2, 1, 100),
  };
}

function createControlPlane(
  name: string,
  args: ClusterArgs,
  { clusterName }: ClusterPlan,
  parent: pulumi.ComponentResource,
): eks.Cluster {
  const { role, attachments } = createServiceRole(name, 'eks.amazonaws.com', ['AmazonEKSClusterPolicy'], args, parent);
  // EKS would make it by itself, and keep everything in it for ever.
  const logs = new cloudwatch.LogGroup(
    name,
    { name: `/aws/eks/${clusterName}/cluster`, retentionInDays: args.logRetentionDays ?? 90, ...tagged(args.tags) },
    { parent },
  );
  const publicAccessCidrs = args.authorizedCidrs ?? [];
  return new eks.Cluster(
    name,
    {
      name: clusterName,
      roleArn: role.arn,
      ...(args.kubernetesVersion === undefined ? {} : { version: args.kubernetesVersion }),
      vpcConfig: {
        subnetIds: args.subnetIds,
        endpointPrivateAccess: true,
        endpointPublicAccess: publicAccessCidrs.length > 0,
        ...(publicAccessCidrs.length > 0 ? { publicAccessCidrs: [...publicAccessCidrs] } : {}),
      },
      encryptionConfig: {
        provider: { keyArn: args.encryptionKey ?? createKey(name, args, parent).arn },
        resources: ['secrets'],
      },
      accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: true },
      enabledClusterLogTypes: ['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'],
      // Those that EKS installs by itself could not be configured here.
      bootstrapSelfManagedAddons: false,
      deletionProtection: args.deletionProtection ?? true,
      ...tagged(args.tags),
    },
    { parent, dependsOn: [...attachments, logs], deleteBeforeReplace: true },
  );
}

/** Without its key the secrets in a backup of the cluster are lost: it is kept. */
function createKey(name: string, { tags }: ClusterArgs, parent: pulumi.ComponentResource): kms.Key {
  return new kms.Key(
    name,
    { description: `secrets of the EKS cluster ${name}`, enableKeyRotation: true, ...tagged(tags) },
    { parent, retainOnDelete: true },
  );
}

function createAddon(
  name: string,
  { name: addonName, configuration }: Addon,
  cluster: eks.Cluster,
  { tags }: ClusterArgs,
  parent: pulumi.ComponentResource,
  dependsOn: pulumi.Resource[],
): eks.Addon {
  return new eks.Addon(
    `${name}-${addonName}`,
    {
      clusterName: cluster.name,
      addonName,
      resolveConflictsOnCreate: 'OVERWRITE',
      resolveConflictsOnUpdate: 'OVERWRITE',
      ...(configuration === undefined ? {} : { configurationValues: JSON.stringify(configuration) }),
      ...tagged(tags),
    },
    { parent, dependsOn },
  );
}

function admitAdministrators(
  name: string,
  { adminRoleArns = [], tags }: ClusterArgs,
  cluster: eks.Cluster,
  parent: pulumi.ComponentResource,
): void {
  const { partition } = getPartitionOutput({}, { parent });
  const clusterName = cluster.name;
  for (const principalArn of new Set(adminRoleArns)) {
    // By the role, not by its place in the list: EKS has one entry for each, and would refuse to make one that moved up.
    const child = `${name}-admin-${shortHash(principalArn)}`;
    const entry = new eks.AccessEntry(
      child,
      { clusterName, principalArn, type: 'STANDARD', ...tagged(tags) },
      { parent },
    );
    new eks.AccessPolicyAssociation(
      child,
      {
        clusterName,
        principalArn,
        policyArn: pulumi.interpolate`arn:${partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`,
        accessScope: { type: 'cluster' },
      },
      { parent, dependsOn: entry },
    );
  }
}

const SYSTEM_DISK_GIB = 50;

function createSystemNodes(
  name: string,
  args: ClusterArgs,
  { systemNodes }: ClusterPlan,
  cluster: eks.Cluster,
  addons: readonly eks.Addon[],
  parent: pulumi.ComponentResource,
): eks.NodeGroup {
  const { role, attachments } = createNodeRole(`${name}-system`, args, parent);
  const template = createNodeTemplate(`${name}-system`, SYSTEM_DISK_GIB, args.tags, parent);
  const { named, once } = fitName('nodeGroupName', 63, `${name}-system`, parent);
  return new eks.NodeGroup(
    `${name}-system`,
    {
      ...named,
      clusterName: cluster.name,
      nodeRoleArn: role.arn,
      subnetIds: args.subnetIds,
      amiType: 'AL2023_x86_64_STANDARD',
      instanceTypes: [args.systemInstanceType ?? 'm7i.large'],
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      scalingConfig: { minSize: systemNodes, maxSize: systemNodes + 1, desiredSize: systemNodes },
      updateConfig: { maxUnavailable: 1 },
      nodeRepairConfig: { enabled: true },
      ...tagged(args.tags),
    },
    { parent, ...once, ignoreChanges: ['scalingConfig.desiredSize'], dependsOn: [...attachments, ...addons] },
  );
}

function kubeconfigOf(cluster: eks.Cluster, parent: pulumi.ComponentResource): pulumi.Output<string> {
  const { region } = getRegionOutput({}, { parent });
  const certificate = cluster.certificateAuthority.data;
  return pulumi.all([cluster.name, cluster.endpoint, certificate, region]).apply(([name, server, data, knownRegion]) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority-data': data } }],
      contexts: [{ name, context: { cluster: name, user: name } }],
      'current-context': name,
      users: [
        {
          name,
          user: {
            exec: {
              apiVersion: 'client.authentication.k8s.io/v1beta1',
              command: 'aws',
              args: ['--region', knownRegion, 'eks', 'get-token', '--cluster-name', name],
              interactiveMode: 'Never',
            },
          },
        },
      ],
    }),
  );
}
