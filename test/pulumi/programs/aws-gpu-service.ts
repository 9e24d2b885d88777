import { InferenceService } from '../../../pulumi';
import { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../pulumi/aws';
import { digitsFacts } from './digits-facts';

const cluster = { name: 'platform', subnetIds: ['subnet-a', 'subnet-b'] };
const namespace = 'inference';

const images = new ImageRepository('images');
const models = new ModelBucket('models');
const t4 = new GpuInstanceGroup('t4', {
  cluster,
  instanceTypes: ['g4dn.xlarge', 'g4dn.2xlarge'],
  maxSize: 4,
  spot: true,
});
const digits = models.model('digits', { version: 3, facts: digitsFacts });
const identity = new WorkloadIdentity('digits', { cluster, namespace, reads: [digits] });
const service = new InferenceService('digits', {
  namespace,
  createNamespace: true,
  image: images.imageByDigest(`sha256:${'ab'.repeat(32)}`),
  models: [digits],
  placement: t4.placement,
  identity: identity.binding,
  executionProvider: 'cuda',
  instanceTypes: ['g4dn.xlarge', 'g4dn.2xlarge'],
  minReplicas: 1,
  maxReplicas: 4,
  metricsFrom: 'keda',
});

export const url = service.url;
export const bucket = models.uri;
export const repository = images.uri;
export const roleArn = identity.roleArn;
