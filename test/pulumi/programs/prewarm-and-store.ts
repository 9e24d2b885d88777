import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { ImagePrewarm, InferenceService, ModelStore } from '../../../pulumi';

const config = new pulumi.Config();
const digest = `sha256:${'a'.repeat(64)}`;
const image = `registry.example.com/slipway@${digest}`;
const made = new k8s.core.v1.Namespace('warm', {
  metadata: { name: config.require('namespace'), labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});
const namespace = made.metadata.name;

// What a service needs is on the machines before it rolls out.
const warm = new ImagePrewarm('warm', {
  namespace,
  serverImages: [image],
  modelImages: [`registry.example.com/models/digits@${digest}`],
  pauseImage: `registry.example.com/pause@${digest}`,
  placement: {
    nodeSelector: { 'nvidia.com/gpu.present': 'true' },
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
    gpuResourceName: 'nvidia.com/gpu',
  },
});
new ImagePrewarm('late', { namespace, serverImages: [pulumi.interpolate`${namespace}.example.com/slipway@${digest}`] });

const store = new ModelStore('models', { namespace, image, sizeGiB: 20, storageClassName: 'nfs' });
const digits = store.model('digits', {
  repositoryUri: 'https://models.example.com/',
  manifest: config.require('manifest'),
});
new InferenceService(
  'digits',
  { namespace, image, models: [digits], minReplicas: 1, maxReplicas: 2 },
  { dependsOn: [warm] },
);

const other = new ModelStore(
  'others',
  {
    namespace,
    image,
    existingClaim: 'shared',
    sourcePorts: [8443],
    identity: {
      serviceAccountName: 'reader',
      serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/reader' },
      podLabels: { 'azure.workload.identity/use': 'true' },
      egress: [{ cidr: '169.254.170.23/32', port: 80 }],
      environment: { AWS_REGION: 'eu-west-1' },
    },
  },
  { protect: true },
);
const source = { repositoryUri: 's3://team-models', manifest: config.require('manifest') };
export const claims = [digits, other.model('digits', source)].map(({ mount }) => mount!.volume!.claimName);
export const isOne = other.model('digits', source) === other.model('digits', source);
