import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from 'slipway/pulumi';
import { GpuInstanceGroup, ModelBucket, WorkloadIdentity } from 'slipway/pulumi/aws';

const config = new pulumi.Config();
const cluster = { name: config.require('clusterName'), subnetIds: config.requireObject<string[]>('subnetIds') };
const image = config.require('image');

// The platform team: machines and models.
const gpu = new GpuInstanceGroup('gpu', { cluster, instanceTypes: ['g4dn.xlarge'], maxSize: 4 });
const models = new ModelBucket('models');

// Each team has a namespace, half of the GPUs, and an identity that reads its own models alone.
const urls = ['vision', 'forms'].map((team) => serve(team));
export const [url, formsUrl] = urls;

function serve(team: string): pulumi.Output<string> {
  const digits = models.model('digits', { manifest: 'digits.manifest.json' });
  const identity = new WorkloadIdentity(team, {
    cluster,
    namespace: team,
    serviceAccountName: 'digits',
    reads: [digits],
  });
  const service = new InferenceService(team, {
    serviceName: 'digits',
    namespace: team,
    createNamespace: true,
    image,
    models: [digits],
    placement: gpu.placement,
    identity: identity.binding,
    executionProvider: 'cuda',
    minReplicas: 1,
    maxReplicas: 2,
    // The quota leaves no room for a replica that is one too many.
    spareReplica: false,
    metricsFrom: 'keda',
  });
  new k8s.core.v1.ResourceQuota(
    team,
    { metadata: { name: 'gpus', namespace: team }, spec: { hard: { 'requests.nvidia.com/gpu': '2' } } },
    { dependsOn: service.namespace ?? [] },
  );
  return service.url;
}
