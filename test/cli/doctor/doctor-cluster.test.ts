import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Checkup } from '../../../runtime/cli/doctor/checkup';
import {
  customResourceDefinitions,
  startCluster,
  whyNoCluster,
  type TestCluster,
} from '../../support/kubernetes-cluster';
import { slipway, type CommandResult } from '../terminal';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const reason = whyNoCluster({ alone: true });
const folder = mkdtempSync(path.join(tmpdir(), 'slipway-doctor-'));
const asked = path.join(folder, 'asked.log');
const programs = path.join(folder, 'bin');
const usual = process.env['PATH']!;
let cluster: TestCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster();
  await cluster.kubectl('taint', 'node', 'gpu-0', 'nvidia.com/gpu=present:NoSchedule');
  await cluster.kubectl('label', 'node', 'gpu-0', 'slipway.dev/pool=gpu');
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  if (reason === undefined) await cluster.stop();
});
beforeEach((context) => {
  if (reason !== undefined) return context.skip(reason);
  // The real kubectl, with a note of what it was asked.
  program('kubectl', `printf '%s\\n' "$*" >> '${asked}'\nexec env PATH='${usual}' kubectl "$@"`);
  writeFileSync(asked, '');
  process.env['PATH'] = `${programs}:${usual}`;
});
afterEach(() => {
  process.env['PATH'] = usual;
});

test('a cluster without add-ons lacks what the service is made of, and nothing in it was changed', async () => {
  const { status, stdout, stderr } = await doctor(spec('gpu'), '--json');
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/^cluster https:\/\/127\.0\.0\.1:\d+, context \S+\nerror: \d+ errors?, \d+ warnings?\n$/);
  const found = JSON.parse(stdout) as Checkup[];
  expect(
    found.filter(({ code, severity }) => code === 'kind-missing' && severity === 'error').map(({ what }) => what),
  ).toEqual(
    expect.arrayContaining([
      expect.stringContaining('no ScaledObject of keda.sh/v1alpha1'),
      expect.stringContaining('no ServiceMonitor of monitoring.coreos.com/v1'),
    ]),
  );
  const of = (code: string) => found.filter((one) => one.code === code).map(({ severity }) => severity);
  expect([of('cluster-version'), of('pool-nodes'), of('gpu-nodes'), of('gpu-taint')]).toEqual([
    ['ok'],
    ['ok'],
    ['ok'],
    [],
  ]);
  expect([of('namespace'), of('prometheus-monitors')]).toEqual([['error'], ['error']]);

  const verbs = readFileSync(asked, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ').find((word) => !word.startsWith('--')));
  expect(verbs.length).toBeGreaterThan(8);
  expect([...new Set(verbs)].sort()).toEqual(['config', 'get', 'version']);
});

test('CPU use that nobody measures is found in a cluster without a metrics server', async () => {
  const { stdout } = await doctor(spec('cpu'), '--json');
  const found = (JSON.parse(stdout) as Checkup[]).find(({ code }) => code === 'metrics-api');
  expect(found).toMatchObject({ severity: 'error', evidence: 'there is no v1beta1.metrics.k8s.io' });
});

test('what somebody may not read is said, and the rest is looked at', async () => {
  const config = JSON.parse(await cluster.kubectl('config', 'view', '--raw', '-o', 'json'));
  config.users[0].user.as = 'nobody';
  const kubeconfig = path.join(folder, 'nobody.json');
  writeFileSync(kubeconfig, JSON.stringify(config));
  const { stdout, status } = await slipway('doctor', '--kubeconfig', kubeconfig, '--json');
  expect(status).toBe(3);
  const found = JSON.parse(stdout) as Checkup[];
  const unread = found.filter(({ code }) => code === 'cluster-unreadable');
  expect(unread.map(({ what }) => what.split(' ')[0])).toEqual(expect.arrayContaining(['nodes', 'daemonsets']));
  expect(unread[0]!.evidence).toContain('forbidden');
  expect(found.find(({ code }) => code === 'cluster-version')!.severity).toBe('ok');
});

