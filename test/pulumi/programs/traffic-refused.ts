import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const models = [modelAt('s3://models', 'digits', { version: 1, facts: digitsFacts })];
const route = { gateway: { name: 'public', namespace: 'gateway-system' }, hostnames: ['digits.example.com'] };

/** Each makes one mistake; the configuration says which one to run. */
const mistakes: Record<string, Partial<InferenceServiceArgs>> = {
  'canary without a route': { canary: { models, weightPercent: 10 } },
  'shadow on KServe': { engine: 'kserve', shadow: { models, percent: 10 } },
  'canary that lies nowhere': { route, canary: { models: [{ name: 'digits', version: 2 }], weightPercent: 10 } },
};

new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: 'registry.example.com/slipway:1',
  models,
  ...mistakes[new pulumi.Config().require('mistake')],
});
