import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import {
  Cluster,
  GpuInstanceGroup,
  ImageRepository,
  ModelBucket,
  WorkloadIdentity,
  type RegistryArgs,
} from 'slipway/pulumi/tencent';

// Experimental: nothing of it was ever run against an account.
const config = new pulumi.Config();
const namespace = 'inference';
const region = config.require('region');

const platform = new Cluster('platform', {
  region,
  vpcId: config.require('vpcId'),
  subnetIds: config.requireObject<string[]>('subnetIds'),
  securityGroupIds: config.requireObject<string[]>('securityGroupIds'),
});
const images = new ImageRepository('slipway', { registry: config.requireObject<RegistryArgs>('registry') });
const models = new ModelBucket('models', { region, appId: config.require('appId') });
const gpu = new GpuInstanceGroup('gpu', {
  // Of a cluster that is there already: { id: 'cls-…', region, vpcId, subnetIds, securityGroupIds, ownerUin, oidcIssuerUrl }.
  cluster: platform.facts,
  instanceTypes: ['PNV4.7XLARGE116'],
  maxSize: 4,
});

export const imageRepository = images.uri;
export const modelRepository = models.uri;

// The first `pulumi up` makes the places, then they are filled:
//   slipway image push "$(pulumi stack output imageRepository)" --variant cuda
//   slipway model publish model.onnx repository --manifest-file digits.manifest.json
//   coscli cp repository/ "$(pulumi stack output modelRepository)/" --recursive
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
