import * as pulumi from '@pulumi/pulumi';

/**
 * Tencent Cloud has no Pulumi package in npm. Pulumi's `terraform-provider` makes one of the Terraform provider when it is
 * told which: what `pulumi package add terraform-provider tencentcloudstack/tencentcloud` would generate is written by hand
 * here, for the resources and properties that our components use. Pulumi's CLI fetches both providers by itself.
 * Names: a resource `tencentcloud_kubernetes_node_pool` is `tencentcloud:index/kubernetesNodePool:KubernetesNodePool`.
 */
const BASE = { name: 'terraform-provider', version: '1.4.0' };
const TERRAFORM = { url: 'registry.opentofu.org/tencentcloudstack/tencentcloud', version: '1.83.25' };
const PACKAGE = 'tencentcloud';

/** @throws pulumi.RunError where the SDK of the program is too old for it. */
function reference(): Promise<string> {
  if (!('registerPackage' in pulumi.runtime)) {
    throw new pulumi.RunError(
      'slipway/pulumi/tencent needs @pulumi/pulumi 3.270.0 or newer; run npm install @pulumi/pulumi@^3.270.0',
    );
  }
  return pulumi.runtime.registerPackage({
    baseProviderName: BASE.name,
    baseProviderVersion: BASE.version,
    baseProviderDownloadUrl: '',
    packageName: PACKAGE,
    packageVersion: TERRAFORM.version,
    base64Parameter: Buffer.from(JSON.stringify({ remote: TERRAFORM })).toString('base64'),
  });
}

type Inputs<Args> = { readonly [Key in keyof Args]: pulumi.Input<Args[Key]> };

abstract class TencentResource<Args> extends pulumi.CustomResource {
  /** @param computed what the provider alone says of the resource: Pulumi makes an output of what it is told of, and no other. */
  protected constructor(
    kind: string,
    name: string,
    args: Inputs<Args>,
    opts?: pulumi.CustomResourceOptions,
    computed: readonly string[] = [],
  ) {
    const type = `${PACKAGE}:index/${kind.charAt(0).toLowerCase()}${kind.slice(1)}:${kind}`;
    const unknown = Object.fromEntries(computed.map((property) => [property, undefined]));
    super(type, name, { ...unknown, ...args }, { version: TERRAFORM.version, ...opts }, false, reference());
  }
}

/** The provider itself, for accounts and regions besides that of the environment. */
export class Provider extends pulumi.ProviderResource {
  constructor(name: string, args: { readonly region?: pulumi.Input<string> } = {}, opts?: pulumi.ResourceOptions) {
    super(PACKAGE, name, { ...args }, { version: TERRAFORM.version, ...opts }, false, reference());
  }
}

interface Tagged {
  readonly tags?: Record<string, pulumi.Input<string>>;
}

/** Number of the account that the provider deploys into: `owner_uin` of the data source `tencentcloud_user_info`. */
export function currentOwner(parent: pulumi.Resource): pulumi.Output<string> {
  const token = `${PACKAGE}:index/getUserInfo:getUserInfo`;
  const options = { parent, version: TERRAFORM.version };
  return pulumi.runtime
    .invokeOutput<{ ownerUin: string }>(token, {}, options, reference())
    .apply(({ ownerUin }) => ownerUin);
}

interface ClusterArgs extends Tagged {
  readonly clusterName: string;
  readonly clusterVersion?: string;
  readonly clusterDeployType: string;
  readonly containerRuntime: string;
  readonly vpcId: string;
  readonly networkType: string;
  readonly vpcCniType: string;
  readonly isNonStaticIpMode: boolean;
  readonly eniSubnetIds: pulumi.Input<string>[];
  readonly serviceCidr: string;
  readonly clusterMaxServiceNum: number;
  readonly clusterMaxPodNum: number;
  readonly autoUpgradeClusterLevel: boolean;
  readonly acquireClusterAdminRole: boolean;
  readonly clusterAudit: { readonly enabled: boolean };
  readonly eventPersistence: { readonly enabled: boolean };
  readonly nodePoolGlobalConfigs: readonly object[];
  readonly deletionProtection: boolean;
}

