import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Stack, type App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { InferenceServicePlan } from 'slipway';
import { InferenceService } from 'slipway/cdk';
import { assertSucceeded, findResources, reveal } from 'slipway/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadExample } from '../cdk/support/examples';
import { copyExamples, type ExampleProjects } from '../support/pulumi-examples';
import { cdkFacts, readTemplate } from './cdk-facts';
import type { Facts, ParityCase } from './facts';
import { pulumiFacts, readObjects, type Declared } from './pulumi-facts';

// The programs of the examples as they are: what each declares is held against what the other engine declares for the same
// words. CDK's examples publish no manifests, and Pulumi's do: words are carried over, not repeated here.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Examples that show the same on both engines, by CDK's name and by Pulumi's. */
const PAIRS: Readonly<Record<string, readonly string[]>> = {
  'bring-your-own': ['existing-everything'],
  canary: ['canary'],
  'cpu-fargate': ['kubernetes-cpu'],
  'gpu-service': ['aws-gpu'],
  'platform-and-teams': ['two-teams'],
  'spot-with-base': ['spot-burst'],
};
/** What examples serve that bring their model along. */
const SAMPLE = 'models/digits/model.onnx';
/** Examples of CDK alone, and why. */
const CDK_ALONE: Readonly<Record<string, string>> = {
  'async-queue': 'a queue in front is a construct of its own',
  batch: 'a job is no service',
  digits: 'its platform and its pipeline are stacks of CDK; its services are like that of cpu-fargate',
  eks: 'the same Kubernetes objects, which eks-objects.test.ts compares one by one',
  guarded: 'CDK asks its rules while it synthesizes; the policy pack has tests of its own',
  'many-models': 'held against Pulumi below all the same: several models are words, and no example of Pulumi has them',
  'model-rollout': 'a version that an event changes is a parameter of a stack',
  'multi-region': 'one stack for each region',
  pipeline: "AWS's own pipelines",
  sagemaker: 'SageMaker runs the container',
};
/** Examples of Pulumi alone, and why. */
const PULUMI_ALONE: Readonly<Record<string, string>> = {
  'alibaba-gpu': 'CDK knows AWS alone',
  'any-language': 'the components in YAML',
  'azure-gpu': 'CDK knows AWS alone',
  'gcp-gpu': 'CDK knows AWS alone',
  'gateway-platform': 'add-ons of a cluster',
  'gateway-service': 'a Gateway of Kubernetes; the services are like that of kubernetes-cpu',
  'image-in-ci': 'CDK builds its image as an asset',
  kserve: 'an engine of Kubernetes',
  'model-job': 'what a model becomes before it is served; on AWS a state machine does it',
  'policy-pack': 'rules without a service',
  'scale-to-zero': 'requests wake it; on ECS only a schedule does',
  'tencent-gpu': 'CDK knows AWS alone',
};

