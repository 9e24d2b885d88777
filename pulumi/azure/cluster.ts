import { AgentPool, ManagedCluster } from '@pulumi/azure-native/containerservice';
import { UserAssignedIdentity } from '@pulumi/azure-native/managedidentity';
import type { Subnet } from '@pulumi/azure-native/network';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { SpecError } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { fitName } from '../fit-name';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import { createNodeSubnet } from './cluster-network';
import { logControlPlane } from './control-plane-logs';
import { kubeconfigOf } from './kubeconfig';
import { assignRole } from './role-assignment';
import { networkOfSubnet } from './subnet-id';

export interface ClusterArgs {
  readonly resourceGroupName: pulumi.Input<string>;
  /**
   * Object ids of the Entra groups that administer the cluster; whoever runs Pulumi must be in one of them to put something
   * in it. There are no local accounts.
   */
  readonly adminGroupIds: pulumi.Input<string>[];
  /** `1.34`: AKS keeps it at the newest patch. @default - the one that AKS recommends on the day it is made */
  readonly kubernetesVersion?: pulumi.Input<string>;
  /**
   * Subnet of the machines, with the service endpoint `Microsoft.Storage`.
   * @default - a network of the cluster's own
   */
  readonly subnetId?: pulumi.Input<string>;
  /** Size of the machines that run the cluster's own add-ons, and others without a GPU. @default 'Standard_D4ds_v5' */
  readonly systemInstanceType?: pulumi.Input<string>;
  /** Machines of that size for the cluster's own add-ons, 1 to 100; twice as many where these need it. @default 2 */
  readonly systemNodes?: number;
  /**
   * Whether the host encrypts all disks of a machine, temporary ones too. The subscription must have the feature
   * `Microsoft.Compute/EncryptionAtHost`. @default true
   */
  readonly encryptionAtHost?: boolean;
  /** Log Analytics workspace for the logs of the control plane. @default - one of the cluster's own, for 30 days */
  readonly logAnalyticsWorkspaceId?: pulumi.Input<string>;
  /** Whether Pulumi refuses to delete the cluster and what belongs to it. @default true */
  readonly deletionProtection?: boolean;
  /** Of everything made here that can have some. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A private AKS cluster: an API server without a public address, Entra accounts and Azure's roles alone, identities for pods,
 * network policies by Cilium, disks that the host encrypts, logs of the control plane, and unused images removed.
 *
 * Machines of the system pool run the cluster's own add-ons; everything else without a GPU lands on a second pool that starts
 * with nothing. Whoever runs Pulumi must reach the network of the cluster, and needs `kubelogin`.
 *
 * @example
 * const platform = new Cluster('platform', { resourceGroupName: group.name, adminGroupIds: ['…'] });
 * new InferenceService('digits', { … }, { providers: [platform.provider] });
 */
export class Cluster extends pulumi.ComponentResource {
  readonly cluster: ManagedCluster;
  /** Undefined where `subnetId` was given. */
  readonly subnet?: Subnet;
  /** Of the control plane. */
  readonly identity: UserAssignedIdentity;
  /** For `cluster` of the other components. */
  readonly facts: ClusterFacts;
  /** Secret. It holds no key, but asks `kubelogin` for a token. */
  readonly kubeconfig: pulumi.Output<string>;
  /** For everything that goes into the cluster. */
  readonly provider: k8s.Provider;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:azure:Cluster', name, args, opts);
    const systemNodes = decideFor(
      this,
      () => {
        assertAdministered(args);
        return integer('systemNodes', args.systemNodes, 2, 1, 100);
      },
      args,
    );
    const { resourceGroupName, tags } = args;
    const child = { parent: this, ...((args.deletionProtection ?? true) ? { protect: true } : {}) };

    if (args.subnetId === undefined) this.subnet = createNodeSubnet(name, resourceGroupName, tags, child);
    const subnetId = pulumi.output(args.subnetId ?? this.subnet!.id);
    this.identity = new UserAssignedIdentity(name, { resourceGroupName, tags }, child);
    const joins = assignRole(
      `${name}-network`,
      // AKS ties its private DNS zone to the network, which is more than the subnet.
      { role: 'networkContributor', scope: subnetId.apply(networkOfSubnet), principalId: this.identity.principalId },
      child,
    );
    this.cluster = createCluster(
      name,
      args,
      { subnetId, identityId: this.identity.id, systemNodes },
      { ...child, dependsOn: [joins] },
    );
    createGeneralPool(name, args, { subnetId, clusterName: this.cluster.name }, child);
    logControlPlane(
      name,
      { resourceGroupName, clusterId: this.cluster.id, workspaceId: args.logAnalyticsWorkspaceId, tags },
      child,
    );

