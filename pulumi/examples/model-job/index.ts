import { readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import { ModelJob } from 'slipway/pulumi';

const config = new pulumi.Config();
const namespace = 'models';
const image = config.require('image');
const dataClaim = config.require('dataClaim');

// Who may write the model repository. This is the way of EKS with IRSA, `pulumi config set publisherRoleArn arn:…`; a
// WorkloadIdentity gives the same for every cloud.
const publisherRole = config.get('publisherRoleArn');
const serviceAccountAnnotations: Record<string, string> =
  publisherRole === undefined ? {} : { 'eks.amazonaws.com/role-arn': publisherRole };

// Each recipe is a pod of its own: what a closed gate refuses leaves the others alone.
const recipes = [0.5, 0.7].map(
  (accuracy) => `model: digits
source: /data/model.onnx
steps:
  - evaluate: { data: /data/rows.jsonl, task: classification, min-accuracy: ${accuracy} }
`,
);
const trials = new ModelJob('trials', { namespace, image, dataClaim, recipes, parallelism: 2 });

// A repository of each environment: the file names none.
const published = new ModelJob(
  'publish',
  {
    namespace,
    image,
    dataClaim,
    pipeline: `repository: ${config.require('modelRepository')}\n${readFileSync('pipeline.yaml', 'utf8')}`,
    identity: { serviceAccountAnnotations },
  },
  { dependsOn: [trials] },
);

export const job = published.jobName;