test('every example has a partner on the other engine, or a reason to have none', () => {
  const folders = (engine: string): string[] =>
    readdirSync(engine, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  expect(folders('cdk/examples').sort()).toEqual([...Object.keys(PAIRS), ...Object.keys(CDK_ALONE)].sort());
  const partners = Object.values(PAIRS).flat();
  expect(folders('pulumi/examples').sort()).toEqual([...partners, ...Object.keys(PULUMI_ALONE)].sort());
});

describe.each([...Object.keys(PAIRS), 'many-models'])('services of the CDK example %s', (example) => {
  let services: readonly InferenceService[];
  beforeAll(async () => {
    const apps: readonly App[] = (await loadExample(example)).map((createApp) => createApp());
    services = apps.flatMap((app) => app.node.findAll().filter((node) => node instanceof InferenceService));
  });

  test('mean the same to Pulumi', async () => {
    expect(services.length).toBeGreaterThan(0);
    for (const service of services) {
      const cdk = readTemplate(Template.fromStack(Stack.of(service)));
      const pulumi = await pulumiFacts(wordsOf(service.plan));
      // A model that comes as an asset is one key of the assets' bucket, and has no prefix.
      const isAsset = service.plan.models.some(({ files }) => files !== undefined);
      const grants = isAsset ? { permissions: expect.any(Array) as unknown } : {};
      expect(comparable(cdk)).toEqual({ ...comparable(pulumi), ...grants });
      expect(modelsOf(cdk)).toHaveLength(service.plan.models.length);
    }
  });
});

describe('services of the Pulumi examples', () => {
  let projects: ExampleProjects;
  beforeAll(() => {
    projects = copyExamples();
  });
  afterAll(() => projects.remove());

  test.each(Object.values(PAIRS).flat())('those of %s mean the same to CDK', async (example) => {
    const recording = assertSucceeded(await projects.run(example));
    const declared = recording.resources.map(({ type, inputs }): Declared => ({ type, inputs: reveal(inputs) }));
    const services = findResources(recording, 'slipway:index:InferenceService');
    expect(services.length).toBeGreaterThan(0);
    for (const { name, inputs } of services) {
      const args = reveal(inputs) as any;
      const manifest = path.join(projects.folder, example, 'digits.manifest.json');
      const pulumi = readObjects(declared, args.serviceName ?? name, args.namespace);
      const cdk = cdkFacts({ spec: specOf(args, name), models: [{ name: 'digits', manifest }] });
      expect(comparable(pulumi)).toEqual(withoutGrants(comparable(cdk), comparable(pulumi)));
      expect(modelsOf(pulumi)[0].files).toEqual(modelsOf(cdk)[0].files);
    }
  });
});

/**
 * What both engines may say of a canary: how much it gets, for how long it is watched, that errors and latency decide, and
 * that what loses has no traffic without anybody's doing. The rest is not the same thing:
 * - ECS compares with bounds (1 % of 5xx, p99 at 80 % of the deadline), for it has one name for both revisions; the verdict
 *   compares with the stable track, and with too few requests it says neither.
 * - ECS keeps the old revision for a second bake time and then ends it; a Pulumi canary is promoted by the next program.
 * - ECS asks golden inputs by a function before the shift; on both engines replicas prove theirs before they are ready.
 */
describe('a canary', () => {
  let projects: ExampleProjects;
  beforeAll(() => {
    projects = copyExamples();
  });
  afterAll(() => projects.remove());

  test('gets the same share for the same time, is judged by errors and latency, and loses its traffic by itself', async () => {
    const app = (await loadExample('canary'))[0]!();
    const [service] = app.node.findAll().filter((node) => node instanceof InferenceService);
    const template = Template.fromStack(Stack.of(service!));
    const [ecs] = Object.values(template.findResources('AWS::ECS::Service')).map(({ Properties }) => Properties);
    const { CanaryConfiguration: shift, Alarms: alarms } = ecs!.DeploymentConfiguration;

    const recording = assertSucceeded(await projects.run('canary'));
    const inputsOf = (type: string): any[] => findResources(recording, type).map(({ inputs }) => reveal(inputs));
    const [route] = inputsOf('kubernetes:gateway.networking.k8s.io/v1:HTTPRoute');
    const weights = Object.fromEntries(
      route.spec.rules[0].backendRefs.map(({ name, weight }: any) => [name, weight as number]),
    );
    const [job] = inputsOf('kubernetes:batch/v1:Job');
    const judge = Object.fromEntries(
      job.spec.template.spec.containers[0].args.map((arg: string) => /^--([^=]+)=(.*)$/.exec(arg)!.slice(1)),
    );
    const [role] = inputsOf('kubernetes:rbac.authorization.k8s.io/v1:Role');

    expect(weights).toEqual({ digits: 100 - shift.CanaryPercent, 'digits-canary': shift.CanaryPercent });
    expect(Number(judge['bake-seconds'])).toBe(60 * shift.CanaryBakeTimeInMinutes);
    const watched = alarms.AlarmNames.map(
      ({ Ref }: any) => template.toJSON().Resources[Ref].Properties.AlarmDescription,
    );
    expect(watched).toEqual([expect.stringContaining('5xx'), expect.stringContaining('p99')]);
    expect(judge).toMatchObject({ 'max-error-increase': expect.any(String), 'max-latency-ratio': expect.any(String) });
    expect([alarms.Enable, alarms.Rollback]).toEqual([true, true]);
    expect(role.rules).toMatchObject([
      { resources: ['httproutes'], resourceNames: ['digits'], verbs: ['get', 'patch'] },
    ]);
  });

  test('is a service like the one that it may replace, in its budgets too', async () => {
    const recording = assertSucceeded(await projects.run('canary'));
    const declared = recording.resources.map(({ type, inputs }): Declared => ({ type, inputs: reveal(inputs) }));
    const [stable, canary] = ['digits', 'digits-canary'].map((name) => readObjects(declared, name));
    const [{ inputs }] = findResources(recording, 'slipway:index:InferenceService') as any;
    const manifest = path.join(projects.folder, 'canary/digits-2.manifest.json');
    const cdk = cdkFacts({ spec: specOf(reveal(inputs), 'digits'), models: [{ name: 'digits', manifest }] });
    for (const fact of ['ports', 'resources', 'security', 'lifecycle', 'rollout'] as const) {
      expect(canary![fact], fact).toEqual(stable![fact]);
      expect(canary![fact], fact).toEqual(cdk[fact]);
    }
    expect(canary!.annotations).toEqual(cdk.annotations);
  });
});

/** The decisions of a plan, as an author would write them; models by what is known of them. */
function wordsOf({ models, resources, lifecycle, scaling, rollout, ...plan }: InferenceServicePlan): ParityCase {
  const { executionProvider, gpuCount, vcpu, memoryMiB, instanceTypes } = resources;
  const { startupBudgetSeconds, requestDeadlineSeconds, deregistrationLagSeconds } = lifecycle;
  const { stopTimeoutSeconds, idleTimeoutSeconds } = lifecycle;
  const { minReplicas, maxReplicas, targetSaturation } = scaling;
  const { name, preset, hooks, queueDepthRows, maxBodyMiB } = plan;
  return {
    spec: {
      ...{ name, preset, hooks, queueDepthRows, maxBodyMiB },
      ...{ executionProvider, gpuCount, vcpu, memoryMiB, instanceTypes },
      ...{ startupBudgetSeconds, requestDeadlineSeconds, deregistrationLagSeconds },
      ...{ stopTimeoutSeconds, idleTimeoutSeconds },
      ...{ minReplicas, maxReplicas, targetSaturation, spareReplica: rollout.maxSurge > 0 },
      metricsFrom: 'keda',
      // On ECS the schedule of the example, which is no word of the plan.
      ...(minReplicas > 0 ? {} : { wake: { schedule: { windows: [{ start: '0 7 * * 1-5', end: '0 20 * * 1-5' }] } } }),
    },
    models: models.map(({ name: model, version, maxBatchSize, files }) => ({
      ...{ name: model, version, maxBatchSize },
      ...(files === undefined ? {} : { onnxFile: SAMPLE }),
    })),
  };
}

/** The words of Pulumi's arguments that both engines have. */
function specOf(args: any, name: string): ParityCase['spec'] {
  const { executionProvider, minReplicas, maxReplicas, spareReplica, metricsFrom, placement } = args;
  const words = { executionProvider, minReplicas, maxReplicas, spareReplica, metricsFrom };
  const instanceTypes = args.instanceTypes ?? placement?.instanceTypes;
  const onGpu = executionProvider === 'cuda' ? { instanceTypes } : {};
  const said = Object.entries({ ...words, ...onGpu }).filter(([, value]) => value !== undefined);
  return { name: args.serviceName ?? name, ...Object.fromEntries(said) };
}

interface Served {
  readonly name: string;
  readonly version: number;
  readonly maxBatchSize?: number;
  readonly files?: readonly { readonly path: string; readonly sha256: string }[];
}

/** What replicas are told to serve, without the bucket that it lies in. */
function modelsOf({ environment }: Facts): any[] {
  return (JSON.parse(environment['SLIPWAY_MODELS']!) as Served[]).map(({ name, version, maxBatchSize, files }) => ({
    ...{ name, version, maxBatchSize },
    files: files?.map(({ path: file, sha256 }) => ({ file, sha256 })),
  }));
}

// Where a replica runs and what it is called there: those of the engine, of the cloud, and of a cache that machines of ECS
// keep. Saturation is pushed to CloudWatch on one and pulled by Prometheus on the other.
const OF_THE_ENGINE = [
  ...['AWS_REGION', 'SLIPWAY_CACHE_DIRECTORY', 'SLIPWAY_CLOUDWATCH_METRICS', 'SLIPWAY_CLUSTER_NAME'],
  // A cache on the machines asks for a contract that pods need not know; parity.test.ts compares it without one.
  'SLIPWAY_CONTRACT',
  // Compared without its bucket.
  'SLIPWAY_MODELS',
];

/** Facts without what only the engine or the example's own bucket decides. */
function comparable(facts: Facts): Record<string, unknown> {
  const { environment, annotations, permissions, scaling, ...rest } = facts;
  const { metric, target, ...bounds } = scaling;
  return {
    ...rest,
    environment: Object.fromEntries(Object.entries(environment).filter(([name]) => !OF_THE_ENGINE.includes(name))),
    served: annotations['slipway.dev/models'],
    models: modelsOf(facts),
    permissions: permissions.map(({ object, ...grant }) => ({ ...grant, object: object.slice(object.indexOf('/')) })),
    // A service of CPUs that names nothing follows their use on Kubernetes, for which a cluster needs nothing installed.
    scaling: metric === 'cpu' ? bounds : { ...bounds, metric, target },
  };
}

/** Examples that read a bucket by other means than an identity of AWS have no grants to compare. */
function withoutGrants(cdk: Record<string, any>, pulumi: Record<string, any>): Record<string, unknown> {
  const { metric: _metric, target: _target, ...bounds } = cdk['scaling'];
  return {
    ...cdk,
    ...(pulumi['permissions'].length === 0 ? { permissions: [] } : {}),
    ...('metric' in pulumi['scaling'] ? {} : { scaling: bounds }),
  };
}
