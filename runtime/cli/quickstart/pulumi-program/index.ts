import { readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import type { InferenceServiceSpec } from 'slipway';
import { InferenceService } from 'slipway/pulumi';
import { ImageRepository, ModelBucket, WorkloadIdentity } from 'slipway/pulumi/aws';

// Left beside this program by the quickstart: the spec that it served on your machine, and the manifest of the model.
const spec = JSON.parse(readFileSync('service.json', 'utf8')) as Omit<InferenceServiceSpec, 'models' | 'instanceTypes'>;
const manifest = 'digits.manifest.json';

const config = new pulumi.Config();
const images = new ImageRepository('slipway');
const bucket = new ModelBucket('models');

// The service needs an image, and the image needs its repository: the first update makes the repository, and once
// `slipway image push` has printed a digest, `pulumi config set imageDigest sha256:…` and a second update bring the service.
const imageDigest = config.get('imageDigest');
const service = imageDigest === undefined ? undefined : serve(imageDigest);

function serve(digest: string): InferenceService {
  const clusterName = config.require('clusterName');
  const namespace = 'inference';
  const digits = bucket.model('digits', { manifest });
  const identity = new WorkloadIdentity(spec.name, { cluster: { name: clusterName }, namespace, reads: [digits] });
  return new InferenceService(spec.name, {
    ...spec,
    models: [digits],
    namespace,
    createNamespace: true,
    image: images.imageByDigest(digest),
    identity: identity.binding,
    clusterName,
  });
}

/** Where to push the image, where to publish the model, and where the service answers inside the cluster. */
export const imageRepository = images.uri;
export const modelRepository = bucket.uri;
export const url = service?.url;
