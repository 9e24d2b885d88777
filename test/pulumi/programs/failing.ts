import * as pulumi from '@pulumi/pulumi';
import { ImagePrewarm, InferenceService, ModelStore, modelAt, PlatformAddons } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const digest = `sha256:${'ab'.repeat(32)}`;
const common = {
  namespace: 'inference',
  image: `registry.example.com/slipway@${digest}`,
  models: [modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts })],
  minReplicas: 1,
  maxReplicas: 3,
};

// Every component that makes objects which a cluster may refuse, most of them of one name.
new InferenceService('digits', { ...common, metricsFrom: 'keda' });
new InferenceService('gpus', {
  ...common,
  executionProvider: 'cuda',
  instanceTypes: ['g6.xlarge'],
  metricsFrom: 'prometheus-adapter',
});
new InferenceService('routed', {
  ...common,
  route: { gateway: { name: 'public', namespace: 'gateways' }, hostnames: ['digits.example.com'] },
});
// Another one of that name, which is allowed below another parent.
const team = new pulumi.ComponentResource('test:index:Team', 'team');
new InferenceService('digits', { ...common, namespace: 'team' }, { parent: team });
new ImagePrewarm('digits', { namespace: 'inference', serverImages: [common.image] });
new PlatformAddons('digits', { keda: {} });
new ModelStore('digits', { namespace: 'inference', image: common.image, sizeGiB: 1 }).model('digits', {
  repositoryUri: 's3://team-models',
  manifest: new pulumi.Config().require('manifest'),
});
