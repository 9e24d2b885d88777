import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from 'slipway/pulumi/aws';

const config = new pulumi.Config();
const cluster = { name: config.require('clusterName'), subnetIds: config.requireObject<string[]>('subnetIds') };
const namespace = 'inference';
const instanceTypes = ['g4dn.xlarge', 'g4dn.2xlarge'];

const images = new ImageRepository('slipway');
const models = new ModelBucket('models');
const gpu = new GpuInstanceGroup('gpu', {
  cluster,
  instanceTypes,
  maxSize: 4,
});

export const imageRepository = images.uri;
export const modelRepository = models.uri;

// The first `pulumi up` makes the places, then they are filled:
//   slipway image push "$(pulumi stack output imageRepository)" --variant cuda
//   slipway model publish model.onnx "$(pulumi stack output modelRepository)" --manifest-file digits.manifest.json
//   pulumi config set imageDigest sha256:…        (what image push printed behind the @)
// and the second one serves the model.
const imageDigest = config.get('imageDigest');
export const url = imageDigest === undefined ? undefined : serveDigits(imageDigest);

function serveDigits(digest: string): pulumi.Output<string> {
  const digits = models.model('digits', { manifest: 'digits.manifest.json' });
  const identity = new WorkloadIdentity('digits', { cluster, namespace, reads: [digits] });
  const service = new InferenceService('digits', {
    namespace,
    createNamespace: true,
    image: images.imageByDigest(digest),
    models: [digits],
    placement: gpu.placement,
    identity: identity.binding,
    executionProvider: 'cuda',
    instanceTypes,
    minReplicas: 1,
    maxReplicas: 4,
    // KEDA reads the saturation of the replicas from the Prometheus of the cluster.
    metricsFrom: 'keda',
  });
  return service.url;
}