describe('an identity', () => {
  test('is proven by a Job that is gone afterwards, with the service account that was made for it', async () => {
    await cluster.kubectl('create', 'namespace', 'inference');
    const { stdout, stderr } = await doctor(spec('gpu'), '--json', '--probe-identity', ...SERVER);
    const found = JSON.parse(stdout) as Checkup[];
    expect(
      found.find(({ code }) => code === 'identity'),
      stderr,
    ).toMatchObject({
      severity: 'ok',
      evidence: 's3://team-models/digits/1/',
    });
    const lines = readFileSync(asked, 'utf8').trim().split('\n');
    expect(lines.filter((line) => line.includes(' create -f -'))).toHaveLength(2);
    expect(lines.filter((line) => / (apply|patch|edit|label|annotate|replace) /.test(line))).toEqual([]);
    expect(await left('jobs')).toEqual([]);
    expect(await left('serviceaccounts')).toEqual(['default']);
  });

  test('of a service account that is there leaves it alone', async () => {
    await cluster.kubectl('create', 'serviceaccount', 'digits', '--namespace', 'inference');
    await doctor(spec('gpu'), '--probe-identity', ...SERVER);
    expect(await left('serviceaccounts')).toEqual(['default', 'digits']);
    expect(await left('jobs')).toEqual([]);
    await cluster.kubectl('delete', 'serviceaccount', 'digits', '--namespace', 'inference');
  });

  test('whose Job the cluster refuses is an error, and nothing is left', async () => {
    await cluster.kubectl('create', 'quota', 'none', '--hard=count/jobs.batch=0', '--namespace', 'inference');
    await vi.waitFor(
      async () =>
        expect(
          await cluster.kubectl('get', 'quota', 'none', '-n', 'inference', '-o', 'jsonpath={.status.hard}'),
        ).toContain('jobs'),
      { timeout: 20_000 },
    );
    const { stdout } = await doctor(spec('gpu'), '--json', '--probe-identity', ...SERVER);
    const found = (JSON.parse(stdout) as Checkup[]).find(({ code }) => code === 'identity');
    expect(found).toMatchObject({ severity: 'error', evidence: expect.stringContaining('exceeded quota') });
    expect(await left('serviceaccounts')).toEqual(['default']);
    await cluster.kubectl('delete', 'quota', 'none', '--namespace', 'inference');
  });
});

test('with the kinds, a Prometheus that looks and a namespace that is closed, the rest is as it should be', async (context) => {
  const crds = customResourceDefinitions();
  const files = [
    'keda/keda.sh_scaledobjects.yaml',
    'prometheus-operator/monitoring.coreos.com_servicemonitors.yaml',
    'prometheus-operator/monitoring.coreos.com_prometheusrules.yaml',
  ].map((file) => path.join(crds, file));
  const absent = files.find((file) => !existsSync(file));
  if (absent !== undefined) return context.skip(`there is no ${absent}`);
  const own = path.join(folder, 'prometheuses.json');
  writeFileSync(own, JSON.stringify(PROMETHEUS_KIND));
  for (const file of [...files, own]) await cluster.kubectl('apply', '--server-side', '-f', file);
  await cluster.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
  await cluster.kubectl('label', 'namespace', 'inference', 'pod-security.kubernetes.io/enforce=restricted');
  await prometheus({ matchLabels: { release: 'other' } });
  const before = JSON.parse((await doctor(spec('gpu'), '--json')).stdout) as Checkup[];
  expect(before.filter(({ severity }) => severity === 'error').map(({ code }) => code)).toEqual([
    'prometheus-monitors',
    'prometheus-rules',
  ]);

  await prometheus({ matchLabels: { release: 'kube-prometheus-stack' } });
  const { status, stdout } = await doctor(spec('gpu'));
  expect(status, stdout).toBe(0);
  expect(stdout).toContain(
    'ok       a Prometheus picks up the ServiceMonitor of the service (prometheus-monitors)\n         monitoring/main',
  );
  // What is there is said to who installs add-ons.
  expect((await doctor()).stdout).toContain('→ new PlatformAddons(…, { keda: { existing: true } })');
});

