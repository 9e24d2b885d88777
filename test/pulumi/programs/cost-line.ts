import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { GpuInstanceGroup } from '../../../pulumi/aws';
import { digitsFacts } from './digits-facts';

const cluster = { name: 'east', subnetIds: ['subnet-1'] };

const idle = new GpuInstanceGroup('idle', { cluster, instanceTypes: ['g6.xlarge'], maxSize: 8 });
new GpuInstanceGroup('base', { cluster, instanceTypes: ['g6e.xlarge'], minSize: 2, maxSize: 4 });
new GpuInstanceGroup('burst', { cluster, instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxSize: 16, spot: true });
new GpuInstanceGroup('unpriced', { cluster, instanceTypes: ['p4d.24xlarge'], maxSize: 1, spot: true });

const service: InferenceServiceArgs = {
  namespace: 'inference',
  image: 'registry.example.com/slipway:1',
  models: [modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts })],
  executionProvider: 'cuda',
  metricsFrom: 'keda',
  minReplicas: 1,
  maxReplicas: 7,
};
new InferenceService('on-a-group', { ...service, placement: idle.placement });
new InferenceService('shared', { ...service, placement: { ...idle.placement, sharesPerGpu: 4 } });
const wake = { schedule: { windows: [{ start: '0 7 * * 1-5', end: '0 19 * * 1-5' }] } };
new InferenceService('asleep', { ...service, instanceTypes: ['g2-standard-4'], minReplicas: 0, wake });
// Sized for the first machine of the catalogue, which nobody said there is; and one without a list.
new InferenceService('somewhere', service);
new InferenceService('priceless', { ...service, instanceTypes: ['PNV4.7XLARGE116'] });
