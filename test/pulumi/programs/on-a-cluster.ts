import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const config = new pulumi.Config();

const common: InferenceServiceArgs = {
  namespace: config.require('namespace'),
  createNamespace: true,
  image: config.get('image') ?? `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`,
  models: [modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts })],
  minReplicas: 1,
  maxReplicas: 3,
};
const gpu: Partial<InferenceServiceArgs> = {
  executionProvider: 'cuda',
  instanceTypes: ['g6.xlarge'],
  metricsFrom: 'prometheus-adapter',
};
const KINDS: Record<string, InferenceServiceArgs> = {
  cpu: common,
  cuda: { ...common, ...gpu },
  keda: { ...common, metricsFrom: 'keda' },
  routed: {
    ...common,
    route: { gateway: { name: 'public', namespace: 'gateways' }, hostnames: ['digits.example.com'] },
  },
};

const service = new InferenceService('digits', KINDS[config.require('kind')]!);
export const url = service.url;
