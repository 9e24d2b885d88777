import * as pulumi from '@pulumi/pulumi';
import { NO_IDENTITY } from 'slipway';
import { InferenceService, modelAt } from 'slipway/pulumi';

const config = new pulumi.Config();

// `slipway model publish model.onnx <modelRepository> --manifest-file digits.manifest.json` left the manifest here: the
// plan takes sizes and budgets from it, and every replica proves that it serves exactly these bytes.
const digits = modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' });

// Pods need an identity to read the bucket: the network policy keeps them from the rights of their node. This is the way
// of EKS with IRSA, `pulumi config set readerRoleArn arn:…`; other clouds have annotations of their own.
const readerRole = config.get('readerRoleArn');
const serviceAccountAnnotations: Record<string, string> =
  readerRole === undefined ? {} : { 'eks.amazonaws.com/role-arn': readerRole };

const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [digits],
  identity: { ...NO_IDENTITY, serviceAccountAnnotations },
  minReplicas: 1,
  maxReplicas: 4,
});

export const url = service.url;
