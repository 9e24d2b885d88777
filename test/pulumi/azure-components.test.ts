import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  isSecret,
  loggedErrors,
  propertyAt,
  reveal,
  runPulumiProgram,
  type PulumiRecording,
} from 'slipway/testing';
import { azureInvoke, azureState } from '../support/pulumi-azure';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const AGENT_POOL = 'azure-native:containerservice:AgentPool';
const ACCOUNT = 'azure-native:storage:StorageAccount';
const REGISTRY = 'azure-native:containerregistry:Registry';
const GRANT = 'azure-native:authorization:RoleAssignment';

let preview: PulumiRecording;
let up: PulumiRecording;
const inputsOf = (type: string, name: string) => findResource(up, type, name).inputs;
const mistake = (name: string) => (up.stackOutputs['mistakes'] as Record<string, string>)[name];

beforeAll(async () => {
  preview = assertSucceeded(await run('azure-details', true));
  up = assertSucceeded(await run('azure-details', false));
});

test('previews what up makes', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
});

describe('a cluster', () => {
  const cluster = () => inputsOf('azure-native:containerservice:ManagedCluster', 'platform');

  test('has Entra accounts and Azure’s roles alone, and no way in past its network', () => {
    expect(cluster()).toMatchObject({
      enableRBAC: true,
      disableLocalAccounts: true,
      aadProfile: {
        managed: true,
        enableAzureRBAC: true,
        adminGroupObjectIDs: ['99999999-8888-7777-6666-555555555555'],
      },
      apiServerAccessProfile: {
        enablePrivateCluster: true,
        enablePrivateClusterPublicFQDN: false,
        disableRunCommand: true,
      },
    });
    expect(mistake('bad-admins')).toMatch(/^CLUSTER_ADMINISTRATORS adminGroupIds: must name at least one Entra group/);
  });

  test('runs pods on an overlay, their policies by Cilium, and clears up images that nobody uses', () => {
    expect(cluster()).toMatchObject({
      networkProfile: {
        networkPlugin: 'azure',
        networkPluginMode: 'overlay',
        networkDataplane: 'cilium',
        networkPolicy: 'cilium',
      },
      securityProfile: { imageCleaner: { enabled: true } },
    });
  });

  test('keeps its system machines for critical add-ons, encrypted by the host and without SSH', () => {
    expect(propertyAt(cluster(), 'agentPoolProfiles[0]')).toMatchObject({
      mode: 'System',
      nodeTaints: ['CriticalAddonsOnly=true:NoSchedule'],
      enableEncryptionAtHost: true,
      enableNodePublicIP: false,
      securityProfile: { sshAccess: 'Disabled' },
    });
    const general = inputsOf(AGENT_POOL, 'platform-general');
    expect(general).toMatchObject({ mode: 'User', minCount: 0, enableEncryptionAtHost: true });
    expect(general['nodeTaints']).toBeUndefined();
  });

  test('gives machines back although pods have scratch space on them', () => {
    expect(propertyAt(cluster(), 'autoScalerProfile.skipNodesWithLocalStorage')).toBe('false');
  });

  test('may join its own network before it is made', () => {
    const grant = findResource(up, GRANT, 'platform-network');
    expect(grant.inputs).toMatchObject({
      principalType: 'ServicePrincipal',
      scope: expect.stringMatching(/\/virtualNetworks\/platform1a2b3c$/),
      roleDefinitionId: expect.stringMatching(/\/4d97b98b-1d4f-4787-a291-c67834d212e7$/),
    });
    const { dependencies } = findResource(up, 'azure-native:containerservice:ManagedCluster', 'platform');
    expect(dependencies).toContain(grant.urn);
  });

  test('is asked by kubelogin, at its private address and with no key', () => {
    const { kubeconfig } = up.stackOutputs;
    expect(isSecret(kubeconfig)).toBe(true);
    const config = JSON.parse(reveal(kubeconfig!) as string);
    expect(config.clusters[0].cluster).toEqual({
      server: 'https://platform.privatelink.westeurope.azmk8s.io:443',
      'certificate-authority-data': Buffer.from('a certificate').toString('base64'),
    });
    expect(config.users[0].user).toEqual({
      exec: expect.objectContaining({
        command: 'kubelogin',
        args: ['get-token', '--login', 'azurecli', '--server-id', '6dae42f8-4368-4678-94ff-3960e28e3630'],
      }),
    });
  });

  test('takes a network, a workspace and less protection, where the author says so', () => {
    const children = findDescendants(up, findResource(up, 'slipway:azure:Cluster', 'open').urn);
    expect(children.map(({ type }) => type).filter((type) => /network:|operationalinsights/.test(type))).toEqual([]);
    expect(children.filter(({ protect }) => protect)).toEqual([]);
    expect(inputsOf(GRANT, 'open-network')['scope']).toMatch(/\/virtualNetworks\/hub$/);
    const profile = propertyAt(
      inputsOf('azure-native:containerservice:ManagedCluster', 'open'),
      'agentPoolProfiles[0]',
    );
    expect(profile).toMatchObject({
      enableEncryptionAtHost: false,
      vnetSubnetID: expect.stringMatching(/gpus$/),
      minCount: 3,
      maxCount: 6,
    });
    expect(mistake('bad-system')).toBe('NUMBER_INVALID systemNodes: must be a number from 1 to 100, got 0');
  });
});

