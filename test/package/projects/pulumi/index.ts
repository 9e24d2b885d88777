import * as pulumi from '@pulumi/pulumi';
import { PORTS } from 'slipway';
import { InferenceService } from 'slipway/pulumi';
import { ModelBucket, WorkloadIdentity } from 'slipway/pulumi/aws';
import { readOnnxModel } from 'slipway/runtime';

const namespace = 'inference';
const cluster = { name: 'platform', subnetIds: ['subnet-a'] };
const models = new ModelBucket('models');
const digits = models.model('digits', { version: 1, facts: readOnnxModel('../model.onnx').facts });
const identity = new WorkloadIdentity('digits', { cluster, namespace, reads: [digits] });
const service = new InferenceService('digits', {
  namespace,
  image: 'registry.example/slipway@sha256:' + 'ab'.repeat(32),
  models: [digits],
  identity: identity.binding,
});
export const url: pulumi.Output<string> = service.url;
export const port = PORTS.http;
