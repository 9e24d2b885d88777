import path from 'node:path';
import { ResourceGroup } from '@pulumi/azure-native/resources';
import {
  Cluster,
  GpuInstanceGroup,
  ImageRepository,
  ModelBucket,
  WorkloadIdentity,
  type ClusterFacts,
} from '../../../pulumi/azure';
import { refusalOf } from '../../support/pulumi-refusal';

const resourceGroupName = 'inference';
const adminGroupIds = ['99999999-8888-7777-6666-555555555555'];
const existing: ClusterFacts = { resourceGroupName, name: 'platform', oidcIssuerUrl: 'https://oidc.example.com/' };
const a100 = 'Standard_NC24ads_A100_v4';
const subnetId = '/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/gpus';

const group = new ResourceGroup('late');
const platform = new Cluster('platform', { resourceGroupName, adminGroupIds });
new Cluster('open', {
  resourceGroupName,
  adminGroupIds,
  subnetId,
  encryptionAtHost: false,
  deletionProtection: false,
  systemNodes: 3,
  logAnalyticsWorkspaceId: '/subscriptions/s/resourceGroups/logs/providers/Microsoft.OperationalInsights/workspaces/w',
});

new GpuInstanceGroup('T4-pool.a', { cluster: platform.facts, instanceTypes: ['Standard_NC4as_T4_v3'], maxSize: 2 });
const parted = new GpuInstanceGroup('a-group-of-a100s', {
  cluster: existing,
  instanceTypes: [a100],
  maxSize: 2,
  agentPoolName: 'a100',
  zones: ['1'],
  encryptionAtHost: false,
  sharing: { strategy: 'mig', podsPerGpu: 7, migProfile: '1g.10gb' },
});
const spot = new GpuInstanceGroup('spot', { cluster: existing, instanceTypes: [a100], maxSize: 2, spot: true });

const images = new ImageRepository('images', {
  resourceGroupName,
  pulledBy: [platform.facts],
  subnetId: platform.facts.subnetId!,
  tags: { team: 'vision' },
});
new ImageRepository('closed-images', { resourceGroupName });
new ImageRepository('shared-zone', {
  resourceGroupName,
  subnetId,
  privateDnsZoneId:
    '/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io',
  ipRanges: ['203.0.113.0/24'],
});
new ImageRepository('plain', {
  resourceGroupName,
  sku: 'Standard',
  publicNetworkAccess: true,
  registryName: 'plainimages',
});

const closed = new ModelBucket('team-models', { resourceGroupName });
const reached = new ModelBucket('reached', {
  resourceGroupName,
  subnetIds: [platform.facts.subnetId!],
  ipRanges: ['203.0.113.0/24'],
  redundancy: 'Standard_LRS',
  accountName: 'reachedmodels',
});
const late = new ModelBucket('late', { resourceGroupName: group.name });
const version = { version: 1 };
new WorkloadIdentity('reader', {
  cluster: platform.facts,
  namespace: 'inference',
  reads: [closed.model('digits', version), closed.model('resnet50', version), reached.model('digits', version)],
});
const known = new WorkloadIdentity('known', {
  cluster: existing,
  namespace: 'inference',
  reads: [closed.model('digits', version)],
  existingClientId: 'a-client',
});

const digits = path.resolve(__dirname, '../../../models/digits/model.onnx');
const many = Array.from({ length: 80 }, (_, i) => closed.model(`a-model-with-a-long-name-${i}`, version));
const gpus = (name: string, args: object) =>
  new GpuInstanceGroup(name, { cluster: existing, instanceTypes: [a100], maxSize: 2, ...args });
const made: Record<string, () => unknown> = {
  'bad-long-pool-name': () => gpus('bad-long-pool-name', {}),
  '4bad': () => gpus('4bad', {}),
  'bad-given': () => gpus('bad-given', { agentPoolName: 'GPU_1' }),
  'bad-cloud': () => gpus('bad-cloud', { instanceTypes: ['g6.xlarge'] }),
  'bad-mig': () =>
    gpus('bad-mig', {
      instanceTypes: ['Standard_NC4as_T4_v3'],
      sharing: { strategy: 'mig', podsPerGpu: 7, migProfile: '1g.5gb' },
    }),
  'bad-slices': () => gpus('bad-slices', { sharing: { strategy: 'mig', podsPerGpu: 1, migProfile: '5g.40gb' } }),
  'bad-upload': () => closed.modelFromFile('digits', digits),
  'bad-models': () => new WorkloadIdentity('bad-models', { cluster: existing, namespace: 'x', reads: many }),
  'bad-name': () =>
    new WorkloadIdentity('bad-name', {
      cluster: existing,
      namespace: 'x',
      reads: [{ name: "x' OR '' StringEquals '", bucket: closed.facts }],
    }),
  'bad-system': () => new Cluster('bad-system', { resourceGroupName, adminGroupIds, systemNodes: 0 }),
  'bad-admins': () => new Cluster('bad-admins', { resourceGroupName, adminGroupIds: [] }),
  'bad-puller': () => new ImageRepository('bad-puller', { resourceGroupName, pulledBy: [existing] }),
  'bad-existing': () =>
    new ImageRepository('bad-existing', { resourceGroupName, existing: 'a.azurecr.io/b', pulledBy: [platform.facts] }),
  'bad-copies': () =>
    new ImageRepository('bad-copies', { resourceGroupName, sku: 'Standard', replicateTo: ['westeurope'] }),
  'bad-plain': () => new ImageRepository('bad-plain', { resourceGroupName, sku: 'Standard' }),
  'bad-plain-subnet': () =>
    new ImageRepository('bad-plain-subnet', {
      resourceGroupName,
      sku: 'Standard',
      publicNetworkAccess: true,
      subnetId,
    }),
  'bad-open': () =>
    new ImageRepository('bad-open', { resourceGroupName, publicNetworkAccess: true, ipRanges: ['203.0.113.7'] }),
  'bad-zone': () => new ImageRepository('bad-zone', { resourceGroupName, privateDnsZoneId: 'a-zone' }),
  'bad-sku': () => new ImageRepository('bad-sku', { resourceGroupName, sku: 'Standard', untaggedDays: 7 }),
  'bad-key': () => new ModelBucket('bad-key', { resourceGroupName, encryptionKey: 'https://v.vault.azure.net/keys/k' }),
  'bad-account': () => new ModelBucket('bad-account', { resourceGroupName, accountName: 'team-models' }),
  'bad-registry': () => new ImageRepository('bad-registry', { resourceGroupName, registryName: 'team.images' }),
  'bad-days': () => new ModelBucket('bad-days', { resourceGroupName, noncurrentVersionDays: 366 }),
};

export const mistakes = Object.fromEntries(Object.entries(made).map(([name, make]) => [name, refusalOf(make)]));
export const uris = [closed.uri, late.uri];
export const imageUri = images.uri;
export const kubeconfig = platform.kubeconfig;
export const binding = known.binding;
export const placements = [parted.placement, spot.placement];