describe('a GPU instance group', () => {
  test('is named as Azure takes it, in the subnet of its cluster', () => {
    expect(inputsOf(AGENT_POOL, 'T4-pool.a')).toMatchObject({
      agentPoolName: 't4poola',
      nodeLabels: { 'slipway.dev/pool': 'T4-pool.a' },
      vnetSubnetID: expect.stringMatching(/\/subnets\/platform-nodes$/),
      mode: 'User',
      enableEncryptionAtHost: true,
      securityProfile: { sshAccess: 'Disabled' },
      gpuProfile: { driver: 'Install' },
      nodeTaints: ['nvidia.com/gpu=present:NoSchedule'],
    });
    expect(findResource(up, AGENT_POOL, 'T4-pool.a')).toMatchObject({ deleteBeforeReplace: true });
  });

  test.each(['bad-long-pool-name', '4bad', 'bad-given'])('%s cannot be a name of an agent pool', (name) => {
    expect(mistake(name)).toMatch(/^NAME_INVALID agentPoolName: .*1 to 12 lower-case letters and digits/);
  });

  test('starts one more machine for an upgrade, but for spot, of which Azure takes none', () => {
    expect(inputsOf(AGENT_POOL, 'T4-pool.a')['upgradeSettings']).toEqual({ maxSurge: '1' });
    const spot = inputsOf(AGENT_POOL, 'spot');
    expect(spot).toMatchObject({ scaleSetPriority: 'Spot', scaleSetEvictionPolicy: 'Delete', spotMaxPrice: -1 });
    expect(spot['upgradeSettings']).toBeUndefined();
    expect(spot['nodeTaints']).toEqual([
      'nvidia.com/gpu=present:NoSchedule',
      'kubernetes.azure.com/scalesetpriority=spot:NoSchedule',
    ]);
  });

  test('parts GPUs by MIG where they can be parted', () => {
    expect(inputsOf(AGENT_POOL, 'a-group-of-a100s')).toMatchObject({
      agentPoolName: 'a100',
      gpuInstanceProfile: 'MIG1g',
      availabilityZones: ['1'],
      enableEncryptionAtHost: false,
    });
    expect((up.stackOutputs['placements'] as object[])[0]).toMatchObject({
      gpuResourceName: 'nvidia.com/mig-1g.10gb',
      sharesPerGpu: 7,
      maxGpus: 2,
    });
    expect(mistake('bad-mig')).toMatch(/^GPU_SHARING_INVALID sharing.strategy: the T4 of Standard_NC4as_T4_v3 cannot/);
    expect(mistake('bad-slices')).toMatch(/^GPU_SHARING_INVALID sharing.migProfile: AKS parts GPUs by 1, 2, 3, 4, 7/);
  });

  test('takes no machine of another cloud', () => {
    expect(mistake('bad-cloud')).toMatch(/^UNKNOWN_INSTANCE_TYPE instanceTypes\[0\]: got 'g6.xlarge', a type of AWS/);
  });
});

