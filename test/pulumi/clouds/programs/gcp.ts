import * as gcp from '@pulumi/gcp';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../../pulumi/gcp';
import type { BucketFacts, ClusterArgs, ClusterFacts, ExistingBucketArgs } from '../../../../pulumi/gcp';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface GcpTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: { location: string };
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
  mirror: string;
}

const location = 'europe-west4';
const encryptionKey = 'projects/team-vision/locations/europe-west4/keyRings/ring/cryptoKeys/abc';

const fixture: CloudFixture<GcpTypes> = {
  components: { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity },
  clusterArgs: {
    location,
    network: 'shared',
    subnetwork: 'inference',
    encryptionKey,
    tags: { team: 'vision', stage: 'test' },
  },
  existingCluster: { name: 'platform', location, project: 'team-vision', projectNumber: '123456789012' },
  lateCluster: (late) => ({ name: late('platform'), location: late(location) }),
  place: { location },
  encryptionKey,
  existingBucket: { name: 'team-models' },
  existingRepository: 'europe-west4-docker.pkg.dev/team-vision/images/slipway',
  mirror: { region: 'asia-east1', to: 'asia-east1' },
  instanceType: 'g2-standard-8',
  impossibleInstanceTypes: ['g2-standard-8', 'g2-standard-12'],
  provider: (name) => new gcp.Provider(name, { project: 'another-team', region: 'europe-west1' }),
};

// What only Google has: parts of a GPU, zones of a pool, and an account of Google's behind the pods' own.
const cluster = fixture.existingCluster;
const group = { cluster, maxSize: 1, zones: ['europe-west4-b'] };
const parts = new GpuInstanceGroup('parts', {
  ...group,
  instanceTypes: ['a2-highgpu-1g'],
  sharing: { strategy: 'mig', podsPerGpu: 7, migProfile: '1g.5gb' },
});
const reads = [
  new ModelBucket('models', { location, existing: { name: 'team-models' } }).model('digits', { version: 1 }),
];
const existingServiceAccount = 'readers@team-vision.iam.gserviceaccount.com';
const impersonating = new WorkloadIdentity('impersonating', {
  cluster,
  namespace: 'inference',
  reads,
  existingServiceAccount,
});

// A model that moves to another bucket is read from both for a while.
const moved = new ModelBucket('moved', { location, existing: { name: 'other-models' } }).model('digits', {
  version: 1,
});
new WorkloadIdentity('moving', { cluster, namespace: 'inference', reads: [...reads, moved] });

const spread = { cluster, instanceTypes: ['g2-standard-8'], minSize: 2, maxSize: 2 };
new GpuInstanceGroup('in-two-zones', { ...spread, zones: ['europe-west4-a', 'europe-west4-b'] });
new GpuInstanceGroup('in-a-zone', { ...spread, cluster: { ...cluster, location: 'europe-west4-b' } });
new GpuInstanceGroup('in-a-region', spread);

export const partsPlacement = parts.placement;
export const impersonatingBinding = impersonating.binding;
export const { urls, mirror, kubeconfig, mistakes } = deployContract(fixture);
