import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { assertSucceeded, propertyAt, runPulumiProgram, type RecordedResource } from 'slipway/testing';
import { alibaba } from './rows/alibaba';
import { aws } from './rows/aws';
import { azure } from './rows/azure';
import { gcp } from './rows/gcp';
import { tencent } from './rows/tencent';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** The shortest, the longest that Kubernetes takes for a service, and two that differ in their last character alone. */
const NAMES = ['a', 'm'.repeat(63), `${'platform-team-'.repeat(7)}a`, `${'platform-team-'.repeat(7)}b`];

interface Naming {
  /** Argument that says the name; where it says nothing, Pulumi puts eight characters behind the resource's own name. */
  readonly property: string;
  readonly pattern: RegExp;
  /** Whether the cloud has a name once, and not once for each cluster, registry or zone. */
  readonly isUnique?: false;
}

/**
 * What clouds take for the names of what a component makes; what is not here has no name of its own.
 * Sources: IAM and STS quotas, S3 bucket naming rules, CreateNodegroup and CreateCluster of EKS and ECR's CreateRepository for AWS;
 * naming of service accounts, buckets, GKE clusters, and Artifact Registry for Google; naming rules and restrictions for Azure
 * resources; the arguments' documentation of the providers of Alibaba Cloud and Tencent Cloud.
 */
