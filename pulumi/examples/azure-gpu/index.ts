import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from 'slipway/pulumi/azure';

const config = new pulumi.Config();
const resourceGroupName = config.require('resourceGroupName');
const namespace = 'inference';

const platform = new Cluster('platform', {
  resourceGroupName,
  adminGroupIds: config.requireObject<string[]>('adminGroupIds'),
});
// Machines, and those who publish, reach registry and models; nobody else does.
const ipRanges = config.requireObject<string[]>('publisherAddresses');
const subnetId = platform.subnet!.id;
const images = new ImageRepository('slipway', { resourceGroupName, pulledBy: [platform.facts], subnetId, ipRanges });
const models = new ModelBucket('models', { resourceGroupName, subnetIds: [subnetId], ipRanges });
const gpu = new GpuInstanceGroup('gpu', {
  cluster: platform.facts,
  instanceTypes: ['Standard_NC4as_T4_v3'],
  maxSize: 4,
});

export const imageRepository = images.uri;
export const modelRepository = models.uri;

// The first `pulumi up` makes the places, then they are filled:
//   slipway image push "$(pulumi stack output imageRepository)" --variant cuda
//   slipway model publish model.onnx repository --manifest-file digits.manifest.json
//   az storage blob upload-batch --auth-mode login --source repository --account-name … --destination models
//   pulumi config set imageDigest sha256:…        (what image push printed behind the @)
// and the second one serves the model.
const imageDigest = config.get('imageDigest');
export const url = imageDigest === undefined ? undefined : serveDigits(imageDigest);

function serveDigits(digest: string): pulumi.Output<string> {
  const digits = models.model('digits', { manifest: 'digits.manifest.json' });
  const identity = new WorkloadIdentity('digits', { cluster: platform.facts, namespace, reads: [digits] });
  const service = new InferenceService(
    'digits',
    {
      namespace,
      createNamespace: true,
      image: images.imageByDigest(digest),
      models: [digits],
      placement: gpu.placement,
      identity: identity.binding,
      executionProvider: 'cuda',
      minReplicas: 1,
      maxReplicas: 3,
      // KEDA reads the saturation of the replicas from the Prometheus of the cluster.
      metricsFrom: 'keda',
    },
    // Without the cluster there is nothing left to delete one by one.
    { providers: [platform.provider], deletedWith: platform.cluster },
  );
  return service.url;
}
