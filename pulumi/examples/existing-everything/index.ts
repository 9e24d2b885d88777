import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import { ModelBucket, WorkloadIdentity } from 'slipway/pulumi/aws';

const config = new pulumi.Config();
const namespace = 'inference';

// Nothing of this is made here: a cluster by its name, …
const cluster = { name: config.require('clusterName'), subnetIds: [] };
// … machines by the label and the taint that they have, …
const placement = {
  nodeSelector: { 'node.example.com/kind': 'gpu' },
  tolerations: [{ key: 'example.com/gpu', operator: 'Exists' as const, effect: 'NoSchedule' as const }],
  gpuResourceName: 'nvidia.com/gpu',
  instanceTypes: ['g4dn.xlarge'],
  maxGpus: 8,
};
// … a bucket by its name.
const models = new ModelBucket('models', { existing: { name: config.require('bucket') } });
const digits = models.model('digits', { manifest: 'digits.manifest.json' });

// An identity is bound to the service account; one that is bound already is a literal, as `ServiceIdentity` says.
const identity = new WorkloadIdentity('digits', { cluster, namespace, reads: [digits] });

const service = new InferenceService('digits', {
  namespace,
  image: config.require('image'),
  models: [digits],
  placement,
  identity: identity.binding,
  executionProvider: 'cuda',
  minReplicas: 1,
  maxReplicas: 4,
  metricsFrom: 'keda',
});

export const url = service.url;
