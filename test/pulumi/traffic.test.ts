import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  findResources,
  loggedErrors,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type PulumiRecording,
} from 'slipway/testing';
import { awsState } from '../support/pulumi-aws';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let preview: PulumiRecording;
let up: PulumiRecording;
beforeAll(async () => {
  preview = assertSucceeded(await run('traffic-late', { preview: true }));
  up = assertSucceeded(await run('traffic-late'));
});

test('two services with all their tracks, and one on KServe, live in one stack, preview and up alike', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
});

test('types and names of the further resources are public', () => {
  const names = (service: string) =>
    findDescendants(up, ofOne('slipway:index:InferenceService', up, service).urn)
      .map(({ type, name }) => `${type} ${name}`)
      .sort();
  expect(names('one').filter((name) => !name.endsWith(' one'))).toMatchInlineSnapshot(`
    [
      "kubernetes:apps/v1:Deployment one-canary",
      "kubernetes:apps/v1:Deployment one-shadow",
      "kubernetes:autoscaling/v2:HorizontalPodAutoscaler one-canary",
      "kubernetes:autoscaling/v2:HorizontalPodAutoscaler one-shadow",
      "kubernetes:batch/v1:Job one-verdict",
      "kubernetes:core/v1:Service one-canary",
      "kubernetes:core/v1:Service one-shadow",
      "kubernetes:core/v1:ServiceAccount one-verdict",
      "kubernetes:monitoring.coreos.com/v1:ServiceMonitor one-canary",
      "kubernetes:monitoring.coreos.com/v1:ServiceMonitor one-shadow",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy one-canary",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy one-shadow",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy one-verdict",
      "kubernetes:policy/v1:PodDisruptionBudget one-canary",
      "kubernetes:policy/v1:PodDisruptionBudget one-shadow",
      "kubernetes:rbac.authorization.k8s.io/v1:Role one-verdict",
      "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding one-verdict",
    ]
  `);
  expect(names('one').filter((name) => name.startsWith('kubernetes:gateway'))).toMatchInlineSnapshot(`
    [
      "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute one",
    ]
  `);
  expect(names('three')).toMatchInlineSnapshot(`
    [
      "kubernetes:core/v1:ConfigMap three",
      "kubernetes:core/v1:ServiceAccount three",
      "kubernetes:monitoring.coreos.com/v1:PrometheusRule three",
      "kubernetes:monitoring.coreos.com/v1:ServiceMonitor three",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy three",
      "kubernetes:policy/v1:PodDisruptionBudget three",
      "kubernetes:serving.kserve.io/v1alpha1:ServingRuntime three",
      "kubernetes:serving.kserve.io/v1beta1:InferenceService three",
    ]
  `);
});

test('an image and a namespace that are not known yet are waited for, the name of the Job, too', () => {
  const nameOf = (recording: PulumiRecording) =>
    propertyAt(ofOne('kubernetes:batch/v1:Job', recording).inputs, 'metadata.name');
  expect(nameOf(preview)).toEqual(UNKNOWN);
  expect(nameOf(up)).toMatch(/^one-verdict-[0-9a-f]{8}$/);
  expect(preview.stackOutputs['url']).toEqual(UNKNOWN);
  expect(up.stackOutputs).toMatchObject({
    url: 'https://one.example.com',
    kserveUrl: 'http://three-predictor.team-id.svc',
  });
});

test('a canary has the image that was given for it', () => {
  const images = findResources(up, 'kubernetes:apps/v1:Deployment').map(({ name, inputs }) => {
    const [{ image }] = propertyAt(inputs, 'spec.template.spec.containers') as [{ image: string }];
    return `${name} ${image.split(':').at(-1)}`;
  });
  expect(images).toEqual(expect.arrayContaining(['one 1', 'one-canary 2', 'one-shadow 1']));
});

test('protect and an explicit provider reach every child', () => {
  const children = findDescendants(up, ofOne('slipway:index:InferenceService').urn);
  expect(children.filter(({ protect }) => !protect)).toEqual([]);
  expect(children.filter(({ provider }) => !provider.includes('providers:kubernetes::cluster::'))).toEqual([]);
});

test('replicas of every track are waited for alike, and start after the account that all of them run as', () => {
  const deployments = findResources(up, 'kubernetes:apps/v1:Deployment').filter(({ name }) => name.startsWith('one'));
  expect(deployments.map(({ name }) => name).sort()).toEqual(['one', 'one-canary', 'one-shadow']);
  for (const { customTimeouts, dependencies } of deployments) {
    expect(customTimeouts.delete).toBe(deployments[0]!.customTimeouts.delete);
    expect(dependencies.map((urn) => urn.split('$').at(-1))).toContain('kubernetes:core/v1:ServiceAccount::one');
  }
});

test('requests come to replicas that are ready, and the judge after the requests', () => {
  const dependenciesOf = (type: string) => ofOne(type).dependencies.map((urn) => urn.split('$').at(-1));
  expect(dependenciesOf('kubernetes:gateway.networking.k8s.io/v1:HTTPRoute')).toEqual(
    expect.arrayContaining([
      'kubernetes:apps/v1:Deployment::one',
      'kubernetes:apps/v1:Deployment::one-canary',
      'kubernetes:apps/v1:Deployment::one-shadow',
    ]),
  );
  expect(dependenciesOf('kubernetes:batch/v1:Job')).toEqual(
    expect.arrayContaining([
      'kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::one',
      'kubernetes:networking.k8s.io/v1:NetworkPolicy::one-verdict',
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding::one-verdict',
    ]),
  );
});

test('the judge is waited for, longer than it watches; one that failed is made again, and weights are taken back', () => {
  const job = ofOne('kubernetes:batch/v1:Job');
  expect(job.customTimeouts).toMatchObject({ create: '2460s', update: '2460s' });
  expect(propertyAt(job.inputs, 'metadata.annotations')).toMatchObject({ 'pulumi.com/replaceUnready': 'true' });
  const route = ofOne('kubernetes:gateway.networking.k8s.io/v1:HTTPRoute');
  expect(propertyAt(route.inputs, 'metadata.annotations')).toMatchObject({
    'pulumi.com/patchForce': 'true',
    'slipway.dev/canary': expect.stringMatching(/^[0-9a-f]{8}$/),
  });
});

describe('a mistake is refused in one line, before any child is declared', () => {
  test.each([
    ['canary without a route', 'ROUTE_MISSING canary: a Service spreads connections over pods'],
    ['shadow on KServe', "KSERVE_UNSUPPORTED shadow: cannot be had with engine 'kserve': KServe copies no requests"],
    ['canary that lies nowhere', "MODEL_DELIVERY canary.models[0]: files of 'digits' must lie in one place"],
  ])('%s', async (mistake, message) => {
    const recording = await run('traffic-refused', { config: { mistake } });
    const [error, ...others] = loggedErrors(recording);
    expect(others).toEqual([]);
    expect(error).toContain(message);
    expect(recording.exitCode).toBe(32);
    const service = findResource(recording, 'slipway:index:InferenceService');
    expect(findDescendants(recording, service.urn)).toEqual([]);
  });
});

/** The service `one` registers its resources between those of `two`. */
function ofOne(type: string, recording = up, service = 'one') {
  return findResources(recording, type).find(({ name }) => name === service || name === `${service}-verdict`)!;
}

function run(
  program: string,
  options: { preview?: boolean; config?: Record<string, string> } = {},
): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs', `${program}.ts`),
    typeCheck: false,
    onResource: awsState,
    ...options,
  });
}
