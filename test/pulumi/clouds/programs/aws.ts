import * as aws from '@pulumi/aws';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../../pulumi/aws';
import type { BucketFacts, ClusterArgs, ClusterFacts, ExistingBucketArgs } from '../../../../pulumi/aws';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface AwsTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: object;
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
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

export const irsaBinding = irsa.binding;
export const { urls, kubeconfig, mistakes } = deployContract(fixture);