describe('an image repository', () => {
  test('has no password, and lets the machines of its clusters pull', () => {
    expect(inputsOf(REGISTRY, 'images')).toMatchObject({
      adminUserEnabled: false,
      anonymousPullEnabled: false,
      sku: { name: 'Premium' },
    });
    expect(inputsOf(GRANT, 'images-pull/platform')).toMatchObject({
      principalId: 'platform-kubelet',
      scope: expect.stringMatching(/\/registries\/images1a2b3c$/),
      roleDefinitionId: expect.stringMatching(/\/7f951dda-4ed3-4680-a7ca-43fe172d538d$/),
    });
    expect(mistake('bad-puller')).toMatch(/^CLUSTER_MISMATCH pulledBy\[0\].kubeletPrincipalId: must be given/);
    expect(mistake('bad-existing')).toMatch(/^CLUSTER_MISMATCH pulledBy: goes with a registry that is made here/);
  });

  test('is reached from no network but those that are named', () => {
    const closed = { defaultAction: 'Deny', ipRules: [] };
    expect(inputsOf(REGISTRY, 'closed-images')).toMatchObject({
      publicNetworkAccess: 'Disabled',
      networkRuleSet: closed,
    });
    expect(inputsOf(REGISTRY, 'images')).toMatchObject({ publicNetworkAccess: 'Disabled', networkRuleSet: closed });
    expect(inputsOf(REGISTRY, 'shared-zone')).toMatchObject({
      publicNetworkAccess: 'Enabled',
      networkRuleSet: { defaultAction: 'Deny', ipRules: [{ action: 'Allow', iPAddressOrRange: '203.0.113.0/24' }] },
    });
    expect(inputsOf(REGISTRY, 'plain')['publicNetworkAccess']).toBe('Enabled');
    expect(mistake('bad-plain')).toMatch(
      /^REGISTRY_SKU publicNetworkAccess: must be true for sku 'Standard', got false/,
    );
    expect(mistake('bad-open')).toMatch(/^REGISTRY_CHOICE ipRanges: closes nothing with publicNetworkAccess: true/);
  });

  test('is found by the machines of its subnet at a private endpoint, before they are told of it', () => {
    expect(inputsOf('azure-native:network:PrivateEndpoint', 'images')).toMatchObject({
      subnet: { id: expect.stringMatching(/\/subnets\/platform-nodes$/) },
      privateLinkServiceConnections: [
        { privateLinkServiceId: expect.stringMatching(/\/registries\/images1a2b3c$/), groupIds: ['registry'] },
      ],
    });
    expect(inputsOf('azure-native:privatedns:PrivateZone', 'images')['privateZoneName']).toBe('privatelink.azurecr.io');
    expect(inputsOf('azure-native:privatedns:VirtualNetworkLink', 'images')).toMatchObject({
      privateZoneName: 'privatelink.azurecr.io',
      virtualNetwork: { id: expect.stringMatching(/\/virtualNetworks\/platform1a2b3c$/) },
      registrationEnabled: false,
    });
    expect(inputsOf('azure-native:network:PrivateDnsZoneGroup', 'images')).toMatchObject({
      privateEndpointName: 'images1a2b3c',
      privateDnsZoneConfigs: [
        { privateDnsZoneId: expect.stringMatching(/\/privateDnsZones\/privatelink.azurecr.io$/) },
      ],
    });
    expect(up.stackOutputs['imageUri']).toBe('images1a2b3c.azurecr.io/images');
    // The registry is kept, the endpoint is not: its subnet could not go.
    const kept = (type: string) => findResource(up, type, 'images').retainOnDelete;
    expect([REGISTRY, 'azure-native:network:PrivateEndpoint'].map(kept)).toEqual([true, false]);
  });

  test('uses the zone that a network has, which takes no second one', () => {
    const component = findResource(up, 'slipway:azure:ImageRepository', 'shared-zone');
    const types = findDescendants(up, component.urn).map(({ type }) => type);
    expect(types.filter((type) => type.startsWith('azure-native:privatedns:'))).toEqual([]);
    expect(
      propertyAt(inputsOf('azure-native:network:PrivateDnsZoneGroup', 'shared-zone'), 'privateDnsZoneConfigs[0]'),
    ).toEqual({
      name: 'registry',
      privateDnsZoneId: expect.stringMatching(/^\/subscriptions\/s\/.*privatelink\.azurecr\.io$/),
    });
    expect(mistake('bad-zone')).toMatch(/^REGISTRY_CHOICE privateDnsZoneId: is for the private endpoint in subnetId/);
  });

  test('of the standard tier clears nothing up, and refuses to be told when', () => {
    const { sku, policies, registryName } = inputsOf(REGISTRY, 'plain');
    expect({ sku, policies, registryName }).toEqual({ sku: { name: 'Standard' }, registryName: 'plainimages' });
    expect(mistake('bad-plain-subnet')).toMatch(/^REGISTRY_SKU subnetId: is for sku 'Premium' alone/);
    expect(mistake('bad-copies')).toBe("REGISTRY_SKU replicateTo: is for sku 'Premium' alone, got it with 'Standard'");
    expect(mistake('bad-sku')).toBe("REGISTRY_SKU untaggedDays: is for sku 'Premium' alone, got it with 'Standard'");
  });
});

