import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  applyToCluster,
  assertSucceeded,
  findResource,
  propertyAt,
  reveal,
  runPulumiProgram,
  type PulumiRecording,
} from 'slipway/testing';
import { explainFailure } from '../../pulumi/explain-failure';
import { helmInstall } from '../../pulumi/remedies';
import { defineKinds, namespaceOf, startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** Of KEDA and the Prometheus Operator, as they publish them. */
const DEFINITIONS = [
  'keda/keda.sh_scaledobjects.yaml',
  'prometheus-operator/monitoring.coreos.com_servicemonitors.yaml',
  'prometheus-operator/monitoring.coreos.com_prometheusrules.yaml',
];

const reason = whyNoCluster({ definitions: DEFINITIONS, fakeNodes: true });
let cluster: TestCluster | undefined;

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster();
  await defineKinds(cluster, DEFINITIONS);
  await cluster.provide(path.join(__dirname, 'cluster-objects.yaml'));
  await cluster.kubectl('wait', '--for=condition=Established', 'crd/interceptorroutes.http.keda.sh', '--timeout=60s');
  await cluster.kubectl('create', 'namespace', namespaceOf('choices'));
  const enforce = 'pod-security.kubernetes.io/enforce=restricted';
  await cluster.kubectl('label', 'namespace', namespaceOf('choices'), enforce);
});
afterAll(() => cluster?.stop());
beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

