import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { worstOf, type Checkup, type CheckupCode } from '../../../runtime/cli/doctor/checkup';
import { examine } from '../../../runtime/cli/doctor/examine';
import { matches } from '../../../runtime/cli/doctor/examine-monitoring';
import type { AwsFacts, ClusterFacts, ServiceNeeds, ToolFacts } from '../../../runtime/cli/doctor/facts';
import { gpuNode, HEALTHY, NEEDS } from './doctor-facts';

const TOOLS: ToolFacts = { node: '24.1.0', kubectl: '1.36.0', pulumi: '3.270.0', imageBuilder: 'docker 29.0.0' };

function examined(
  cluster: Partial<ClusterFacts>,
  needs: Partial<ServiceNeeds> = {},
  code?: CheckupCode,
): readonly Checkup[] {
  const all = examine({ tools: TOOLS, cluster: { ...HEALTHY, ...cluster }, needs: { ...NEEDS, ...needs } });
  return code === undefined ? all : all.filter((one) => one.code === code);
}

test('nothing is found in a cluster that has everything, and what was looked at is said', () => {
  const all = examined({});
  expect(all.filter(({ severity }) => severity !== 'ok')).toEqual([]);
  expect(worstOf(all)).toBe('ok');
  expect(new Set(all.map(({ code }) => code))).toEqual(
    new Set([
      'tool-node',
      'tool-kubectl',
      'tool-pulumi',
      'tool-image-builder',
      'cluster-version',
      'kind-missing',
      'pool-nodes',
      'gpu-nodes',
      'namespace-pod-security',
      'prometheus-monitors',
      'prometheus-rules',
      'metrics-api',
    ]),
  );
});

