import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from 'slipway/pulumi/alibaba';

const config = new pulumi.Config();
const namespace = 'inference';

const platform = new Cluster('platform', { vswitchIds: config.requireObject<string[]>('vswitchIds') });
const images = new ImageRepository('slipway', { instanceId: config.require('registryInstance') });
const models = new ModelBucket('models');
const gpu = new GpuInstanceGroup('gpu', {
  // Of a cluster that is there already: { id: 'c…', vswitchIds, oidcIssuerUrl, oidcProviderArn, region }.
  cluster: platform.facts,
  instanceTypes: ['ecs.gn7i-c8g1.2xlarge'],
  maxSize: 4,
});

// Who is outside of the VPC pushes to `images.publicUri`, where the instance has its public endpoint on.
export const imageRepository = images.uri;
export const modelRepository = models.uri;

// The first `pulumi up` makes the places, then they are filled:
//   slipway image push "$(pulumi stack output imageRepository)" --variant cuda
//   slipway model publish model.onnx repository --manifest-file digits.manifest.json
//   ossutil cp --recursive repository/ "$(pulumi stack output modelRepository)/"
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
    { providers: [platform.provider] },
  );
  return service.url;
}
