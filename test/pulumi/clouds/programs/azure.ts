import { Provider } from '@pulumi/azure-native';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../../pulumi/azure';
import type { BucketFacts, ClusterArgs, ClusterFacts, ExistingBucketArgs } from '../../../../pulumi/azure';
import type { CloudFixture } from '../cloud-fixture';
import { deployContract } from '../contract-program';

interface Place {
  readonly resourceGroupName: string;
  /** Of buckets alone: without it, nothing can be published from a file. */
  readonly uploadWithAccountKey: boolean;
}

interface AzureTypes {
  facts: ClusterFacts;
  clusterArgs: ClusterArgs;
  place: Place;
  bucketFacts: BucketFacts;
  existingBucket: ExistingBucketArgs;
  mirror: string;
}

const resourceGroupName = 'inference';
const vault = '/subscriptions/s/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/team';

const fixture: CloudFixture<AzureTypes> = {
  components: { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity },
  clusterArgs: {
    resourceGroupName,
    adminGroupIds: ['99999999-8888-7777-6666-555555555555'],
    tags: { team: 'vision', stage: 'test' },
  },
  existingCluster: { resourceGroupName, name: 'platform', oidcIssuerUrl: 'https://oidc.example.com/platform/' },
  lateCluster: (late) => ({
    resourceGroupName: late(resourceGroupName),
    name: late('platform'),
    oidcIssuerUrl: late('https://oidc.example.com/late/'),
  }),
  place: { resourceGroupName, uploadWithAccountKey: true },
  encryptionKey: `${vault}/keys/abc`,
  existingBucket: { accountName: 'teammodels', containerName: 'published' },
  existingRepository: 'team.azurecr.io/slipway',
  mirror: { region: 'eastasia', to: 'eastasia' },
  instanceType: 'Standard_NC4as_T4_v3',
  impossibleInstanceTypes: ['Standard_NC4as_T4_v3', 'Standard_NC8as_T4_v3'],
  // Agent pools have twelve characters, and a name that does not fit is refused.
  groupName: (name) => ({ agentPoolName: `pool${name.length}${name.slice(-1)}` }),
  provider: (name) => new Provider(name, { location: 'westeurope' }),
};

export const { urls, mirror, kubeconfig, mistakes } = deployContract(fixture);
