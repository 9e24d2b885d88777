import {
  Cluster,
  GpuInstanceGroup,
  ImageRepository,
  ModelBucket,
  Provider,
  WorkloadIdentity,
} from '../../../../pulumi/tencent';
import type {
  BucketFacts,
  ClusterArgs,
  ClusterFacts,
  ExistingBucketArgs,
  ImageMirrorArgs,
  RegistryArgs,
} from '../../../../pulumi/tencent';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface Place {
  /** Of registries. */
  readonly registry: RegistryArgs;
  /** Of buckets. */
  readonly region: string;
  readonly appId: string;
}

interface TencentTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: Place;
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
  mirror: ImageMirrorArgs;
}

const region = 'ap-guangzhou';
const ownerUin = '100000000001';
const oidcIssuerUrl = 'https://ap-guangzhou-oidc.tke.tencentcs.com/id/1a2b3c';
const network = { vpcId: 'vpc-1', subnetIds: ['subnet-a', 'subnet-b'], securityGroupIds: ['sg-1'] };

const fixture: CloudFixture<TencentTypes> = {
  components: { Cluster, GpuInstanceGroup: Priced(), ImageRepository, ModelBucket, WorkloadIdentity },
  clusterArgs: { region, ...network, encryptionKey: 'key-abc', tags: { team: 'vision', stage: 'test' } },
  existingCluster: { id: 'cls-1', region, ownerUin, oidcIssuerUrl, ...network },
  lateCluster: (late) => ({
    ...{ id: late('cls-1'), region: late(region), ownerUin: late(ownerUin), oidcIssuerUrl: late(oidcIssuerUrl) },
    ...{ vpcId: late('vpc-1'), subnetIds: late('subnet-a').apply((id) => [id]) },
    securityGroupIds: late('sg-1').apply((id) => [id]),
  }),
  place: { registry: { id: 'tcr-team', domain: 'team.tencentcloudcr.com' }, region, appId: '1250000000' },
  encryptionKey: 'key-abc',
  existingBucket: { name: 'team-models-1250000000' },
  existingRepository: 'team.tencentcloudcr.com/inference/slipway',
  mirror: {
    region: 'ap-shanghai',
    to: { region: 'ap-shanghai', registryId: 'tcr-east', uri: 'east.tencentcloudcr.com/images/slipway' },
  },
  instanceType: 'PNV4.7XLARGE116',
  impossibleInstanceTypes: ['PNV4.7XLARGE116', 'PNV4.14XLARGE232'],
  hasImageSettings: false,
  provider: (name) => new Provider(name, { region: 'ap-shanghai' }),
};

/** The contract knows no price, which spot machines need here. */
function Priced(): typeof GpuInstanceGroup {
  return class extends GpuInstanceGroup {
    constructor(...[name, args, opts]: ConstructorParameters<typeof GpuInstanceGroup>) {
      super(name, args.spot === true ? { ...args, spotMaxPrice: '8.50' } : args, opts);
    }
  };
}

// What only Tencent Cloud has: GPUs of another name, MIG by a switch, a role that is there already.
const cluster = fixture.existingCluster;
const types = ['GT4.4XLARGE96'];
const parts = new GpuInstanceGroup('parts', {
  cluster,
  instanceTypes: types,
  maxSize: 1,
  sharing: { strategy: 'mig', podsPerGpu: 7, migProfile: '1g.5gb' },
  driverVersion: '535.161.08',
  keyIds: ['skey-1'],
});
const named = new GpuInstanceGroup('named', {
  cluster,
  instanceTypes: ['PNV4.7XLARGE116', 'GN7.2XLARGE32'],
  maxSize: 1,
  gpuResourceName: 'tke.cloud.tencent.com/qgpu-core',
});
const models = new ModelBucket('models', { ...fixture.place, existing: fixture.existingBucket });
const role = new WorkloadIdentity('role-is-there', {
  cluster,
  namespace: 'inference',
  reads: [models.model('digits', { version: 1 })],
  existingRoleName: 'readers',
});

const elsewhere = new Cluster('elsewhere', {
  region,
  ...network,
  podSubnetIds: ['subnet-pods'],
  serviceCidr: '10.200.0.0/24',
  kubernetesVersion: '1.32.2',
  systemNodes: 3,
  systemInstanceType: 'S6.LARGE16',
  deletionProtection: false,
});

export const elsewhereFacts = elsewhere.facts;
export const partsPlacement = parts.placement;
export const namedPlacement = named.placement;
export const roleBinding = role.binding;
export const { urls, mirror, kubeconfig, mistakes } = deployContract(fixture);

const group = { cluster, instanceTypes: ['PNV4.7XLARGE116'], maxSize: 1 };
export const further = Object.fromEntries(
  Object.entries({
    'bad-spot': () => new GpuInstanceGroup('bad-spot', { ...group, spot: true }),
    'bad-price': () => new GpuInstanceGroup('bad-price', { ...group, spot: true, spotMaxPrice: 'cheap' }),
    'bad-account': () => new ModelBucket('bad-account', { region, appId: 'team' }),
    'bad-registry': () => new ImageRepository('bad-registry', {}),
    'bad-far': () =>
      new ImageRepository('bad-far', {
        registry: fixture.place.registry,
        replicateTo: [{ region: 'ap-atlantis', registryId: 'tcr-far', uri: 'far.tencentcloudcr.com/images/slipway' }],
      }),
    'bad-nodes': () => new Cluster('bad-nodes', { region, ...network, systemNodes: 1 }),
    'bad-services': () => new Cluster('bad-services', { region, ...network, serviceCidr: '172.21.0.0/28' }),
  }).map(([name, make]) => {
    try {
      make();
      return [name, 'nothing was refused'];
    } catch (error) {
      return [name, (error as Error).message];
    }
  }),
);
