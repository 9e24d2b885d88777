import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { ModelJob } from '../../../pulumi';

const config = new pulumi.Config();
const image = `registry.example.com/slipway@sha256:${'a'.repeat(64)}`;
const made = new k8s.core.v1.Namespace('models', {
  metadata: { name: config.require('namespace'), labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});
const namespace = made.metadata.name;
const pipeline = (sparsity: number) => `model: digits
source: /data/model.onnx
steps:
  - prune: { method: magnitude, sparsity: ${sparsity}, samples: /data/rows.jsonl }
  - evaluate: { data: /data/rows.jsonl, task: classification, min-accuracy: 95% }
`;

const wrong = config.get('wrong');
if (wrong === undefined) {
  new ModelJob(
    'one',
    {
      namespace,
      image,
      pipeline: pipeline(0.5),
      files: { 'labels.txt': 'zero\none\n' },
      identity: {
        serviceAccountName: 'publisher',
        serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/publisher' },
        podLabels: { 'azure.workload.identity/use': 'true' },
        egress: [{ cidr: '169.254.170.23/32', port: 80 }],
        environment: { AWS_REGION: 'eu-west-1' },
      },
    },
    { protect: true },
  );
  new ModelJob('matrix', {
    namespace,
    image,
    recipes: [0.3, 0.5, 0.7].map(pipeline),
    parallelism: 2,
    ttlSeconds: 86_400,
    waitForCompletion: false,
  });
  new ModelJob('teach', {
    namespace,
    image,
    command: ['slipway'],
    pipeline: pipeline(0.5),
    gpuCount: 1,
    placement: {
      nodeSelector: { 'nvidia.com/gpu.present': 'true' },
      tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
      gpuResourceName: 'nvidia.com/gpu',
    },
    waitForCompletion: false,
  });
} else {
  new ModelJob(wrong === 'name' ? 'Not_A_Name' : 'one', {
    namespace,
    image,
    ...(wrong === 'neither' ? {} : { pipeline: pipeline(0.5) }),
    ...(wrong === 'both' ? { recipes: [pipeline(0.5)] } : {}),
    ...(wrong === 'file' ? { files: { '0.yaml': '' } } : {}),
    ...(wrong === 'parallelism' ? { parallelism: 2 } : {}),
  });
}
