import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  applyToCluster,
  assertSucceeded,
  findResource,
  findResources,
  propertyAt,
  runPulumiProgram,
  type PulumiRecording,
} from 'slipway/testing';
import { defineKinds, namespaceOf, startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';
import { startPrometheusDouble, type Series } from '../support/prometheus';
import { slipway } from '../cli/terminal';
import { temporaryFolder } from '../server/harness/model-repository';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const DEFINITIONS = [
  'gateway-api/gateway.networking.k8s.io_httproutes.yaml',
  'gateway-api/gateway.networking.k8s.io_grpcroutes.yaml',
  'kserve/serving.kserve.io_servingruntimes.yaml',
  'kserve/serving.kserve.io_inferenceservices.yaml',
  'prometheus-operator/monitoring.coreos.com_servicemonitors.yaml',
  'prometheus-operator/monitoring.coreos.com_prometheusrules.yaml',
];
const reason = whyNoCluster({ definitions: DEFINITIONS });
/** Pods of those become ready without an image that exists. */
const whyNoPods = whyNoCluster({ definitions: DEFINITIONS, fakeNodes: true });
let cluster: TestCluster | undefined;

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster();
  await defineKinds(cluster, DEFINITIONS);
});
afterAll(() => cluster?.stop());
beforeEach((context) => {
  const why = context.task.name.startsWith('KServe') ? reason : whyNoPods;
  if (why !== undefined) context.skip(why);
});

describe('a canary', () => {
  test('takes its share step by step, is judged at each, and is gone when it is promoted', async () => {
    let last = await deploy('routed', 'steps');
    expect(await weights('steps')).toEqual({ digits: 100 });
    const jobs: unknown[] = [];
    for (const [kind, share] of [
      ['canary10', { digits: 90, 'digits-canary': 10 }],
      ['canary50', { digits: 50, 'digits-canary': 50 }],
    ] as const) {
      last = await deploy(kind, 'steps', last);
      expect(await weights('steps')).toEqual(share);
      expect(await weights('steps', 'grpcroute')).toEqual(share);
      const canary = await live('deployment/digits-canary', '-n', namespaceOf('steps'));
      expect(canary.spec.template.metadata.annotations['slipway.dev/models']).toBe('digits@2');
      expect(canary.spec.template.spec.serviceAccountName).toBe('digits');
      const job = findResource(last, 'kubernetes:batch/v1:Job');
      expect(propertyAt(job.state, 'status.succeeded')).toBe(1);
      jobs.push(propertyAt(job.inputs, 'metadata.name'));
    }
    expect(new Set(jobs).size).toBe(2);

    last = await deploy('promoted', 'steps', last);
    expect(await weights('steps')).toEqual({ digits: 100 });
    expect(last.stackOutputs['url']).toBe('https://digits.models.example.com');
    const stable = await live('deployment/digits', '-n', namespaceOf('steps'));
    expect(stable.spec.template.metadata.annotations['slipway.dev/models']).toBe('digits@2');
    const left = await live(
      'deployment,service,networkpolicy,pdb,hpa,job,role,rolebinding,serviceaccount',
      '-n',
      namespaceOf('steps'),
    );
    const names = left.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
    expect(names.filter((name: string) => /canary|verdict/.test(name))).toEqual([]);
  });

  test('that is bad has no traffic until there is another one, whatever is deployed meanwhile', async () => {
    const first = await deploy('canary10', 'bad');
    const job = findResource(first, 'kubernetes:batch/v1:Job');
    const [{ args }] = propertyAt(job.inputs, 'spec.template.spec.containers') as [{ args: string[] }];
    // The very arguments of the Job; what is else in its pod, and where Prometheus is, stand in for the cluster's.
    const prometheusUrl = await startPrometheusDouble(failingCanary());
    const judge = async () =>
      slipway(
        'canary',
        'judge',
        ...args,
        `--prometheus-url=${prometheusUrl}`,
        '--poll-seconds=0.2',
        await asJudge('bad'),
      );
    const verdict = await judge();
    expect(verdict).toMatchObject({ status: 1, stderr: expect.stringContaining('it has no traffic any more') });
    for (const kind of ['httproute', 'grpcroute'])
      expect(await weights('bad', kind)).toEqual({ digits: 90, 'digits-canary': 0 });
    const { metadata } = await live('httproute/digits', '-n', namespaceOf('bad'));
    expect(metadata.annotations['slipway.dev/verdict']).toContain('bad: digits-canary failed 50.0%');

    // An update that changes nothing sends nothing, and its judge finds what the one before it found.
    const again = await judge();
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('judged before, it has no traffic') });

    await deploy('nextCanary', 'bad', first);
    expect(await weights('bad')).toEqual({ digits: 90, 'digits-canary': 10 });
  });

  test('is judged by a token that may change its own route, and nothing else', async () => {
    await deploy('canary10', 'rights');
    const as = `--as=system:serviceaccount:${namespaceOf('rights')}:digits-verdict`;
    const may = async (...args: string[]): Promise<string> =>
      (
        await cluster!
          .kubectl('auth', 'can-i', ...args, '-n', namespaceOf('rights'), as)
          .catch((error) => String(error.stdout))
      ).trim();
    expect(await may('patch', 'httproutes/digits')).toBe('yes');
    expect(await may('get', 'grpcroutes/digits')).toBe('yes');
    for (const [verb, what] of [
      ['patch', 'httproutes/other'],
      ['list', 'httproutes'],
      ['update', 'httproutes/digits'],
      ['delete', 'httproutes/digits'],
      ['get', 'secrets'],
      ['get', 'deployments'],
      ['create', 'pods'],
    ] as const) {
      expect(await may(verb, what), `${verb} ${what}`).toBe('no');
    }
    const judged = await slipway(
      ...[
        'canary',
        'judge',
        '--prometheus-url=http://127.0.0.1:1',
        `--namespace=${namespaceOf('rights')}`,
        '--stable=digits',
      ],
      ...['--canary=digits-canary', '--http-route=other', await asJudge('rights')],
    );
    expect(judged).toMatchObject({ status: 2, stderr: expect.stringContaining('cannot get resource "httproutes"') });

    const pods = await live('pods', '-n', namespaceOf('rights'));
    const tokens = pods.items.filter(
      ({ spec }: any) =>
        spec.automountServiceAccountToken !== false ||
        spec.volumes.some(({ projected }: any) => projected?.sources.some((source: any) => source.serviceAccountToken)),
    );
    expect(tokens.map(({ metadata }: any) => metadata.labels['app.kubernetes.io/name'])).toEqual(['digits-verdict']);
    const events = await live(
      'events',
      '-n',
      namespaceOf('rights'),
      '--field-selector',
      'type=Warning,reason=FailedCreate',
    );
    expect(events.items).toEqual([]);
  });
});

