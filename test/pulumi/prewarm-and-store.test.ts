import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi, type TestContext } from 'vitest';
import { checkResources } from '../../pulumi/policy';
import { publishModel } from '../../runtime/model/publish-model';
import {
  applyToCluster,
  assertSameResources,
  assertSucceeded,
  containsUnknown,
  findDescendants,
  findResource,
  findResources,
  propertyAt,
  reveal,
  runPulumiProgram,
  type Properties,
  type OnResource,
  type PropertyValue,
  type PulumiRecording,
} from 'slipway/testing';
import { startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = whyNoCluster({ alone: true });
const folder = mkdtempSync(path.join(tmpdir(), 'slipway-store-'));
const manifest = path.join(folder, 'manifest.json');
let manifestSha256: string;
let preview: PulumiRecording;
let up: PulumiRecording;
let cluster: TestCluster | undefined;
let live: PulumiRecording;

beforeAll(async () => {
  const source = path.join(__dirname, '../../models/digits/model.onnx');
  const published = await publishModel({
    source,
    name: 'digits',
    version: 3,
    repository: folder,
    manifestFile: manifest,
  });
  manifestSha256 = published.manifestSha256;
  preview = assertSucceeded(await run({ preview: true }));
  up = assertSucceeded(await run());
  if (reason !== undefined) return;
  cluster = await startCluster();
  await cluster.kubectl('taint', 'node', 'gpu-0', 'nvidia.com/gpu=present:NoSchedule');
  live = assertSucceeded(await run({ onResource: onCluster(cluster) }));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

test('preview and up make the same resources', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
  const children = (type: string, name: string) =>
    findDescendants(up, findResource(up, type, name).urn).map((child) => `${child.type} ${child.name}`);
  // Names of children are public API.
  expect(children('slipway:index:ImagePrewarm', 'warm').sort()).toEqual([
    'kubernetes:apps/v1:DaemonSet warm',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy warm',
  ]);
  expect(children('slipway:index:ModelStore', 'models').sort()).toEqual([
    'kubernetes:batch/v1:Job models-digits-3',
    'kubernetes:core/v1:PersistentVolumeClaim models',
    'kubernetes:core/v1:ServiceAccount models',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy models',
  ]);
  expect(children('slipway:index:ModelStore', 'others').sort()).toEqual([
    'kubernetes:batch/v1:Job others-digits-3',
    'kubernetes:core/v1:ServiceAccount others',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy others',
  ]);
  expect(up.stackOutputs['isOne']).toBe(true);
});

test('a Job pulls one version by the digest of its manifest, with the image of the server', () => {
  const { inputs } = findResource(up, 'kubernetes:batch/v1:Job', 'models-digits-3');
  expect(container(inputs)).toMatchObject({
    image: expect.stringMatching(/@sha256:a{64}$/),
    command: ['node', '/app/cli.mjs', 'model', 'pull'],
    args: [
      'https://models.example.com/digits/3/',
      '/store',
      `--manifest-sha256=${manifestSha256}`,
      '--timeout-seconds=3600',
    ],
  });
  // Another content is another Job: one that has run cannot change.
  expect(propertyAt(inputs, 'metadata.name')).toBe(`models-digits-3-${manifestSha256.slice(0, 10)}`);
  expect(propertyAt(inputs, 'spec.ttlSecondsAfterFinished')).toBeUndefined();
});

test('a service with a model of the store waits for its Job, mounts the claim read-only and reaches nothing to fetch it', () => {
  expect(containsUnknown(preview.stackOutputs['claims'] as PropertyValue)).toBe(true);
  expect(up.stackOutputs['claims']).toEqual(['models', 'shared']);
  const { inputs, propertyDependencies } = findResource(up, 'kubernetes:apps/v1:Deployment', 'digits');
  expect(propertyAt(inputs, 'spec.template.spec.volumes')).toContainEqual(
    expect.objectContaining({ persistentVolumeClaim: { claimName: 'models', readOnly: true } }),
  );
  expect(JSON.stringify(propertyDependencies)).toContain('kubernetes:batch/v1:Job::models-digits-3');
  const policy = findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'digits');
  const ports = (propertyAt(policy.inputs, 'spec.egress') as { ports: { port: number }[] }[]).flatMap(
    ({ ports }) => ports,
  );
  expect(ports.map(({ port }) => port)).toEqual([53, 53]);
});

test('an identity is of the Job alone, with what it must reach', () => {
  const account = findResource(up, 'kubernetes:core/v1:ServiceAccount', 'others');
  expect(propertyAt(account.inputs, 'metadata')).toMatchObject({
    name: 'reader',
    annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/reader' },
  });
  const { inputs } = findResource(up, 'kubernetes:batch/v1:Job', 'others-digits-3');
  expect(propertyAt(inputs, 'spec.template.metadata.labels')).toMatchObject({ 'azure.workload.identity/use': 'true' });
  expect(propertyAt(inputs, 'spec.template.spec.serviceAccountName')).toBe('reader');
  expect(container(inputs)['env']).toEqual([{ name: 'AWS_REGION', value: 'eu-west-1' }]);
  const policy = findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'others');
  const [, sources, agent] = propertyAt(policy.inputs, 'spec.egress') as unknown[];
  expect(sources).toEqual({ ports: [{ protocol: 'TCP', port: 8443 }] });
  expect(agent).toEqual({ to: [{ ipBlock: { cidr: '169.254.170.23/32' } }], ports: [{ protocol: 'TCP', port: 80 }] });
  expect(
    findDescendants(up, findResource(up, 'slipway:index:ModelStore', 'others').urn).every(({ protect }) => protect),
  ).toBe(true);
});

