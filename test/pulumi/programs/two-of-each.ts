import { InferenceService } from '../../../pulumi';
import { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } from '../../../pulumi/aws';
import { digitsFacts } from './digits-facts';

const cluster = { name: 'platform', subnetIds: ['subnet-a'] };
const instanceTypes = { one: ['g6.xlarge'], two: ['g6.xlarge', 'g5.xlarge'] };

for (const name of ['one', 'two'] as const) {
  new ImageRepository(name);
  new GpuInstanceGroup(name, {
    cluster,
    instanceTypes: instanceTypes[name],
    maxSize: 1,
  });
  const model = new ModelBucket(name).model('digits', { version: 1, facts: digitsFacts });
  const identity = new WorkloadIdentity(name, { cluster, namespace: 'inference', reads: [model] });
  new InferenceService(name, {
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    models: [model],
    identity: identity.binding,
  });
}
