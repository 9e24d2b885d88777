import * as pulumi from '@pulumi/pulumi';
import {
  ImagePrewarm,
  ModelStore,
  PlatformAddons,
  type ImagePrewarmArgs,
  type ModelStoreArgs,
  type PlatformAddonsArgs,
  type StoredModelSource,
} from '../../../pulumi';

const image = `registry.example.com/slipway@sha256:${'a'.repeat(64)}`;
const tag = 'registry.example.com/slipway:1';

/** Each makes one mistake; the configuration says which one to run. */
const mistakes: Record<string, () => unknown> = {
  'two device plugins': () => addons({ devicePlugin: {}, gpuOperator: {} }),
  'HTTP add-on alone': () => addons({ kedaHttp: {} }),
  'mirror for the operator': () => addons({ gpuOperator: {}, mirror: { images: 'registry.example.com' } }),
  'mirror with half a login': () => addons({ keda: {}, mirror: { charts: 'oci://a.example.com/b', username: 'me' } }),
  'mirror with a slash': () => addons({ keda: {}, mirror: { images: 'registry.example.com/' } }),
  'mirror that is no OCI registry': () => addons({ keda: {}, mirror: { charts: 'https://charts.example.com' } }),
  'existing with a version': () => addons({ keda: { existing: true, version: '2.0.0' } }),
  'existing and adopted': () => addons({ keda: { existing: true, adopt: true } }),
  'time slices of one': () => addons({ devicePlugin: { sharing: { strategy: 'timeSlicing', podsPerGpu: 1 } } }),
  'timeout of a second': () => addons({ keda: {}, timeoutSeconds: 1 }),
  'nothing to pull': () => prewarm({}),
  'models and nothing to wait': () => prewarm({ modelImages: [image] }),
  'image by tag': () => prewarm({ serverImages: [image, tag] }),
  'late image by tag': () => prewarm({ serverImages: [pulumi.output(tag)] }),
  'store with a name that no object has': () => new ModelStore('Models', { namespace: 'inference', image, sizeGiB: 1 }),
  'store of no size': () => store({}),
  'store of two sizes': () => store({ sizeGiB: 1, existingClaim: 'models' }),
  'class of a claim that is there': () => store({ existingClaim: 'models', storageClassName: 'nfs' }),
  'store by tag': () => store({ sizeGiB: 1, image: tag }),
  'manifest not there': () => store({ sizeGiB: 1 }).model('digits', source()),
  'manifest of no file': () => store({ sizeGiB: 1 }).model('digits', { ...source(), manifest: undefined!, version: 1 }),
};

mistakes[new pulumi.Config().require('mistake')]!();

function source(): StoredModelSource {
  return { repositoryUri: 's3://models', manifest: new pulumi.Config().get('manifest') ?? 'nowhere.json' };
}

function addons(args: PlatformAddonsArgs): PlatformAddons {
  return new PlatformAddons('platform', args);
}

function prewarm(args: Partial<ImagePrewarmArgs>): ImagePrewarm {
  return new ImagePrewarm('warm', { namespace: 'inference', ...args });
}

function store(args: Partial<ModelStoreArgs>): ModelStore {
  return new ModelStore('models', { namespace: 'inference', image, ...args });
}
