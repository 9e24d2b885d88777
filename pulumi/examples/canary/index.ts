import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';

const config = new pulumi.Config();
const modelRepository = config.require('modelRepository');

const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [modelAt(modelRepository, 'digits', { manifest: 'digits.manifest.json' })],
  minReplicas: 2,
  maxReplicas: 8,
  route: { gateway: { name: 'public', namespace: 'gateway-system' }, hostnames: ['digits.models.example.com'] },
  // Remove it once the verdict is good, and serve digits-2 above: that is the promotion.
  canary: {
    models: [modelAt(modelRepository, 'digits', { manifest: 'digits-2.manifest.json' })],
    weightPercent: 10,
    verdict: { bakeSeconds: 600 },
  },
});

export const url = service.url;