test('a shadow is sent copies by both routes', async () => {
  await deploy('shadow', 'shadow');
  for (const kind of ['httproute', 'grpcroute']) {
    const { spec } = await live(`${kind}/digits`, '-n', namespaceOf('shadow'));
    expect(spec.rules[0].filters[0].requestMirror).toMatchObject({
      backendRef: { name: 'digits-shadow' },
      percent: 25,
    });
  }
  expect(await weights('shadow')).toEqual({ digits: 100 });
});

test.each(['canary10', 'shadow'])(
  'the API server keeps every value of %s as it was sent, and a second update changes nothing',
  async (kind) => {
    const namespace = `again-${kind}`;
    const first = await deploy(kind, namespace);
    const objects = first.resources.filter(({ type }) => type.startsWith('kubernetes:'));
    for (const { type, name, inputs, state } of objects) expect(state, `${type} ${name}`).toMatchObject(inputs);
    // Its autoscaler raises a Deployment to minReplicas when it looks, every 15 seconds, which is a generation, too.
    await vi.waitFor(
      async () => {
        const { items } = await live('hpa,deployment', '-n', namespaceOf(namespace));
        const replicas = new Map(
          items.map(({ kind, metadata, spec }: any) => [`${kind} ${metadata.name}`, spec.replicas]),
        );
        for (const { kind, metadata, spec } of items) {
          if (kind === 'HorizontalPodAutoscaler') {
            expect(replicas.get(`Deployment ${metadata.name}`)).toBeGreaterThanOrEqual(spec.minReplicas);
          }
        }
      },
      { timeout: 90_000, interval: 1_000 },
    );
    const generations = async (): Promise<string[]> => {
      const { items } = await live('deployment,service,networkpolicy,hpa,httproute,job', '-n', namespaceOf(namespace));
      return items.map(({ kind, metadata }: any) => `${kind} ${metadata.name} ${metadata.generation}`);
    };
    const before = await generations();
    await deploy(kind, namespace);
    expect(await generations()).toEqual(before);
  },
);