export class KubernetesCluster extends TencentResource<ClusterArgs> {
  constructor(name: string, args: Inputs<ClusterArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesCluster', name, args, { ...opts, additionalSecretOutputs: ACCESS });
  }
}

/** What a cluster and its endpoint say of the way in. */
const ACCESS = ['kubeConfig', 'kubeConfigIntranet', 'password'];

interface ClusterEndpointArgs {
  readonly clusterId: string;
  readonly clusterInternet: boolean;
  readonly clusterIntranet: boolean;
  readonly clusterIntranetSubnetId: string;
}

export class KubernetesClusterEndpoint extends TencentResource<ClusterEndpointArgs> {
  /** By the address in the network. */
  declare readonly kubeConfigIntranet: pulumi.Output<string>;
  constructor(name: string, args: Inputs<ClusterEndpointArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesClusterEndpoint', name, args, { ...opts, additionalSecretOutputs: ACCESS }, [
      'kubeConfigIntranet',
    ]);
  }
}

interface AuthAttachmentArgs {
  readonly clusterId: string;
  readonly useTkeDefault: boolean;
  readonly autoCreateDiscoveryAnonymousAuth: boolean;
  readonly autoCreateOidcConfig: boolean;
  readonly autoCreateClientIds: readonly string[];
  readonly autoInstallPodIdentityWebhookAddon: boolean;
}

export class KubernetesAuthAttachment extends TencentResource<AuthAttachmentArgs> {
  declare readonly tkeDefaultIssuer: pulumi.Output<string>;
  constructor(name: string, args: Inputs<AuthAttachmentArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesAuthAttachment', name, args, opts, ['tkeDefaultIssuer']);
  }
}

interface EncryptionProtectionArgs {
  readonly clusterId: string;
  readonly kmsConfiguration: { readonly kmsRegion: pulumi.Input<string>; readonly keyId?: pulumi.Input<string> };
}

export class KubernetesEncryptionProtection extends TencentResource<EncryptionProtectionArgs> {
  constructor(name: string, args: Inputs<EncryptionProtectionArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesEncryptionProtection', name, args, opts);
  }
}

interface AddonArgs {
  readonly clusterId: string;
  readonly addonName: string;
}

export class KubernetesAddon extends TencentResource<AddonArgs> {
  constructor(name: string, args: Inputs<AddonArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesAddon', name, args, opts);
  }
}

interface NodePoolArgs extends Tagged {
  readonly clusterId: string;
  readonly name: string;
  readonly vpcId: string;
  readonly subnetIds: pulumi.Input<string>[];
  readonly minSize: number;
  readonly maxSize: number;
  readonly enableAutoScale: boolean;
  readonly desiredCapacity?: number;
  readonly waitNodeReady?: boolean;
  readonly multiZoneSubnetPolicy: string;
  readonly retryPolicy: string;
  readonly deleteKeepInstance: boolean;
  readonly autoScalingConfig: {
    readonly instanceType: string;
    readonly backupInstanceTypes?: readonly string[];
    readonly systemDiskType: string;
    readonly systemDiskSize: number;
    readonly publicIpAssigned: boolean;
    readonly orderlySecurityGroupIds: pulumi.Input<pulumi.Input<string>[]>;
    readonly keyIds?: pulumi.Input<pulumi.Input<string>[]>;
    readonly instanceChargeType: string;
    readonly spotInstanceType?: string;
    readonly spotMaxPrice?: string;
    readonly dataDisks: readonly object[];
  };
  readonly nodeConfig: object;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly { readonly key: string; readonly value: string; readonly effect: string }[];
}

export class KubernetesNodePool extends TencentResource<NodePoolArgs> {
  constructor(name: string, args: Inputs<NodePoolArgs>, opts?: pulumi.CustomResourceOptions) {
    super('KubernetesNodePool', name, args, opts);
  }
}

interface CosBucketArgs extends Tagged {
  readonly bucket: string;
  readonly acl: string;
  readonly versioningEnable: boolean;
  readonly encryptionAlgorithm: string;
  readonly kmsId?: string;
  readonly multiAz: boolean;
  readonly forceClean: boolean;
  readonly lifecycleRules: readonly object[];
}

