import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const config = new pulumi.Config();
const namespace = config.require('namespace');

const version = (number: number) => modelAt('s3://team-models', 'digits', { version: number, facts: digitsFacts });
const common: InferenceServiceArgs = {
  namespace,
  createNamespace: true,
  image: 'registry.example.com/slipway:1',
  models: [version(1)],
  minReplicas: 2,
  maxReplicas: 4,
};
const route = {
  gateway: { name: 'public', namespace: 'gateway-system', section: 'https' },
  hostnames: ['digits.models.example.com'],
  grpcHostnames: ['digits.grpc.example.com'],
};
const routed = { ...common, route };
const canary = { models: [version(2)], weightPercent: 10 };

const KINDS: Record<string, InferenceServiceArgs> = {
  routed,
  canary10: { ...routed, canary: { ...canary, verdict: { bakeSeconds: 60 } } },
  canary50: { ...routed, canary: { ...canary, weightPercent: 50, verdict: { bakeSeconds: 60 } } },
  promoted: { ...routed, models: [version(2)] },
  nextCanary: { ...routed, canary: { models: [version(3)], weightPercent: 10, verdict: { bakeSeconds: 60 } } },
  shadow: { ...routed, shadow: { models: [version(2)], percent: 25 } },
  kserve: { ...common, engine: 'kserve', metricsFrom: 'keda', canary },
  kserveCpu: { ...common, engine: 'kserve' },
};

const service = new InferenceService('digits', KINDS[config.require('kind')]!);
export const url = service.url;
