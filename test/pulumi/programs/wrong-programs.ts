import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { GpuInstanceGroup } from '../../../pulumi/aws';
import { digitsFacts } from './digits-facts';

const config = new pulumi.Config();
const cluster = { name: 'platform', subnetIds: ['subnet-a'] };
const digits = modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts });
// What a resource that is not there yet will say.
const later = new k8s.core.v1.ConfigMap('settings', { metadata: { name: 'settings', namespace: 'default' } });

function serve(args: Partial<InferenceServiceArgs>): void {
  const image = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;
  new InferenceService('digits', { namespace: 'inference', image, models: [digits], ...args });
}

/** A value of another kind than the types allow: programs in JavaScript and casts get here. */
function untyped(value: unknown): never {
  return value as never;
}

const WRONG: Readonly<Record<string, () => void>> = {
  'pool that is not there': () => {
    const { placement } = new GpuInstanceGroup('l4', { cluster, instanceTypes: ['g6.xlarge'], maxSize: 4 });
    const nodeSelector = { 'slipway.dev/pool': 'l40' };
    serve({ placement: { ...placement, nodeSelector }, executionProvider: 'cuda', metricsFrom: 'keda' });
  },
  'pool that is too small': () => {
    const { placement } = new GpuInstanceGroup('l4', { cluster, instanceTypes: ['g6.xlarge'], maxSize: 1 });
    serve({ placement, executionProvider: 'cuda', metricsFrom: 'keda', minReplicas: 2 });
  },
  'model that is too large for the GPU': () => {
    const { placement } = new GpuInstanceGroup('l4', { cluster, instanceTypes: ['g6.xlarge'], maxSize: 4 });
    const large = { ...digitsFacts, weightBytes: 30 * 2 ** 30, fileBytes: 30 * 2 ** 30 };
    const models = [modelAt('s3://team-models', 'digits', { version: 1, facts: large })];
    serve({ models, placement, executionProvider: 'cuda', metricsFrom: 'keda' });
  },
  'model that is too large for the memory given': () => {
    const large = { ...digitsFacts, weightBytes: 3 * 2 ** 30, fileBytes: 3 * 2 ** 30 };
    serve({ models: [modelAt('s3://team-models', 'digits', { version: 1, facts: large })], memoryMiB: 2048 });
  },
  'number that only an update knows': () =>
    serve({ minReplicas: untyped(later.data.apply((data) => Number(data['n']))) }),
  'name that only an update knows': () => serve({ serviceName: untyped(later.id) }),
  'list that only an update knows': () => serve({ instanceTypes: untyped(later.id.apply((id) => [id])) }),
  'secret that everybody is to read': () => serve({ prometheusUrl: untyped(config.requireSecret('password')) }),
  'secret in a variable': () =>
    serve({ identity: { environment: { OIDC_CLIENT_SECRET: config.requireSecret('password') } } }),
};

WRONG[config.require('wrong')]!();
