import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';

const config = new pulumi.Config();

// `slipway model publish model.onnx <modelRepository> --manifest-file digits.manifest.json` left the manifest here: the
// plan takes sizes and budgets from it, and every replica proves that it serves exactly these bytes.
const digits = modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' });

const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [digits],
  minReplicas: 1,
  maxReplicas: 4,
});

export const url = service.url;