test.each(['cpu', 'cuda'])(
  'a %s service becomes available in a namespace that enforces Pod Security restricted',
  async (provider) => {
    const recording = assertSucceeded(await deploy(provider));
    expect(recording.stackOutputs['url']).toBe(`http://digits.${namespaceOf(provider)}.svc:8080`);
    const deployment = findResource(recording, 'kubernetes:apps/v1:Deployment');
    expect(deployment.state['status']).toMatchObject({ availableReplicas: 1, observedGeneration: 1 });

    const namespace = await live('namespace', namespaceOf(provider));
    expect(namespace.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    const pods = await live('pods', '-n', namespaceOf(provider), '-l', 'app.kubernetes.io/name=digits');
    expect(pods.items.map((pod: { spec: { serviceAccountName: string } }) => pod.spec.serviceAccountName)).toEqual([
      'digits',
    ]);
    // PodSecurity warns on the Deployment and refuses its pods: an event on the ReplicaSet would name what breaks the rules.
    const events = await live(
      'events',
      '-n',
      namespaceOf(provider),
      '--field-selector',
      'type=Warning,reason=FailedCreate',
    );
    expect(events.items).toEqual([]);
  },
);

test('the API server takes every object of a service', async () => {
  const recording = assertSucceeded(await deploy('cpu'));
  const applied = recording.resources.filter(({ type }) => type.startsWith('kubernetes:'));
  expect(applied.map(({ type }) => type).sort()).toEqual([
    'kubernetes:apps/v1:Deployment',
    'kubernetes:autoscaling/v2:HorizontalPodAutoscaler',
    'kubernetes:core/v1:Namespace',
    'kubernetes:core/v1:Service',
    'kubernetes:core/v1:ServiceAccount',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy',
    'kubernetes:policy/v1:PodDisruptionBudget',
  ]);
  expect(applied.filter(({ state }) => propertyAt(state, 'metadata.uid') === undefined)).toEqual([]);
});

test.each(['cpu', 'cuda'])(
  'the API server keeps every value of a %s service as it was sent: no drift',
  async (kind) => {
    const recording = assertSucceeded(await deploy(kind));
    for (const { type, inputs, state } of recording.resources.filter((resource) =>
      resource.type.startsWith('kubernetes:'),
    ))
      expect(state, type).toMatchObject(inputs);
  },
);

test('a second update without a change changes no object', async () => {
  const generations = ({ resources }: PulumiRecording) =>
    resources.map(({ urn, state }) => [urn, propertyAt(state, 'metadata.generation')]);
  const first = generations(assertSucceeded(await deploy('cpu')));
  expect(generations(assertSucceeded(await deploy('cpu')))).toEqual(first);
});

test('a GPU service gets the GPU it asked for', async () => {
  assertSucceeded(await deploy('cuda'));
  const pods = await live('pods', '-n', namespaceOf('cuda'));
  expect(pods.items[0].spec.nodeName).toBe('gpu-0');
  expect(pods.items[0].spec.containers[0].resources.limits['nvidia.com/gpu']).toBe('1');
});

test("KEDA's own definition takes the autoscaler of a service that scales with it", async () => {
  const recording = assertSucceeded(await deploy('keda'));
  expect(findResource(recording, 'kubernetes:keda.sh/v1alpha1:ScaledObject').id).toBe(`${namespaceOf('keda')}/digits`);
});

describe('whatever a service may choose', () => {
  let recording: PulumiRecording;
  beforeAll(async () => {
    if (reason !== undefined) return;
    recording = assertSucceeded(await deploy('choices', 'service-choices'));
  });

  test('is taken by the API server, and nothing of it is written otherwise: no drift', () => {
    const applied = recording.resources.filter(({ type }) => type.startsWith('kubernetes:'));
    expect(new Set(applied.map(({ type }) => type.split(':').at(-1)))).toEqual(
      new Set([
        ...['ConfigMap', 'Deployment', 'HorizontalPodAutoscaler', 'InterceptorRoute', 'NetworkPolicy'],
        ...['PodDisruptionBudget', 'PrometheusRule', 'ResourceClaimTemplate', 'ScaledObject', 'Service'],
        ...['ServiceAccount', 'ServiceMonitor'],
      ]),
    );
    for (const { type, name, inputs, state } of applied)
      expect(reveal(state), `${type} ${name}`).toMatchObject(reveal(inputs) as object);
  });

  test('runs in a namespace that enforces Pod Security restricted, models in images and on drivers included', async () => {
    const events = await live(
      'events',
      '-n',
      namespaceOf('choices'),
      '--field-selector',
      'type=Warning,reason=FailedCreate',
    );
    expect(events.items).toEqual([]);
    const { items } = await live('deployments', '-n', namespaceOf('choices'));
    const available = items.map(({ metadata, status }: any) => [metadata.name, status.availableReplicas]);
    expect(available).toEqual(
      ['claims', 'driver', 'image', 'interceptor', 'literal', 'queue', 'schedule'].map((name) => [name, 1]),
    );
  });

  test('a claim is given the GPU that holds the models, and not one that is too small', async () => {
    const { items } = await live('resourceclaims', '-n', namespaceOf('choices'));
    expect(items.map(({ status }: any) => status.allocation.devices.results[0].device)).toEqual(['gpu-large']);
  });
});

test('another image rolls out, and a destroy in the opposite order ends with nothing left', async () => {
  assertSucceeded(await deploy('cpu'));
  const { resources } = assertSucceeded(
    await deploy('cpu', 'on-a-cluster', { image: 'registry.example.com/slipway:2' }),
  );
  const { items } = await live('pods', '-n', namespaceOf('cpu'), '--field-selector', 'status.phase=Running');
  const running = items.filter(({ metadata }: any) => metadata.deletionTimestamp === undefined);
  expect(running.map(({ spec }: any) => spec.containers[0].image)).toEqual(['registry.example.com/slipway:2']);

  for (const { type, inputs } of resources.filter(({ custom }) => custom).reverse()) {
    const [name, kind] = [propertyAt(inputs, 'metadata.name') as string, type.split(':').at(-1)!];
    const where = kind === 'Namespace' ? [] : ['-n', namespaceOf('cpu')];
    await cluster!.kubectl('delete', `${kind.toLowerCase()}/${name}`, ...where, '--wait=true', '--timeout=50s');
  }
  expect((await live('namespaces')).items.map(({ metadata }: any) => metadata.name)).not.toContain(namespaceOf('cpu'));
});

test('a GPU really runs out: a replica without one waits, and its words become what adds a GPU', async () => {
  assertSucceeded(await deploy('cuda'));
  const node = await live('node', 'gpu-0');
  const gpus = Number(node.status.allocatable['nvidia.com/gpu']);
  // It would take the replicas back to what it allows.
  await cluster!.kubectl('delete', 'horizontalpodautoscaler/digits', '-n', namespaceOf('cuda'));
  await cluster!.kubectl('scale', 'deployment/digits', '-n', namespaceOf('cuda'), `--replicas=${gpus + 1}`);
  const error = await vi.waitFor(
    async () => {
      const { items } = await live('pods', '-n', namespaceOf('cuda'));
      const waiting = items.filter(({ status }: any) => status.phase === 'Pending');
      const reasons = waiting.flatMap(({ status }: any) =>
        (status.conditions ?? []).map(({ message }: any) => message),
      );
      expect(items).toHaveLength(gpus + 1);
      expect(waiting).not.toEqual([]);
      expect(reasons.join()).toContain('Insufficient nvidia.com/gpu');
      return reasons.join('\n');
    },
    { timeout: 60_000, interval: 500 },
  );
  const [object] = (await live('deployments', '-n', namespaceOf('cuda'))).items;
  expect(explainFailure({ kind: 'Deployment', error, object })).toMatch(
    /^no machine has a free nvidia\.com\/gpu: raise maxSize .*no device plugin: new PlatformAddons/,
  );
});

test('a kind that the cluster lacks fails the update with what brings it', async (context) => {
  // Somebody's cluster may have every kind.
  const notAlone = whyNoCluster({ alone: true });
  if (notAlone !== undefined) context.skip(notAlone);
  const { exitCode, logs } = await deploy('routed');
  expect(exitCode).not.toBe(0);
  const said = logs.filter(({ urn }) => urn.endsWith('slipway:index:InferenceService::digits'));
  expect(said.map(({ severity, message }) => [severity, message])).toEqual([
    ['error', `the cluster has no kind HTTPRoute of gateway.networking.k8s.io/v1: ${helmInstall('gateway')}`],
  ]);
});

function deploy(kind: string, program = 'on-a-cluster', config: Record<string, string> = {}): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, `programs/${program}.ts`),
    typeCheck: false,
    config: { namespace: namespaceOf(kind), kind, ...config },
    onResource: applyToCluster({ kubeconfig: cluster!.kubeconfig }),
  });
}

async function live(...args: string[]) {
  return JSON.parse(await cluster!.kubectl('get', ...args, '-o', 'json'));
}