    this.facts = {
      resourceGroupName,
      name: this.cluster.name,
      oidcIssuerUrl: this.cluster.oidcIssuerProfile.apply((issuer) => issuer!.issuerURL),
      subnetId,
      kubeletPrincipalId: this.cluster.identityProfile.apply((profile) => profile!['kubeletidentity']!.objectId!),
      label: name,
    };
    this.kubeconfig = kubeconfigOf(this.cluster, resourceGroupName, this);
    this.provider = new k8s.Provider(
      name,
      // A cluster that is made anew is another one, whatever its kubeconfig says.
      { kubeconfig: this.kubeconfig, clusterIdentifier: this.cluster.id },
      child,
    );
    this.registerOutputs({ facts: this.facts, kubeconfig: this.kubeconfig });
  }
}

const SYSTEM_TAINT = 'CriticalAddonsOnly=true:NoSchedule';
const GENERAL_MACHINES = { minCount: 0, maxCount: 8 };
const WEEK_HOURS = 168;

function assertAdministered({ adminGroupIds }: ClusterArgs): void {
  if (adminGroupIds.length > 0) return;
  throw new SpecError(
    'CLUSTER_ADMINISTRATORS',
    'adminGroupIds',
    'must name at least one Entra group, got none; without it nobody could put anything into the cluster',
  );
}

interface Place {
  readonly subnetId: pulumi.Output<string>;
}

function createCluster(
  name: string,
  args: ClusterArgs,
  {
    subnetId,
    identityId,
    systemNodes: minCount,
  }: Place & { readonly identityId: pulumi.Output<string>; readonly systemNodes: number },
  child: ChildOptions,
): ManagedCluster {
  const { named, once } = fitName('resourceName', 63, name, child.parent);
  return new ManagedCluster(
    name,
    {
      ...named,
      resourceGroupName: args.resourceGroupName,
      dnsPrefix: dnsPrefixOf(name),
      kubernetesVersion: args.kubernetesVersion,
      sku: { name: 'Base', tier: 'Standard' },
      identity: { type: 'UserAssigned', userAssignedIdentities: [identityId] },
      apiServerAccessProfile: {
        enablePrivateCluster: true,
        enablePrivateClusterPublicFQDN: false,
        privateDNSZone: 'system',
        // It would let whoever may manage the resource run commands inside, past the network.
        disableRunCommand: true,
      },
      enableRBAC: true,
      disableLocalAccounts: true,
      aadProfile: { managed: true, enableAzureRBAC: true, adminGroupObjectIDs: [...args.adminGroupIds] },
      oidcIssuerProfile: { enabled: true },
      securityProfile: {
        workloadIdentity: { enabled: true },
        imageCleaner: { enabled: true, intervalHours: WEEK_HOURS },
      },
      networkProfile: {
        networkPlugin: 'azure',
        networkPluginMode: 'overlay',
        networkDataplane: 'cilium',
        networkPolicy: 'cilium',
        loadBalancerSku: 'standard',
        outboundType: 'loadBalancer',
      },
      autoUpgradeProfile: { upgradeChannel: 'patch', nodeOSUpgradeChannel: 'NodeImage' },
      // Every replica has scratch space on its machine; a machine would never be given back.
      autoScalerProfile: { skipNodesWithLocalStorage: 'false' },
      agentPoolProfiles: [
        {
          name: 'system',
          mode: 'System',
          ...machinesOf(args, subnetId, { minCount, maxCount: 2 * minCount }),
          nodeTaints: [SYSTEM_TAINT],
        },
      ],
      tags: args.tags,
    },
    // The autoscaler owns the number of machines.
    { ...child, ...once, ignoreChanges: ['agentPoolProfiles[0].count'] },
  );
}

/** Machines for what needs no GPU and is no add-on of AKS: gateways, Prometheus, KEDA. */
function createGeneralPool(
  name: string,
  args: ClusterArgs,
  { subnetId, clusterName }: Place & { readonly clusterName: pulumi.Output<string> },
  child: ChildOptions,
): AgentPool {
  return new AgentPool(
    `${name}-general`,
    {
      resourceGroupName: args.resourceGroupName,
      resourceName: clusterName,
      agentPoolName: 'general',
      mode: 'User',
      ...machinesOf(args, subnetId, GENERAL_MACHINES),
      tags: args.tags,
    },
    { ...child, ignoreChanges: ['count'], deleteBeforeReplace: true },
  );
}

function machinesOf(
  { systemInstanceType, encryptionAtHost }: ClusterArgs,
  vnetSubnetID: pulumi.Output<string>,
  { minCount, maxCount }: { readonly minCount: number; readonly maxCount: number },
) {
  return {
    type: 'VirtualMachineScaleSets',
    osType: 'Linux',
    osSKU: 'Ubuntu',
    vmSize: systemInstanceType ?? 'Standard_D4ds_v5',
    vnetSubnetID,
    enableAutoScaling: true,
    minCount,
    maxCount,
    count: minCount,
    enableEncryptionAtHost: encryptionAtHost ?? true,
    enableNodePublicIP: false,
    securityProfile: { sshAccess: 'Disabled' },
    upgradeSettings: { maxSurge: '1' },
  };
}

/** Begins and ends with a letter or a digit, up to 54 characters. */
function dnsPrefixOf(name: string): string {
  return name
    .replace(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 54)
    .replace(/^-+|-+$/g, '');
}
