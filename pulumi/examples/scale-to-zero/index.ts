import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';

const config = new pulumi.Config();

// KEDA's HTTP add-on stands in front: it answers 503 with Retry-After while the first replica starts, and nobody waits at
// an open connection. `PlatformAddons` of a stack of its own installs it.
const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' })],
  minReplicas: 0,
  maxReplicas: 4,
  metricsFrom: 'keda',
  wake: { interceptor: { hosts: ['digits.models.example.com'] } },
});

export const url = service.url;
