import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';

const config = new pulumi.Config();

const service = new InferenceService('digits', {
  engine: 'kserve',
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' })],
  minReplicas: 1,
  maxReplicas: 4,
});

export const url = service.url;