test('no cluster is looked at that nobody named, and one that does not answer is said to', async () => {
  process.env['KUBECONFIG'] = cluster.kubeconfig;
  const unnamed = await slipway('doctor').finally(() => delete process.env['KUBECONFIG']);
  expect(unnamed.status).toBe(2);
  expect(unnamed.stderr).toMatch(
    /name the cluster by --context or --kubeconfig, or ask for --aws; known contexts: \S+/,
  );
  const config = JSON.parse(await cluster.kubectl('config', 'view', '--raw', '-o', 'json'));
  config.clusters[0].cluster.server = 'https://127.0.0.1:1';
  const kubeconfig = path.join(folder, 'gone.json');
  writeFileSync(kubeconfig, JSON.stringify(config));
  const gone = await slipway('doctor', '--kubeconfig', kubeconfig);
  expect(gone).toMatchObject({ status: 1, stderr: expect.stringContaining('https://127.0.0.1:1 does not answer: ') });
});

test('quotas are read with the AWS CLI, and a CLI without credentials is quoted', async () => {
  program(
    'aws',
    `case "$1" in
      sts) echo '{"Account":"123456789012"}' ;;
      service-quotas) echo '{"Quotas":[{"QuotaCode":"L-DB2E81BA","Value":4.0},{"QuotaCode":"L-0000","Value":1.0}]}' ;;
    esac`,
  );
  const { stdout, status } = await slipway('doctor', '--aws-region', 'eu-west-1', '--json');
  expect(status).toBe(0);
  expect((JSON.parse(stdout) as Checkup[]).filter(({ code }) => code === 'aws-quota')).toEqual([
    expect.objectContaining({
      severity: 'ok',
      evidence: expect.stringContaining('is 4 vCPUs in eu-west-1, account 123456789012'),
    }),
  ]);
  program(
    'aws',
    `echo 'Unable to locate credentials. You can configure credentials by running "aws configure".' >&2; exit 253`,
  );
  expect(await slipway('doctor', '--aws')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('the AWS CLI sts get-caller-identity: Unable to locate credentials'),
  });
});

const SERVER = [
  '--image',
  `registry.example.com/slipway@sha256:${'a'.repeat(64)}`,
  '--model-repository',
  's3://team-models',
];

const PROMETHEUS_KIND = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'prometheuses.monitoring.coreos.com' },
  spec: {
    group: 'monitoring.coreos.com',
    names: { kind: 'Prometheus', plural: 'prometheuses', singular: 'prometheus', listKind: 'PrometheusList' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

function program(name: string, script: string): void {
  const file = path.join(programs, name);
  mkdirSync(programs, { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

function doctor(...args: string[]): Promise<CommandResult> {
  return slipway('doctor', ...args, '--kubeconfig', cluster.kubeconfig);
}

/** Names of what is in the namespace, and not on its way out. */
async function left(resource: string): Promise<string[]> {
  const { items } = JSON.parse(await cluster.kubectl('get', resource, '-n', 'inference', '-o', 'json'));
  return items
    .filter(({ metadata }: any) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }: any) => metadata.name);
}

async function prometheus(selector: object): Promise<void> {
  const file = path.join(folder, 'prometheus.json');
  const object = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'Prometheus',
    metadata: { name: 'main', namespace: 'monitoring' },
    spec: {
      serviceMonitorSelector: selector,
      serviceMonitorNamespaceSelector: {},
      ruleSelector: selector,
      ruleNamespaceSelector: {},
    },
  };
  writeFileSync(file, JSON.stringify(object));
  await cluster.kubectl('create', 'namespace', 'monitoring').catch(() => undefined);
  await cluster.kubectl('apply', '--server-side', '--force-conflicts', '-f', file);
}

/** A spec file whose service runs on GPUs of a pool and is scaled by KEDA, or runs on CPUs. */
function spec(kind: 'gpu' | 'cpu'): string {
  const file = path.join(folder, `${kind}.json`);
  const gpu = {
    executionProvider: 'cuda',
    instanceTypes: ['g6.xlarge'],
    metricsFrom: 'keda',
    kubernetes: {
      namespace: 'inference',
      placement: {
        nodeSelector: { 'slipway.dev/pool': 'gpu' },
        tolerations: [{ key: 'nvidia.com/gpu', operator: 'Equal', value: 'present', effect: 'NoSchedule' }],
        gpuResourceName: 'nvidia.com/gpu',
      },
    },
  };
  const model = path.join(__dirname, '../../../models/digits/model.onnx');
  const service = {
    name: 'digits',
    models: [{ name: 'digits', version: 1, file: model }],
    ...(kind === 'gpu' ? gpu : { kubernetes: { namespace: 'default' } }),
  };
  writeFileSync(file, JSON.stringify(service));
  return file;
}
