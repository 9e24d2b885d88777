import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, modelInImage, type InferenceServiceArgs } from '../../../pulumi';
import {
  GpuInstanceGroup,
  type GpuInstanceGroupArgs,
  ImageRepository,
  ModelBucket,
  WorkloadIdentity,
} from '../../../pulumi/aws';
import { digitsFacts, digitsModel } from './digits-facts';

const digits = modelAt('s3://models', 'digits', { version: 1, facts: digitsFacts });
const cluster = { name: 'c', subnetIds: ['subnet-a'] };
const image = 'registry.example.com/slipway:1';

/** Each makes one mistake; the configuration says which one to run. */
const mistakes: Record<string, () => unknown> = {
  'replica range': () => service({ minReplicas: 3, maxReplicas: 2 }),
  'no scaling source for a GPU': () => service({ executionProvider: 'cuda', createNamespace: true }),
  'no facts': () => service({ models: [modelAt('s3://models', 'digits', { version: 1 })] }),
  'identity of another account': () => {
    const reads = [new ModelBucket('models').model('digits', { version: 1, facts: digitsFacts })];
    const { binding } = new WorkloadIdentity('other', { cluster, namespace: 'inference', reads });
    return service({ models: reads, identity: binding });
  },
  'model that lies nowhere': () => service({ models: [{ name: 'digits', version: 1, onnxFile: digitsModel }] }),
  'model in a tagged image': () => service({ models: [{ name: 'digits', version: 1, image: 'models:1' }] }),
  'pool that no rollout could leave': () =>
    service({ placement: group(['g6.xlarge']).placement, metricsFrom: 'keda', minReplicas: 2 }),
  'no replica and nothing to wake it': () => service({ minReplicas: 0 }),
  'image volume on an old cluster': () =>
    service({
      models: [modelInImage(`models@sha256:${'ab'.repeat(32)}`, 'digits', { version: 1, facts: digitsFacts })],
      kubernetesVersion: '1.33',
    }),
  'model in an image that turns out tagged': () =>
    service({ models: [{ name: 'digits', version: 1, onnxFile: digitsModel, image: pulumi.output('models:1') }] }),
  'nothing to read': () => new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads: [] }),
  'tag instead of digest': () => new ImageRepository('images').imageByDigest('latest'),
  'unknown instance type': () => group(['g9.xlarge']),
  'mixed GPU counts': () => group(['g6.xlarge', 'g6.12xlarge']),
  'disk too small': () => group(['g6.xlarge'], { diskSizeGiB: 8 }),
  'manifest not there': () => modelAt('s3://models', 'digits', { manifest: 'nowhere.json' }),
  'bucket model without version': () => new ModelBucket('models').model('digits', { onnxFile: digitsModel }),
  'file that is not ONNX': () => new ModelBucket('models').model('digits', { version: 1, onnxFile: __filename }),
};

mistakes[new pulumi.Config().require('mistake')]!();

function service(args: Partial<InferenceServiceArgs>): InferenceService {
  return new InferenceService('digits', { namespace: 'inference', image, models: [digits], ...args });
}

function group(instanceTypes: string[], args: Partial<GpuInstanceGroupArgs> = {}): GpuInstanceGroup {
  return new GpuInstanceGroup('gpu', { cluster, instanceTypes, maxSize: 2, ...args });
}
