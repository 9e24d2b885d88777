import * as pulumi from '@pulumi/pulumi';
import { App, Stack } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Template } from 'aws-cdk-lib/assertions';
import { type InferenceServiceSpec, type Placement, type WakeOptions } from 'slipway';
import { Capacity, EksGpuNodeGroup, EksInferenceService, Model, ModelBucket } from 'slipway/cdk';
import type { InferenceServiceArgs } from 'slipway/pulumi';
import { beforeAll, expect, test } from 'vitest';
import { publishDigits } from '../cdk/support/models';
import { imageByDigest } from '../cdk/support/stacks';
import { importedCluster, objectsOf } from '../cdk/support/targets';
import { REPOSITORY } from './facts';

type Words = Partial<Omit<InferenceServiceSpec, 'name' | 'models'>> &
  Pick<InferenceServiceArgs, 'monitoring' | 'imagePullSecrets' | 'priorityClassName'> & { readonly wake?: WakeOptions };
type Objects = Readonly<Record<string, any>>;

const CASES: readonly [string, Words][] = [
  ['a CPU service', { minReplicas: 1 }],
  ['a GPU service on a node group', { instanceTypes: ['g6.xlarge'], metricsFrom: 'keda', requestDeadlineSeconds: 5 }],
  [
    'a service that an interceptor wakes',
    {
      minReplicas: 0,
      wake: { interceptor: { hosts: ['digits.example.com'] } },
      monitoring: { alerts: false },
      imagePullSecrets: ['registry'],
      priorityClassName: 'online',
    },
  ],
];

interface Applied {
  readonly objects: Objects;
  readonly placement?: Placement;
}

let manifest: string;
beforeAll(async () => {
  ({ manifestFile: manifest } = await publishDigits(3));
});

/** What CloudFormation has the cluster's function apply. */
function cdkObjects(words: Words): Applied {
  const stack = new Stack(new App(), 'Parity', { env: { account: '111122223333', region: 'eu-west-1' } });
  const cluster = importedCluster(stack);
  const bucket = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', REPOSITORY));
  const group =
    words.instanceTypes === undefined
      ? undefined
      : new EksGpuNodeGroup(stack, 'L4', { cluster, capacity: Capacity.onDemand(words.instanceTypes) });
  new EksInferenceService(stack, 'Digits', {
    ...words,
    cluster,
    namespace: 'inference',
    createNamespace: true,
    models: [Model.fromBucket(bucket, 'digits', { manifest })],
    image: imageByDigest(stack),
    ...(group === undefined ? {} : { placement: group.placement }),
  });
  return {
    objects: objectsOf(Template.fromStack(stack)),
    ...(group === undefined ? {} : { placement: group.placement }),
  };
}

/** What Pulumi's provider is asked to apply. */
async function pulumiObjects(words: Words, image: string): Promise<Applied> {
  const declared: pulumi.runtime.MockResourceArgs[] = [];
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      declared.push(args);
      const isBucket = args.type === 'aws:s3/bucket:Bucket';
      const computed = isBucket ? { arn: `arn:aws:s3:::${REPOSITORY}`, region: 'eu-west-1' } : {};
      const groups = { resources: [{ autoscalingGroups: [{ name: 'l4' }] }] };
      const extra = args.type === 'aws:eks/nodeGroup:NodeGroup' ? groups : computed;
      return { id: isBucket ? REPOSITORY : `${args.name}-id`, state: { ...args.inputs, ...extra } };
    },
    call: ({ inputs }) => inputs,
  });
  const { instanceTypes, ...decisions } = words;
  const { InferenceService } = await import('slipway/pulumi');
  const { GpuInstanceGroup, ModelBucket: Bucket, WorkloadIdentity } = await import('slipway/pulumi/aws');
  const cluster = { name: 'prod', subnetIds: ['subnet-a'] };
  const model = new Bucket('models').model('digits', { manifest });
  const group =
    instanceTypes === undefined
      ? undefined
      : new GpuInstanceGroup('l4', {
          cluster,
          instanceTypes: [...instanceTypes],
          maxSize: 4,
        });
  const identity = new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads: [model] });
  const service = new InferenceService('digits', {
    ...decisions,
    ...(instanceTypes === undefined ? {} : { instanceTypes: [...instanceTypes] }),
    namespace: 'inference',
    createNamespace: true,
    models: [model],
    image,
    identity: identity.binding,
    ...(group === undefined ? {} : { placement: group.placement }),
  });
  await new Promise((resolve) => pulumi.all([service.url, identity.association!.id]).apply(resolve));
  const objects = declared
    .filter(({ type }) => type.startsWith('kubernetes:'))
    .map(({ inputs }) => forAnyEngine(inputs));
  return {
    objects: Object.fromEntries(objects.map((object) => [object['kind'], object])),
    ...(group === undefined ? {} : { placement: group.placement }),
  };
}

/** Without the annotations that only Pulumi's provider reads. */
function forAnyEngine(object: Objects): Objects {
  const { annotations = {}, ...metadata } = object['metadata'];
  const kept = Object.entries(annotations).filter(([key]) => !key.startsWith('pulumi.com/'));
  return {
    ...object,
    metadata: { ...metadata, ...(kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }) },
  };
}

test.each(CASES)('%s is the same objects on EKS, whichever engine applies them', async (_what, words) => {
  const cdk = cdkObjects(words);
  const image = cdk.objects['Deployment'].spec.template.spec.containers[0].image as string;
  const other = await pulumiObjects(words, image);
  expect(Object.keys(cdk.objects).sort()).toEqual(Object.keys(other.objects).sort());
  expect(cdk.objects).toEqual(other.objects);
  expect(cdk.placement).toEqual(other.placement);
});

interface SchemaModel {
  new (object: object): { validate(): void };
}

test.each([
  ['ServiceAccount', () => import('kubernetes-models/v1').then((models) => models.ServiceAccount)],
  ['Service', () => import('kubernetes-models/v1').then((models) => models.Service)],
  ['Deployment', () => import('kubernetes-models/apps/v1').then((models) => models.Deployment)],
  ['NetworkPolicy', () => import('kubernetes-models/networking.k8s.io/v1').then((models) => models.NetworkPolicy)],
])('%s, as CloudFormation writes it, fits its published schema', async (kind, load) => {
  const Kind = (await load()) as unknown as SchemaModel;
  for (const [, words] of CASES) {
    const object = cdkObjects(words).objects[kind];
    expect(() => new Kind(object).validate()).not.toThrow();
  }
});
