import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { anyOf, InferenceService, modelInImage, modelOnVolume, type InferenceServiceArgs } from '../../../pulumi';
import type { Placement } from '../../../runtime/spec';
import { digitsFacts, digitsModel } from './digits-facts';

const config = new pulumi.Config();
const namespace = config.require('namespace');
// Values of a resource are not known in a preview.
const late = new k8s.core.v1.ConfigMap('late', { metadata: { name: 'late', namespace } });
const digest = `sha256:${'ab'.repeat(32)}`;
const digits = { version: 1, facts: digitsFacts };

const common: InferenceServiceArgs = {
  namespace,
  image: `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`,
  models: [{ name: 'digits', version: 1, onnxFile: digitsModel, repositoryUri: 's3://team-models/' }],
  preset: 'development',
  kubernetesVersion: '1.36',
};

const machines: Placement = {
  nodeSelector: { 'nvidia.com/gpu.present': 'true' },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
  gpuResourceName: 'nvidia.com/gpu',
  instanceTypes: ['g6.xlarge'],
  maxGpus: 1,
};

const services: Record<string, InferenceServiceArgs> = {
  literal: { ...common, monitoring: { alerts: true, dashboard: true }, imagePullSecrets: ['registry'] },
  image: { ...common, models: [modelInImage(pulumi.interpolate`${late.id}/models@${digest}`, 'digits', digits)] },
  driver: {
    ...common,
    models: [modelOnVolume({ csi: { driver: 'csi.example.com', attributes: { share: late.id } } }, 'digits', digits)],
  },
  claims: {
    ...common,
    placement: { ...anyOf(machines, machines), gpuAllocation: 'dra' },
    metricsFrom: 'prometheus-adapter',
    maxReplicas: 2,
    monitoring: { enabled: false },
  },
  schedule: {
    ...common,
    minReplicas: 0,
    wake: { schedule: { windows: [{ start: '0 8 * * 1-5', end: '0 18 * * 1-5' }], timezone: 'Europe/Berlin' } },
  },
  queue: {
    ...common,
    minReplicas: 0,
    metricsFrom: 'keda',
    wake: {
      queue: {
        scaler: 'rabbitmq',
        metadata: {
          host: pulumi.secret('amqp://user:password@broker'),
          queueName: late.id,
          mode: 'QueueLength',
          value: '8',
        },
      },
    },
  },
  interceptor: {
    ...common,
    minReplicas: 0,
    metricsFrom: 'keda',
    wake: { interceptor: { hosts: ['digits.example.com'] } },
  },
};

export const urls = Object.entries(services).map(([name, args]) => new InferenceService(name, args).url);