test.each(['kserve', 'kserveCpu'])("KServe's own definitions take a service, as it was sent (%s)", async (kind) => {
  const recording = await deploy(kind, kind);
  const ofKserve = recording.resources.filter(({ type }) => type.startsWith('kubernetes:serving.kserve.io/'));
  expect(ofKserve).toHaveLength(kind === 'kserve' ? 3 : 2);
  for (const { type, inputs, state } of ofKserve) expect(state, type).toMatchObject(inputs);
  const service = findResource(recording, 'kubernetes:serving.kserve.io/v1beta1:InferenceService');
  expect(service.id).toBe(`${namespaceOf(kind)}/digits`);
  expect(findResources(recording, 'kubernetes:apps/v1:Deployment')).toEqual([]);
});

async function deploy(kind: string, namespace: string, before?: PulumiRecording): Promise<PulumiRecording> {
  const recording = assertSucceeded(
    await runPulumiProgram({
      program: path.join(__dirname, 'programs/traffic.ts'),
      typeCheck: false,
      config: { namespace: namespaceOf(namespace), kind },
      onResource: applyToCluster({ kubeconfig: cluster!.kubeconfig }),
    }),
  );
  // What the program no longer says goes last, in reverse, as an update does it.
  const kept = new Set(recording.resources.map(addressOf));
  for (const resource of [...(before?.resources ?? [])].reverse()) {
    if (resource.type.startsWith('kubernetes:') && !kept.has(addressOf(resource))) await remove(resource.state);
  }
  return recording;
}

interface Live {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function addressOf({ state }: PulumiRecording['resources'][number]): string {
  const { kind, metadata } = state as unknown as Live;
  return `${kind}/${metadata?.namespace}/${metadata?.name}`;
}

async function remove(state: unknown): Promise<void> {
  const { apiVersion, kind, metadata } = state as Live;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : [];
  const resource = group === undefined ? kind : `${kind}.${version}.${group}`;
  await cluster!.kubectl('delete', `${resource}/${metadata.name}`, '-n', metadata.namespace!, '--wait=true');
}

async function weights(namespace: string, kind = 'httproute'): Promise<Record<string, number>> {
  const { spec } = await live(`${kind}/digits`, '-n', namespaceOf(namespace));
  return Object.fromEntries(spec.rules[0].backendRefs.map(({ name, weight }: any) => [name, weight]));
}

/** A judge with the token of its service account, which is all that it has at the API server. */
async function asJudge(namespace: string): Promise<string> {
  const folder = temporaryFolder();
  const token = await cluster!.kubectl('create', 'token', 'digits-verdict', '-n', namespaceOf(namespace));
  const config = JSON.parse(await cluster!.kubectl('config', 'view', '--raw', '-o', 'json'));
  const { server, ['certificate-authority-data']: ca } = config.clusters[0].cluster;
  writeFileSync(path.join(folder, 'token'), token);
  writeFileSync(path.join(folder, 'ca.crt'), Buffer.from(ca, 'base64'));
  const { hostname, port } = new URL(server);
  vi.stubEnv('KUBERNETES_SERVICE_HOST', hostname);
  vi.stubEnv('KUBERNETES_SERVICE_PORT', port);
  onTestFinished(() => void vi.unstubAllEnvs());
  return `--service-account-folder=${folder}`;
}

/** Counters of two replicas: each look finds 1,000 requests more, of which the canary fails half. */
function failingCanary(): () => Promise<readonly Series[]> {
  let looks = 0;
  return () => {
    looks += 500;
    const series = (service: string, outcome: string): Series => ({
      metric: 'slipway_requests_total',
      labels: { namespace: namespaceOf('bad'), service, instance: `${service}:8082`, outcome },
      value: looks,
    });
    return Promise.resolve([series('digits', 'ok'), series('digits-canary', 'ok'), series('digits-canary', 'error')]);
  };
}

async function live(...args: string[]) {
  return JSON.parse(await cluster!.kubectl('get', ...args, '-o', 'json'));
}
