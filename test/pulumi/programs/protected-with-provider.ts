import * as aws from '@pulumi/aws';
import * as k8s from '@pulumi/kubernetes';
import { InferenceService, modelAt } from '../../../pulumi';
import { ModelBucket } from '../../../pulumi/aws';
import { digitsFacts } from './digits-facts';

const cluster = new k8s.Provider('cluster', { kubeconfig: '{}' });
new ModelBucket('models', {}, { protect: true, providers: [new aws.Provider('europe', { region: 'eu-west-1' })] });
new InferenceService(
  'digits',
  {
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    models: [modelAt('s3://team-models/', 'digits', { version: 1, facts: digitsFacts })],
  },
  { provider: cluster, deletedWith: cluster, aliases: [{ name: 'numbers' }] },
);
