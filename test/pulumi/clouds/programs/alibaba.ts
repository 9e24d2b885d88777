import { Provider } from '@pulumi/alicloud/provider';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../../pulumi/alibaba';
import type {
  BucketFacts,
  ClusterArgs,
  ClusterFacts,
  ExistingBucketArgs,
  ImageMirrorArgs,
} from '../../../../pulumi/alibaba';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface AlibabaTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: { instanceId?: string };
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
  mirror: ImageMirrorArgs;
}

const vswitchIds = ['vsw-a', 'vsw-b'];
const encryptionKey = 'key-hzz-abc';
const oidcProviderArn = 'acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1';
const oidcIssuerUrl = 'https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c1';

const fixture: CloudFixture<AlibabaTypes> = {
  components: { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity },
  clusterArgs: { vswitchIds, encryptionKey, tags: { team: 'vision', stage: 'test' } },
  existingCluster: { id: 'c1', vswitchIds, oidcIssuerUrl, oidcProviderArn },
  lateCluster: (late) => ({
    id: late('c1'),
    vswitchIds: late('vsw-a').apply((id) => [id]),
    oidcIssuerUrl: late(oidcIssuerUrl),
    oidcProviderArn: late(oidcProviderArn),
  }),
  place: { instanceId: 'cri-team' },
  encryptionKey,
  existingBucket: { name: 'team-models' },
  existingRepository: 'team-registry-vpc.cn-hangzhou.cr.aliyuncs.com/inference/slipway',
  mirror: {
    region: 'cn-shanghai',
    to: {
      region: 'cn-shanghai',
      instanceId: 'cri-shanghai',
      uri: 'east-registry-vpc.cn-shanghai.cr.aliyuncs.com/images/slipway',
    },
  },
  instanceType: 'ecs.gn7i-c8g1.2xlarge',
  impossibleInstanceTypes: ['ecs.gn7i-c8g1.2xlarge', 'ecs.gn7i-2x.8xlarge'],
  hasImageSettings: false,
  provider: (name) => new Provider(name, { region: 'cn-beijing' }),
};

// What only Alibaba Cloud has: an instance that is bought, a cluster that says its region, a role that is there already.
const bought = new ImageRepository('bought', {
  subscription: { edition: 'Advanced', months: 12 },
  keepOnDelete: false,
});
const here = { ...fixture.existingCluster, region: 'cn-hangzhou' };
const near = new ModelBucket('near', { existing: { name: 'team-models', region: 'cn-hangzhou' } });
const far = new ModelBucket('far', { existing: { name: 'models-of-others', region: 'cn-beijing' } });
const existingRoleName = 'readers';
const identityOf = (name: string, bucket: ModelBucket) =>
  new WorkloadIdentity(name, {
    cluster: here,
    namespace: 'inference',
    reads: [bucket.model('digits', { version: 1 })],
    existingRoleName,
  });
new GpuInstanceGroup('driven', {
  cluster: here,
  instanceTypes: [fixture.instanceType],
  maxSize: 1,
  driverVersion: '580.126.09',
  diskEncryptionKey: encryptionKey,
  keyName: 'operators',
});

export const boughtUri = bought.uri;
export const boughtPublicUri = bought.publicUri;
export const nearBinding = identityOf('near', near).binding;
export const farBinding = identityOf('far', far).binding;
export const { urls, mirror, kubeconfig, mistakes } = deployContract(fixture);

export const further = Object.fromEntries(
  Object.entries({
    'bad-disk-2': () =>
      new GpuInstanceGroup('bad-disk-2', {
        cluster: here,
        instanceTypes: [fixture.instanceType],
        maxSize: 1,
        diskSizeGiB: 4096,
      }),
    'bad-registry': () => new ImageRepository('bad-registry', {}),
    'bad-registries': () =>
      new ImageRepository('bad-registries', { instanceId: 'cri-a', subscription: { edition: 'Basic' } }),
    'bad-months': () => new ImageRepository('bad-months', { subscription: { edition: 'Basic', months: 5 } }),
    'bad-nodes': () => new Cluster('bad-nodes', { vswitchIds, systemNodes: 1 }),
  }).map(([name, make]) => {
    try {
      make();
      return [name, 'nothing was refused'];
    } catch (error) {
      return [name, (error as Error).message];
    }
  }),
);