describe('a model bucket', () => {
  test('is reached by nobody but private endpoints, and opened by no key, unless its author says so', () => {
    expect(inputsOf(ACCOUNT, 'team-models')).toMatchObject({
      allowSharedKeyAccess: false,
      allowBlobPublicAccess: false,
      allowCrossTenantReplication: false,
      publicNetworkAccess: 'Disabled',
      networkRuleSet: { defaultAction: 'Deny', bypass: 'None', virtualNetworkRules: [], ipRules: [] },
      minimumTlsVersion: 'TLS1_2',
    });
    const reached = inputsOf(ACCOUNT, 'reached');
    expect(reached).toMatchObject({
      allowSharedKeyAccess: false,
      accountName: 'reachedmodels',
      sku: { name: 'Standard_LRS' },
      publicNetworkAccess: 'Enabled',
      networkRuleSet: {
        defaultAction: 'Deny',
        virtualNetworkRules: [{ virtualNetworkResourceId: expect.stringMatching(/platform-nodes$/), action: 'Allow' }],
        ipRules: [{ iPAddressOrRange: '203.0.113.0/24', action: 'Allow' }],
      },
    });
  });

  test('has a name of its own in all of Azure, the same in preview and update', () => {
    const name = inputsOf(ACCOUNT, 'team-models')['accountName'];
    expect(name).toMatch(/^teammodels[0-9a-f]{13}$/);
    expect(findResource(preview, ACCOUNT, 'team-models').inputs['accountName']).toBe(name);
    expect(inputsOf(ACCOUNT, 'late')['accountName']).toMatch(/^late[0-9a-f]{13}$/);
    for (const uri of up.stackOutputs['uris'] as string[]) expect(uri).toMatch(/^az:\/\/[a-z0-9-]+\/models$/);
  });

  test('and a registry take no name that Azure would refuse', () => {
    expect(mistake('bad-account')).toBe(
      "NAME_INVALID accountName: must be 3 to 24 lower-case letters and digits, got 'team-models'",
    );
    expect(mistake('bad-registry')).toBe(
      "NAME_INVALID registryName: must be 5 to 50 letters and digits, got 'team.images'",
    );
  });

  test('brings back what was overwritten or deleted for as many days as old versions stay', () => {
    expect(inputsOf('azure-native:storage:BlobServiceProperties', 'team-models')).toMatchObject({
      isVersioningEnabled: true,
      deleteRetentionPolicy: { enabled: true, days: 90 },
      containerDeleteRetentionPolicy: { enabled: true, days: 90 },
    });
    expect(mistake('bad-days')).toBe('NUMBER_INVALID noncurrentVersionDays: must be a number from 1 to 365, got 366');
  });

  test('publishes no file without the account’s key, which Pulumi uploads with', () => {
    expect(mistake('bad-upload')).toMatch(/^ACCOUNT_KEY_NEEDED digits.modelFromFile: .*uploadWithAccountKey: true$/);
  });

  test('refuses a key that is not named as Azure Resource Manager names it, known or not', async () => {
    const sentence = "ENCRYPTION_KEY_INVALID encryptionKey: must be the id of a key in Azure Resource Manager, '/sub";
    expect(mistake('bad-key')).toContain(sentence);
    const recording = await run('azure-late-key', false);
    expect(recording.exitCode).not.toBe(0);
    expect(loggedErrors(recording).join('\n')).toContain(`${sentence}`);
    expect(loggedErrors(recording).join('\n')).toContain("got 'keys'");
  });
});