test('images are pulled before a service that depends on them, and those who pull are reached by nobody', () => {
  const service = findResource(up, 'slipway:index:InferenceService', 'digits');
  expect(service.dependencies.some((urn) => urn.endsWith('kubernetes:apps/v1:DaemonSet::warm'))).toBe(true);
  const order = up.resources.map(({ type, name }) => `${type} ${name}`);
  expect(order.indexOf('kubernetes:apps/v1:DaemonSet warm')).toBeLessThan(
    order.indexOf('kubernetes:apps/v1:Deployment digits'),
  );
  for (const name of ['warm', 'late']) {
    const policy = findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', name);
    expect(propertyAt(policy.inputs, 'spec.policyTypes')).toEqual(['Ingress', 'Egress']);
    expect(Object.keys(propertyAt(policy.inputs, 'spec') as object)).not.toContain('egress');
    expect(Object.keys(propertyAt(policy.inputs, 'spec') as object)).not.toContain('ingress');
  }
});

test('without a pause image the first server image waits', () => {
  const [waiting] = propertyAt(
    findResource(up, 'kubernetes:apps/v1:DaemonSet', 'late').inputs,
    'spec.template.spec.containers',
  ) as Record<string, PropertyValue>[];
  expect(waiting!['command']).toEqual(['node', '-e', expect.stringContaining('setInterval')]);
});

test('warm images and the store break no policy', () => {
  const resources = up.resources.filter(({ custom, type }) => custom && type.startsWith('kubernetes:'));
  const { findings, undecided } = checkResources(
    resources.map(({ inputs, ...resource }) => ({ ...resource, props: reveal(inputs) as Properties })),
  );
  expect(findings.map(({ rule, urn, message }) => `${rule} ${urn} ${message}`)).toEqual([]);
  expect(undecided).toEqual([]);
});

test('nothing that runs has more rights than Pod Security restricted leaves it, and every request is small', async (context) => {
  needsCluster(context);
  const events = JSON.parse(
    await cluster!.kubectl('get', 'events', '-n', 'inference', '--field-selector', 'reason=FailedCreate', '-o', 'json'),
  );
  expect(events.items.map(({ message }: { message: string }) => message)).toEqual([]);
  const set = findResource(live, 'kubernetes:apps/v1:DaemonSet', 'warm');
  expect(set.state['status']).toMatchObject({ desiredNumberScheduled: 1, numberReady: 1 });
  const [{ resources }] = propertyAt(set.inputs, 'spec.template.spec.containers') as [{ resources: unknown }];
  expect(resources).toMatchObject({ requests: { cpu: '10m', memory: '64Mi' } });
});

test('the API server takes every object, keeps every value of it, and the machine with the taint gets the images', async (context) => {
  needsCluster(context);
  for (const { type, name, inputs, state } of live.resources.filter((one) => one.type.startsWith('kubernetes:'))) {
    expect(state, `${type} ${name}`).toMatchObject(inputs);
  }
  const pods = JSON.parse(
    await cluster!.kubectl('get', 'pods', '-n', 'inference', '-l', 'app.kubernetes.io/name=warm', '-o', 'json'),
  );
  expect(pods.items.map((pod: any) => pod.spec.nodeName)).toEqual(['gpu-0']);
  expect(pods.items[0].spec.volumes).toContainEqual({
    name: 'model-0',
    image: { reference: expect.stringContaining('models/digits@sha256:'), pullPolicy: 'IfNotPresent' },
  });
  expect(
    findResources(live, 'kubernetes:batch/v1:Job').map(({ state }) => propertyAt(state, 'status.succeeded')),
  ).toEqual([1, 1]);
});

function needsCluster(context: TestContext): void {
  if (reason !== undefined) context.skip(reason);
}

function container(inputs: Record<string, PropertyValue>): Record<string, PropertyValue> {
  const [first] = propertyAt(inputs, 'spec.template.spec.containers') as Record<string, PropertyValue>[];
  return first!;
}

/** Volumes as an administrator would have them: one for the claim that is made, and a claim that is there before. */
function onCluster(cluster: TestCluster): OnResource {
  const apply = applyToCluster({ kubeconfig: cluster.kubeconfig });
  return async (resource) => {
    const state = await apply(resource);
    if (resource.type !== 'kubernetes:core/v1:Namespace') return state;
    for (const [file, object] of Object.entries(volumes())) {
      const target = path.join(folder, `${file}.json`);
      writeFileSync(target, JSON.stringify(object));
      await cluster.kubectl('apply', '-f', target);
    }
    return state;
  };
}

function volumes(): Record<string, unknown> {
  const spec = { accessModes: ['ReadWriteMany'], storageClassName: 'nfs' };
  const volume = (name: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: { ...spec, capacity: { storage: '20Gi' }, nfs: { server: '127.0.0.1', path: '/' } },
  });
  return {
    one: volume('one'),
    two: volume('two'),
    shared: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'shared', namespace: 'inference' },
      spec: { ...spec, resources: { requests: { storage: '20Gi' } } },
    },
  };
}

function run(options: { preview?: boolean; onResource?: OnResource } = {}): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/prewarm-and-store.ts'),
    typeCheck: false,
    config: { namespace: 'inference', manifest },
    ...options,
  });
}
