import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelInImage, modelOnVolume, type InferenceServiceArgs } from '../../../pulumi';
import { RuntimeImage } from '../../../pulumi/image';
import { digitsFacts } from './digits-facts';

// Whatever may be late-bound is a secret here: its text begins with 'hidden-'.
const config = new pulumi.Config();
const hidden = (what: string): pulumi.Output<string> =>
  config.requireSecret('hidden').apply((text) => `${text}-${what}`);

const facts = { version: 1, facts: digitsFacts };
const secretive: InferenceServiceArgs = {
  namespace: hidden('namespace'),
  createNamespace: true,
  image: hidden('image'),
  clusterName: hidden('cluster'),
  models: [
    { name: 'fetched', version: 1, onnxFile: config.require('onnxFile'), repositoryUri: hidden('repository') },
    modelOnVolume({ csi: { driver: 'csi.example.com', attributes: { share: hidden('share') } } }, 'mounted', facts),
    modelOnVolume({ claimName: hidden('claim') }, 'claimed', facts),
    modelInImage(pulumi.interpolate`${hidden('models')}@sha256:${'ab'.repeat(32)}`, 'packed', facts),
  ],
  identity: {
    serviceAccountAnnotations: { 'example.com/role': hidden('role') },
    environment: { EXAMPLE_CLIENT: hidden('client') },
  },
  metricsFrom: 'keda',
};
const { models } = secretive;

/** Providers and protection come from above: from a component that knows nothing of services. */
class Team extends pulumi.ComponentResource {
  constructor(name: string, opts: pulumi.ComponentResourceOptions) {
    super('example:index:Team', name, {}, opts);
    const child = { parent: this, aliases: [{ name: `${name}-before` }] };
    const services: Record<string, InferenceServiceArgs> = {
      routed: {
        ...secretive,
        route: { gateway: { name: 'public', namespace: 'gateway-system' }, hostnames: ['digits.example.com'] },
        canary: { models, image: hidden('canary'), weightPercent: 10, verdict: {} },
        shadow: { models, image: hidden('shadow'), percent: 10 },
      },
      queued: {
        ...secretive,
        createNamespace: false,
        minReplicas: 0,
        wake: { queue: { scaler: 'rabbitmq', metadata: { host: hidden('broker'), queueName: 'digits', value: '8' } } },
      },
      kserve: { ...secretive, createNamespace: false, engine: 'kserve', canary: { models, weightPercent: 10 } },
    };
    for (const [service, args] of Object.entries(services)) new InferenceService(service, args, child);
    new RuntimeImage('server', { repositoryUri: hidden('registry'), npmrc: hidden('npmrc') }, child);
    this.registerOutputs({});
  }
}

new Team('team', { protect: true, providers: [new k8s.Provider('theirs', { kubeconfig: hidden('kubeconfig') })] });
