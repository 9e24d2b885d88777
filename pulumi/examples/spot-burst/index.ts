import * as pulumi from '@pulumi/pulumi';
import { anyOf, InferenceService, modelAt } from 'slipway/pulumi';
import { GpuInstanceGroup } from 'slipway/pulumi/aws';

const config = new pulumi.Config();
const cluster = { name: config.require('clusterName'), subnetIds: config.requireObject<string[]>('subnetIds') };
// Two groups of one pool: a pod of the service may land on either.
const pool = 't4';

const base = new GpuInstanceGroup('base', { cluster, pool, instanceTypes: ['g4dn.xlarge'], minSize: 2, maxSize: 2 });
const burst = new GpuInstanceGroup('burst', {
  cluster,
  pool,
  // Spot stock comes and goes, type by type.
  instanceTypes: ['g4dn.xlarge', 'g4dn.2xlarge'],
  spot: true,
  maxSize: 6,
});

const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  image: config.require('image'),
  models: [modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' })],
  placement: anyOf(base.placement, burst.placement),
  executionProvider: 'cuda',
  minReplicas: 2,
  maxReplicas: 7,
  metricsFrom: 'keda',
});

export const url = service.url;
