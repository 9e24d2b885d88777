import * as aws from '@pulumi/aws';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const namespace = new k8s.core.v1.Namespace('team');
const images = new aws.ecr.Repository('images');
const cluster = new k8s.Provider('cluster', { kubeconfig: pulumi.secret('the way into the cluster') });

const version = (number: number) => modelAt('s3://team-models', 'digits', { version: number, facts: digitsFacts });
const common: InferenceServiceArgs = {
  namespace: namespace.id,
  image: pulumi.interpolate`${images.repositoryUrl}:1`,
  models: [version(1)],
};
const route = { gateway: { name: 'public', namespace: 'gateway-system' } };
const further: InferenceServiceArgs = {
  ...common,
  canary: {
    models: [version(2)],
    image: pulumi.interpolate`${images.repositoryUrl}:2`,
    weightPercent: 10,
    verdict: { bakeSeconds: 1_800 },
  },
  shadow: { models: [version(3)], percent: 50 },
};

const one = new InferenceService(
  'one',
  { ...further, route: { ...route, hostnames: ['*.one.example.com', 'one.example.com'] } },
  { provider: cluster, protect: true },
);
new InferenceService('two', { ...further, route: { ...route, hostnames: ['two.example.com'], plaintext: true } });
const three = new InferenceService('three', { ...common, engine: 'kserve', metricsFrom: 'keda' });

export const url = one.url;
export const kserveUrl = three.url;
