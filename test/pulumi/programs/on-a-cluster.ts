import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const config = new pulumi.Config();

const common: InferenceServiceArgs = {
  namespace: config.require('namespace'),
  createNamespace: true,
  image: 'registry.example.com/slipway:1',
  models: [modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts })],
  minReplicas: 1,
  maxReplicas: 3,
};
const gpu = { executionProvider: 'cuda', instanceTypes: ['g6.xlarge'], metricsFrom: 'prometheus-adapter' } as const;

export const service = new InferenceService(
  'digits',
  config.get('provider') === 'cuda' ? { ...common, ...gpu } : common,
);
export const url = service.url;