/** What is amiss, the code it is found under, how bad it is, what the evidence says, and what mends it. */
const AMISS: readonly (readonly [
  string,
  Partial<ClusterFacts>,
  Partial<ServiceNeeds>,
  CheckupCode,
  Checkup['severity'],
  evidence: string,
  fix: string,
])[] = [
  [
    'a cluster that is too old',
    { version: 'v1.26.9' },
    {},
    'cluster-version',
    'error',
    'v1.26.9',
    'upgrade the cluster',
  ],
  [
    'what one may not read',
    { unreadable: [{ what: 'nodes', why: 'nodes is forbidden' }] },
    {},
    'cluster-unreadable',
    'warning',
    'forbidden',
    'kubectl auth can-i get nodes',
  ],
  [
    'KEDA that is not installed',
    { kinds: { 'apps/v1': ['Deployment'] }, groups: {} },
    {},
    'kind-missing',
    'error',
    'no version of keda.sh',
    'helm install keda keda --repo https://kedacore.github.io/charts --version 2.21.1',
  ],
  [
    'a Gateway API of another version',
    { groups: { 'gateway.networking.k8s.io': ['v1beta1'] } },
    { kinds: [{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', object: 'digits' }] },
    'kind-missing',
    'error',
    'it serves v1beta1',
    'oci://docker.io/envoyproxy/gateway-helm',
  ],
  [
    'an image that an old cluster cannot mount',
    { version: 'v1.33.0' },
    { imageVolumes: ['digits'] },
    'image-volumes',
    'error',
    'v1.33.0',
    "have model 'digits' fetched",
  ],
  [
    'an image that an old machine cannot mount',
    { nodes: [gpuNode('old', { runtime: 'containerd://1.7.27' })] },
    { imageVolumes: ['digits'] },
    'image-volumes',
    'error',
    'containerd://1.7.27',
    'fetched',
  ],
  [
    'GPUs that two agents give away',
    { resourceSlices: [{ driver: 'gpu.nvidia.com', node: 'gpu-0' }] },
    {},
    'gpu-claimed-twice',
    'error',
    'gpu-0 has 1 nvidia.com/gpu and a ResourceSlice',
    'nvidia/nvidia-device-plugin',
  ],
  [
    'two device plugins',
    {
      daemonSets: [
        ...HEALTHY.daemonSets,
        { namespace: 'gpu-operator', name: 'plugin', images: ['r/nvidia/k8s-device-plugin@sha256:0'] },
      ],
    },
    {},
    'gpu-claimed-twice',
    'error',
    'nvidia/nvidia-device-plugin, gpu-operator/plugin',
    'kubectl delete daemonset plugin --namespace gpu-operator',
  ],
  [
    'a GPU machine without its taint',
    { nodes: [gpuNode('open', { taints: [] })] },
    {},
    'gpu-taint',
    'warning',
    'open',
    'kubectl taint nodes open nvidia.com/gpu=present:NoSchedule',
  ],
  [
    'a pool without a machine',
    { nodes: [] },
    {},
    'pool-nodes',
    'note',
    'slipway.dev/pool=gpu',
    'kubectl get nodes --selector slipway.dev/pool=gpu',
  ],
  [
    'a taint that nobody tolerates',
    { nodes: [gpuNode('mine', { taints: [{ key: 'team', value: 'b', effect: 'NoExecute' }] })] },
    {},
    'pool-nodes',
    'error',
    'mine has team=b:NoExecute',
    'kubectl taint nodes mine team:NoExecute-',
  ],
  [
    'a pool whose GPUs nobody offers',
    { nodes: [gpuNode('bare', { allocatable: { cpu: '4' } })] },
    {},
    'gpu-nodes',
    'error',
    'bare offers no GPU',
    'helm install nvidia-device-plugin nvidia-device-plugin --repo https://nvidia.github.io/k8s-device-plugin',
  ],
  [
    'parts of GPUs that are asked for and not made',
    {},
    { gpu: { ...NEEDS.gpu!, resourceName: 'nvidia.com/mig-1g.5gb' } },
    'gpu-nodes',
    'error',
    'gpu-0 offers 1 nvidia.com/gpu',
    'nvidia.com/mig-1g.5gb',
  ],
  [
    'one machine of two that offers less',
    { nodes: [gpuNode('gpu-0'), gpuNode('gpu-1', { allocatable: { 'nvidia.com/gpu': '0' } })] },
    {},
    'gpu-nodes',
    'warning',
    'gpu-1 offers no GPU',
    'nvidia-device-plugin',
  ],
  [
    'a driver that is too old',
    {
      nodes: [gpuNode('old', { labels: { 'slipway.dev/pool': 'gpu', 'nvidia.com/cuda.driver-version.major': '470' } })],
    },
    {},
    'gpu-driver',
    'error',
    'driver 470, at least 525',
    'installDriver',
  ],
  [
    'no device plugin before there is a machine',
    { nodes: [], daemonSets: [] },
    {},
    'gpu-device-plugin',
    'note',
    '0 DaemonSets',
    'nvidia-device-plugin',
  ],
  [
    'a claim that nothing meets',
    {},
    { gpu: { ...NEEDS.gpu!, usesDra: true } },
    'gpu-dra',
    'error',
    'device classes: none',
    'DRA driver',
  ],
  [
    'a namespace that is not there',
    { namespace: undefined },
    {},
    'namespace',
    'error',
    'found none',
    'kubectl create namespace inference',
  ],
  [
    'a namespace that is there and would be made',
    {},
    { createsNamespace: true },
    'namespace',
    'warning',
    "'inference' exists",
    'createNamespace',
  ],
  [
    'a namespace that lets everything run',
    { namespace: { name: 'inference', labels: {} } },
    {},
    'namespace-pod-security',
    'warning',
    'no label pod-security.kubernetes.io/enforce',
    'kubectl label namespace inference pod-security.kubernetes.io/enforce=restricted',
  ],
  [
    'a namespace that the identity does not know',
    {},
    { namespaceLabels: { 'workload.identity/on': 'true' } },
    'namespace-identity',
    'error',
    'missing workload.identity/on=true',
    'kubectl label namespace inference workload.identity/on=true',
  ],
  [
    'a Prometheus that looks for other labels',
    { prometheuses: [{ ...HEALTHY.prometheuses[0]!, serviceMonitorSelector: { matchLabels: { team: 'ml' } } }] },
    {},
    'prometheus-monitors',
    'error',
    'selects team=ml in namespaces with everything',
    'kubernetes.monitoring.labels of the spec: {"team":"ml"}',
  ],
  [
    'a Prometheus that looks at its own namespace alone',
    { prometheuses: [{ namespace: 'monitoring', name: 'own', ruleSelector: {}, serviceMonitorSelector: {} }] },
    {},
    'prometheus-rules',
    'error',
    'in namespace monitoring',
    'kubectl edit prometheus own --namespace monitoring',
  ],
  [
    'no Prometheus at all',
    { prometheuses: [] },
    {},
    'prometheus-monitors',
    'error',
    'no object of kind Prometheus',
    'helm install kube-prometheus-stack',
  ],
  [
    'CPU use that nobody measures',
    { apiServices: [] },
    { metrics: 'cpu' },
    'metrics-api',
    'error',
    'there is no v1beta1.metrics.k8s.io',
    'helm install metrics-server',
  ],
  [
    'a metrics API that does not answer',
    { apiServices: [{ ...HEALTHY.apiServices[0]!, isAvailable: false, message: 'no endpoints' }] },
    {},
    'metrics-api',
    'error',
    'no endpoints',
    'kubectl describe apiservice',
  ],
  [
    'external metrics that another adapter answers',
    { apiServices: [{ ...HEALTHY.apiServices[0]!, service: 'monitoring/prometheus-adapter' }] },
    {},
    'metrics-api',
    'error',
    'monitoring/prometheus-adapter',
    'metricsFrom',
  ],
];

describe('what is amiss is said with what was seen and what mends it', () => {
  test.each(AMISS)('%s', (_, cluster, needs, code, severity, evidence, fix) => {
    const found = examined(cluster, needs, code).filter((one) => one.severity !== 'ok');
    expect(found.map((one) => one.severity)).toEqual([severity]);
    expect(found[0]!.evidence).toContain(evidence);
    expect(found[0]!.fix).toContain(fix);
  });

  test('and every code has a case here or below, and a place on the page', () => {
    const elsewhere = [
      'tool-node',
      'tool-kubectl',
      'tool-pulumi',
      'tool-image-builder',
      'identity',
      'model-evidence',
      'aws-quota',
      'add-on-present',
    ];
    const codes: Record<CheckupCode, true> = {
      'tool-node': true,
      'tool-kubectl': true,
      'tool-pulumi': true,
      'tool-image-builder': true,
      'cluster-version': true,
      'cluster-unreadable': true,
      'kind-missing': true,
      'add-on-present': true,
      'image-volumes': true,
      'gpu-nodes': true,
      'gpu-taint': true,
      'gpu-device-plugin': true,
      'gpu-driver': true,
      'gpu-claimed-twice': true,
      'gpu-dra': true,
      'pool-nodes': true,
      namespace: true,
      'namespace-pod-security': true,
      'namespace-identity': true,
      'prometheus-monitors': true,
      'prometheus-rules': true,
      'metrics-api': true,
      identity: true,
      'model-evidence': true,
      'aws-quota': true,
    };
    const page = readFileSync(path.join(__dirname, '../../../docs/pulumi/doctor.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    const listed = rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, code]) => code!));
    expect(listed.sort()).toEqual(Object.keys(codes).sort());
    expect([...new Set([...AMISS.map(([, , , code]) => code), ...elsewhere])].sort()).toEqual(
      Object.keys(codes).sort(),
    );
  });
});

describe('what looks amiss and is not', () => {
  test.each([
    [
      'DRA and the device plugin on different machines',
      { resourceSlices: [{ driver: 'gpu.nvidia.com', node: 'other' }] },
      {},
      'gpu-claimed-twice',
    ],
    ['a slice of another driver', { resourceSlices: [{ driver: 'dra.net', node: 'gpu-0' }] }, {}, 'gpu-claimed-twice'],
    [
      'a driver that is new',
      { nodes: [gpuNode('a', { labels: { 'slipway.dev/pool': 'gpu', 'nvidia.com/cuda.driver.major': '580' } })] },
      {},
      'gpu-driver',
    ],
    [
      'a soft taint',
      { nodes: [gpuNode('a', { taints: [...gpuNode('a').taints, { key: 'x', effect: 'PreferNoSchedule' }] })] },
      {},
      'pool-nodes',
    ],
    ['an image volume on a new cluster', {}, { imageVolumes: ['digits'] }, 'image-volumes'],
    [
      'an old machine of another pool',
      { nodes: [gpuNode('gpu-0'), gpuNode('b', { labels: {}, kubelet: 'v1.30.0' })] },
      { imageVolumes: ['digits'] },
      'image-volumes',
    ],
    [
      'a claim with its class',
      { deviceClasses: ['gpu.nvidia.com'] },
      { gpu: { ...NEEDS.gpu!, usesDra: true } },
      'gpu-dra',
    ],
    ['a namespace that the service makes', { namespace: undefined as never }, { createsNamespace: true }, 'namespace'],
    [
      'a second Prometheus that does not look',
      { prometheuses: [{ namespace: 'a', name: 'b' }, ...HEALTHY.prometheuses] },
      {},
      'prometheus-monitors',
    ],
  ] as const)('%s', (_, cluster, needs, code) => {
    expect(examined(cluster, needs, code).filter(({ severity }) => severity !== 'ok')).toEqual([]);
  });
});

test('a selector selects as Kubernetes does it', () => {
  const labels = { a: '1', b: '2' };
  expect(matches(undefined, labels)).toBe(false);
  expect(matches({}, labels)).toBe(true);
  expect(matches({ matchLabels: { a: '1', b: '3' } }, labels)).toBe(false);
  const one = (key: string, operator: string, values?: string[]) =>
    matches({ matchExpressions: [{ key, operator, ...(values === undefined ? {} : { values }) }] }, labels);
  expect([one('a', 'In', ['1']), one('a', 'In', ['2']), one('c', 'In', ['1'])]).toEqual([true, false, false]);
  expect([one('a', 'NotIn', ['1']), one('c', 'NotIn', ['1'])]).toEqual([false, true]);
  expect([one('a', 'Exists'), one('c', 'Exists'), one('c', 'DoesNotExist')]).toEqual([true, false, true]);
  expect(one('a', 'Unheard')).toBe(false);
});

test('programs that are missing are said, and kubectl is missed most where a cluster is asked', () => {
  const bare = examine({ tools: { node: '20.18.0' } });
  expect(bare.map(({ code, severity }) => [code, severity])).toEqual([
    ['tool-node', 'error'],
    ['tool-kubectl', 'note'],
    ['tool-pulumi', 'note'],
    ['tool-image-builder', 'note'],
  ]);
  const [node] = examine({ tools: { ...TOOLS, node: '20.20.1' } });
  expect(node!.severity).toBe('note');
  const asked = examine({ tools: { node: '24.0.0' }, cluster: HEALTHY });
  expect(asked.find(({ code }) => code === 'tool-kubectl')!.severity).toBe('error');
});

test('without a service, add-ons that are there are named as PlatformAddons takes them', () => {
  const present = examine({ tools: TOOLS, cluster: HEALTHY }).filter(({ code }) => code === 'add-on-present');
  expect(present.map(({ fix }) => fix)).toEqual([
    'new PlatformAddons(…, { keda: { existing: true } })',
    'new PlatformAddons(…, { monitoring: { existing: true } })',
  ]);
});

describe('an identity', () => {
  const probe = { uri: 's3://models/digits/1/', serviceAccount: 'digits' };
  test('that reads the model is as it should be', () => {
    const found = examine({ tools: TOOLS, probe: { ...probe, isRead: true, message: '' } });
    expect(found.at(-1)).toMatchObject({ code: 'identity', severity: 'ok' });
  });
  test('that does not is an error, with what the pod said', () => {
    const found = examine({ tools: TOOLS, probe: { ...probe, isRead: false, message: 'AccessDenied' } });
    expect(found.at(-1)).toMatchObject({ code: 'identity', severity: 'error' });
    expect(found.at(-1)!.evidence).toContain('AccessDenied');
    expect(found.at(-1)!.fix).toContain("serviceAccountName: 'digits'");
  });
});

describe('evidence of a model', () => {
  const facts = { model: 'digits', version: 3, place: 's3://models/digits/3/manifest.json' };
  const found = (more: object): Checkup => examine({ tools: TOOLS, evidence: [{ ...facts, ...more }] }).at(-1)!;
  test('that is there is as it should be', () => {
    expect(found({})).toMatchObject({ code: 'model-evidence', severity: 'ok', evidence: facts.place });
  });
  test('that is missing is an error, with the commands that make it', () => {
    const error = found({ missing: 'nobody evaluated it', hasPreprocessing: true });
    expect(error).toMatchObject({ severity: 'error', evidence: `${facts.place}: nobody evaluated it` });
    expect(error.fix).toMatch(
      /^slipway model evaluate .* --preprocessing PREPROCESSING --report evaluation\.json, then/,
    );
    expect(error.fix).toContain('--name digits --evaluation evaluation.json --preprocessing PREPROCESSING');
    expect(found({ missing: 'nobody evaluated it' }).fix).not.toContain('--preprocessing');
  });
  test('that nobody could read is a warning', () => {
    expect(found({ unreadable: 'AccessDenied' })).toMatchObject({ severity: 'warning' });
  });
});

describe('quotas of AWS', () => {
  const aws = (quotas: Record<string, number>): AwsFacts => ({ account: '123456789012', region: 'eu-west-1', quotas });
  const of = (quotas: Record<string, number>, needs: ServiceNeeds | undefined = NEEDS) =>
    examine({ tools: TOOLS, aws: aws(quotas), ...(needs === undefined ? {} : { needs }) }).filter(
      ({ code }) => code === 'aws-quota',
    );

  test('that have room for every replica are as they should be', () => {
    expect(of({ 'L-DB2E81BA': 8, 'L-3819A6DF': 64 }).map(({ severity }) => severity)).toEqual(['ok', 'ok']);
  });
  test('of zero are an error on demand and a note for spot, with the request that raises them', () => {
    const [onDemand, spot] = of({ 'L-DB2E81BA': 0, 'L-3819A6DF': 0 });
    expect([onDemand!.severity, spot!.severity]).toEqual(['error', 'note']);
    expect(onDemand!.fix).toBe(
      'aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 8 --region eu-west-1',
    );
  });
  test('that have room for some replicas are a warning', () => {
    expect(of({ 'L-DB2E81BA': 4 })[0]!.severity).toBe('warning');
  });
  test('of families that the service does not use are not its business', () => {
    expect(of({ 'L-417A185B': 0 })).toEqual([]);
  });
  test('are said as they are where no service asks', () => {
    const found = examine({ tools: TOOLS, aws: aws({ 'L-DB2E81BA': 0, 'L-417A185B': 192 }) }).slice(-2);
    expect(found.map(({ severity }) => severity)).toEqual(['note', 'ok']);
  });
});