export class CosBucket extends TencentResource<CosBucketArgs> {
  declare readonly bucket: pulumi.Output<string>;
  constructor(name: string, args: Inputs<CosBucketArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CosBucket', name, args, opts);
  }
}

interface CosBucketPolicyArgs {
  readonly bucket: string;
  readonly policy: string;
}

export class CosBucketPolicy extends TencentResource<CosBucketPolicyArgs> {
  constructor(name: string, args: Inputs<CosBucketPolicyArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CosBucketPolicy', name, args, opts);
  }
}

interface CosBucketObjectArgs {
  readonly bucket: string;
  readonly key: string;
  readonly source: string;
  readonly contentType: string;
}

export class CosBucketObject extends TencentResource<CosBucketObjectArgs> {
  constructor(name: string, args: Inputs<CosBucketObjectArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CosBucketObject', name, args, opts);
  }
}

interface TcrNamespaceArgs {
  readonly instanceId: string;
  readonly name: string;
  readonly isPublic: boolean;
  readonly isAutoScan: boolean;
}

export class TcrNamespace extends TencentResource<TcrNamespaceArgs> {
  declare readonly name: pulumi.Output<string>;
  constructor(name: string, args: Inputs<TcrNamespaceArgs>, opts?: pulumi.CustomResourceOptions) {
    super('TcrNamespace', name, args, opts);
  }
}

interface TcrRepositoryArgs {
  readonly instanceId: string;
  readonly namespaceName: string;
  readonly name: string;
  readonly briefDesc: string;
  readonly forceDelete: boolean;
}

export class TcrRepository extends TencentResource<TcrRepositoryArgs> {
  declare readonly name: pulumi.Output<string>;
  constructor(name: string, args: Inputs<TcrRepositoryArgs>, opts?: pulumi.CustomResourceOptions) {
    super('TcrRepository', name, args, opts);
  }
}

interface TcrReplicationArgs {
  readonly sourceRegistryId: string;
  readonly destinationRegistryId: string;
  readonly destinationRegionId: number;
  readonly rule: {
    readonly name: string;
    readonly destNamespace: pulumi.Input<string>;
    readonly override: boolean;
    readonly deletion: boolean;
    readonly filters: readonly { readonly type: string; readonly value: pulumi.Input<string> }[];
  };
}

export class TcrReplication extends TencentResource<TcrReplicationArgs> {
  constructor(name: string, args: Inputs<TcrReplicationArgs>, opts?: pulumi.CustomResourceOptions) {
    super('TcrReplication', name, args, opts);
  }
}

interface TcrImmutableTagRuleArgs extends Tagged {
  readonly registryId: string;
  readonly namespaceName: string;
  readonly rule: {
    readonly repositoryPattern: string;
    readonly repositoryDecoration: string;
    readonly tagPattern: string;
    readonly tagDecoration: string;
    readonly disabled: boolean;
  };
}

export class TcrImmutableTagRule extends TencentResource<TcrImmutableTagRuleArgs> {
  constructor(name: string, args: Inputs<TcrImmutableTagRuleArgs>, opts?: pulumi.CustomResourceOptions) {
    super('TcrImmutableTagRule', name, args, opts);
  }
}

interface CamRoleArgs extends Tagged {
  readonly name: string;
  readonly document: string;
  readonly consoleLogin: boolean;
  readonly description: string;
}

export class CamRole extends TencentResource<CamRoleArgs> {
  declare readonly name: pulumi.Output<string>;
  constructor(name: string, args: Inputs<CamRoleArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CamRole', name, args, opts);
  }
}

interface CamPolicyArgs {
  readonly name: string;
  readonly document: string;
}

export class CamPolicy extends TencentResource<CamPolicyArgs> {
  constructor(name: string, args: Inputs<CamPolicyArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CamPolicy', name, args, opts);
  }
}

interface CamRolePolicyAttachmentArgs {
  readonly roleId: string;
  readonly policyId: string;
}

export class CamRolePolicyAttachment extends TencentResource<CamRolePolicyAttachmentArgs> {
  constructor(name: string, args: Inputs<CamRolePolicyAttachmentArgs>, opts?: pulumi.CustomResourceOptions) {
    super('CamRolePolicyAttachment', name, args, opts);
  }
}