describe('a workload identity', () => {
  const READ = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read';
  const PATH = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path';

  test('reads blobs below the prefixes of its models, by one role for each bucket', () => {
    expect(inputsOf(GRANT, 'reader-read/team-models')).toMatchObject({
      scope: expect.stringMatching(/\/storageAccounts\/team-models1a2b3c\/blobServices\/default\/containers\/models$/),
      principalId: 'reader-principal',
      conditionVersion: '2.0',
      condition: `((!(ActionMatches{'${READ}'})) OR (@Resource[${PATH}] StringStartsWith 'digits/' OR @Resource[${PATH}] StringStartsWith 'resnet50/'))`,
    });
    expect(inputsOf(GRANT, 'reader-read/reached')).toMatchObject({
      scope: expect.stringMatching(/\/storageAccounts\/reached1a2b3c\//),
      condition: `((!(ActionMatches{'${READ}'})) OR (@Resource[${PATH}] StringStartsWith 'digits/'))`,
    });
  });

  test('cannot be widened by the name of a model, nor made longer than Azure takes', () => {
    expect(mistake('bad-name')).toMatch(/^MODEL_NAME_INVALID reads\[0\].name: /);
    expect(mistake('bad-models')).toMatch(/^POLICY_TOO_LARGE reads: 80 models of one bucket make a condition of \d+/);
  });

  test('trusts tokens of one service account of its cluster alone', () => {
    expect(inputsOf('azure-native:managedidentity:FederatedIdentityCredential', 'reader')).toMatchObject({
      issuer: 'https://westeurope.oic.prod-aks.azure.com/platform/',
      subject: 'system:serviceaccount:inference:reader',
      audiences: ['api://AzureADTokenExchange'],
      resourceName: 'reader1a2b3c',
    });
  });

  test('that is there already is bound and nothing more', () => {
    const known = findResource(up, 'slipway:azure:WorkloadIdentity', 'known');
    expect(findDescendants(up, known.urn)).toEqual([]);
    expect(up.stackOutputs['binding']).toEqual({
      serviceAccountName: 'known',
      serviceAccountAnnotations: { 'azure.workload.identity/client-id': 'a-client' },
      podLabels: { 'azure.workload.identity/use': 'true' },
      egress: [{ cidr: '0.0.0.0/0', port: 443 }],
      environment: { AZURE_CLIENT_ID: 'a-client' },
    });
  });
});

function run(program: string, isPreview: boolean): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs', `${program}.ts`),
    typeCheck: false,
    onResource: azureState,
    onInvoke: azureInvoke,
    preview: isPreview,
  });
}