const NAMINGS: Readonly<Record<string, Naming>> = {
  'aws:iam/role:Role': { property: 'name', pattern: /^[\w+=,.@-]{1,64}$/ },
  'aws:iam/rolePolicy:RolePolicy': { property: 'name', pattern: /^[\w+=,.@-]{1,128}$/, isUnique: false },
  'aws:s3/bucket:Bucket': { property: 'bucket', pattern: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/ },
  'aws:eks/cluster:Cluster': { property: 'name', pattern: /^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$/ },
  'aws:eks/nodeGroup:NodeGroup': { property: 'nodeGroupName', pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/ },
  'aws:ec2/launchTemplate:LaunchTemplate': { property: 'name', pattern: /^[a-zA-Z0-9().\-/_]{3,128}$/ },
  'aws:ecr/repository:Repository': { property: 'name', pattern: /^[a-z0-9]+(?:[._/-][a-z0-9]+)*$/ },
  'aws:cloudwatch/logGroup:LogGroup': { property: 'name', pattern: /^[.\-_/#A-Za-z0-9]{1,512}$/ },

  'gcp:serviceaccount/account:Account': { property: 'accountId', pattern: /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/ },
  'gcp:container/cluster:Cluster': { property: 'name', pattern: /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/ },
  'gcp:container/nodePool:NodePool': { property: 'name', pattern: /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/ },
  'gcp:storage/bucket:Bucket': { property: 'name', pattern: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/ },
  // Copies have the id of the first one, in another region.
  'gcp:artifactregistry/repository:Repository': {
    property: 'repositoryId',
    pattern: /^[a-z][a-z0-9-]{0,61}[a-z0-9]$/,
    isUnique: false,
  },

  'azure-native:storage:StorageAccount': { property: 'accountName', pattern: /^[a-z0-9]{3,24}$/ },
  'azure-native:containerregistry:Registry': { property: 'registryName', pattern: /^[a-zA-Z0-9]{5,50}$/ },
  'azure-native:containerservice:ManagedCluster': {
    property: 'resourceName',
    pattern: /^[a-zA-Z0-9][\w-]{0,61}[a-zA-Z0-9]$/,
  },
  'azure-native:containerservice:AgentPool': {
    property: 'agentPoolName',
    pattern: /^[a-z][a-z0-9]{0,11}$/,
    isUnique: false,
  },
  'azure-native:managedidentity:UserAssignedIdentity': {
    property: 'resourceName',
    pattern: /^[a-zA-Z0-9][\w-]{2,127}$/,
  },
  'azure-native:network:VirtualNetwork': { property: 'virtualNetworkName', pattern: /^[a-zA-Z0-9][\w.-]{0,62}\w$/ },
  'azure-native:network:Subnet': { property: 'subnetName', pattern: /^[a-zA-Z0-9][\w.-]{0,78}\w$/ },
  'azure-native:operationalinsights:Workspace': {
    property: 'workspaceName',
    pattern: /^[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]$/,
  },

  'alicloud:oss/bucket:Bucket': { property: 'bucket', pattern: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/ },
  'alicloud:cs/managedKubernetes:ManagedKubernetes': { property: 'name', pattern: /^[A-Za-z0-9][\w-]{0,62}$/ },
  'alicloud:cs/nodePool:NodePool': { property: 'nodePoolName', pattern: /^[A-Za-z0-9][\w-]{0,62}$/, isUnique: false },
  'alicloud:ram/role:Role': { property: 'roleName', pattern: /^[\w.-]{1,64}$/ },
  'alicloud:ram/policy:Policy': { property: 'policyName', pattern: /^[A-Za-z0-9-]{1,128}$/ },
  'alicloud:cs/registryEnterpriseNamespace:RegistryEnterpriseNamespace': {
    property: 'name',
    pattern: /^[a-z0-9][a-z0-9-]{0,118}[a-z0-9]$/,
  },
  'alicloud:cr/scanRule:ScanRule': { property: 'ruleName', pattern: /^[\w-]{1,64}$/ },

  'tencentcloud:index/camRole:CamRole': { property: 'name', pattern: /^[\w+=,.@-]{1,128}$/ },
  'tencentcloud:index/camPolicy:CamPolicy': { property: 'name', pattern: /^[\w+=,.@-]{1,128}$/ },
  'tencentcloud:index/cosBucket:CosBucket': { property: 'bucket', pattern: /^(?=.{1,60}$)[a-z0-9][a-z0-9-]*-\d+$/ },
  'tencentcloud:index/kubernetesCluster:KubernetesCluster': { property: 'clusterName', pattern: /^[\w-]{1,60}$/ },
  'tencentcloud:index/kubernetesNodePool:KubernetesNodePool': {
    property: 'name',
    pattern: /^[\w.-]{1,25}$/,
    isUnique: false,
  },
  'tencentcloud:index/tcrNamespace:TcrNamespace': { property: 'name', pattern: /^[a-z0-9][a-z0-9-]{0,28}[a-z0-9]$/ },
  'tencentcloud:index/tcrReplication:TcrReplication': {
    property: 'rule.name',
    pattern: /^[a-z0-9][a-z0-9-]{0,28}[a-z0-9]$/,
  },
};

describe.each([aws, gcp, azure, alibaba, tencent])('on $cloud', (row) => {
  test('no name of a component is too short, too long, or another one’s', async () => {
    const program = {
      program: path.join(__dirname, `programs/${row.cloud}.ts`),
      config: { names: JSON.stringify(NAMES) },
      typeCheck: false,
      onResource: row.onResource,
      onInvoke: row.onInvoke,
    };
    const { resources } = assertSucceeded(await runPulumiProgram(program));
    const made = resources.filter(({ type }) => Object.hasOwn(NAMINGS, type));
    const types = Object.keys(NAMINGS).filter((type) => type.startsWith(`${row.package}:`));
    expect([...new Set(made.map(({ type }) => type))].sort()).toEqual(types.sort());

    const wrong = made.filter((resource) => !NAMINGS[resource.type]!.pattern.test(nameOf(resource)));
    expect(wrong.map((resource) => `${resource.type} ${nameOf(resource)}`)).toEqual([]);
    for (const type of types.filter((each) => NAMINGS[each]!.isUnique !== false)) {
      // What Pulumi adds differs for each resource.
      const names = made.filter((each) => each.type === type && givenName(each) !== undefined).map(nameOf);
      expect(new Set(names).size, names.join(' ')).toBe(names.length);
    }
  });
});

/** What the cloud is told, or what Pulumi makes of the resource's own name, with eight characters more. */
function nameOf(resource: RecordedResource): string {
  const { type, name } = resource;
  const given = givenName(resource);
  if (given !== undefined) return given;
  return type.startsWith('azure-native:') ? `${name}1a2b3c4d` : `${name}-1a2b3c4`;
}

function givenName({ type, inputs }: RecordedResource): string | undefined {
  return propertyAt(inputs, NAMINGS[type]!.property) as string | undefined;
}
