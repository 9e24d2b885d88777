import * as aws from '@pulumi/aws';
import {
  Cluster,
  GpuInstanceGroup,
  ImageRegistry,
  ImageRepository,
  ModelBucket,
  WorkloadIdentity,
} from '../../../../pulumi/aws';
import type { BucketFacts, ClusterArgs, ClusterFacts, ExistingBucketArgs } from '../../../../pulumi/aws';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface AwsTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: object;
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
  mirror: string;
}

const subnetIds = ['subnet-a', 'subnet-b'];
const tags = { team: 'vision', stage: 'test' };

const fixture: CloudFixture<AwsTypes> = {
  components: { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity },
  clusterArgs: {
    subnetIds,
    permissionsBoundaryArn: 'arn:aws-cn:iam::123456789012:policy/boundary',
    adminRoleArns: ['arn:aws-cn:iam::123456789012:role/platform-team'],
    tags,
  },
  existingCluster: { name: 'platform', subnetIds },
  lateCluster: (late) => ({ name: late('platform'), subnetIds: late('subnet-a').apply((id) => [id]) }),
  place: {},
  encryptionKey: 'arn:aws-cn:kms:cn-north-1:123456789012:key/abc',
  existingBucket: { name: 'team-models' },
  existingRepository: '123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/slipway',
  mirror: { region: 'cn-northwest-1', to: 'cn-northwest-1' },
  instanceType: 'g6.xlarge',
  impossibleInstanceTypes: ['g6.xlarge', 'g6.12xlarge'],
  provider: (name) => new aws.Provider(name, { region: 'eu-west-1' }),
};

// What only AWS has: tokens of an OIDC provider instead of the agent, and a role that is already there.
const oidcProviderArn = 'arn:aws-cn:iam::123456789012:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/ABC';
const existing = new ModelBucket('irsa', { existing: { name: 'team-models', region: 'cn-northwest-1' } });
const reads = [existing.model('digits', { version: 1 })];
const cluster = { name: 'platform' };
const irsa = new WorkloadIdentity('irsa', { cluster, namespace: 'inference', reads, oidcProviderArn });
const existingRoleArn = 'arn:aws-cn:iam::123456789012:role/readers';
new WorkloadIdentity('role-is-there', { cluster, namespace: 'inference', reads, existingRoleArn });

const adminRoleArns = ['auditors', 'platform-team', 'auditors'].map(
  (role) => `arn:aws-cn:iam::123456789012:role/${role}`,
);
new Cluster('administered', { subnetIds, adminRoleArns });

// The one setting of the account's registry.
new ImageRegistry('everything', { replicateTo: ['cn-northwest-1'] });
new ImageRegistry(
  'ours',
  { replicateTo: ['eu-central-1', 'us-east-1'], replicatedPrefixes: ['slipway'] },
  { protect: true, providers: [fixture.provider('registry')] },
);

export const irsaBinding = irsa.binding;
export const { urls, mirror, kubeconfig, mistakes } = deployContract(fixture);

const inEurope = ['eu-central-1'];
export const further = Object.fromEntries(
  Object.entries({
    'bad-registry': () => new ImageRegistry('bad-registry', { replicateTo: [] }),
    'bad-region': () => new ImageRegistry('bad-region', { replicateTo: ['Frankfurt'] }),
    'bad-key': () => new ImageRepository('bad-key', { replicateTo: inEurope, encryptionKey: fixture.encryptionKey }),
  }).map(([name, make]) => {
    try {
      make();
      return [name, 'nothing was refused'];
    } catch (error) {
      return [name, (error as Error).message];
    }
  }),
);
