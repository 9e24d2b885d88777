import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { KubernetesObject } from '../../runtime/cli/service-objects';
import { defineKinds, namespaceOf, startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';
import { EVERYTHING, generateServices } from './generated-services';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const NAMESPACE = namespaceOf('generated');
const DEFINITIONS = [
  'gateway-api/gateway.networking.k8s.io_httproutes.yaml',
  'gateway-api/gateway.networking.k8s.io_grpcroutes.yaml',
  'keda/keda.sh_scaledobjects.yaml',
  'kserve/serving.kserve.io_servingruntimes.yaml',
  'kserve/serving.kserve.io_inferenceservices.yaml',
  'prometheus-operator/monitoring.coreos.com_servicemonitors.yaml',
  'prometheus-operator/monitoring.coreos.com_prometheusrules.yaml',
];
const reason = whyNoCluster({ definitions: DEFINITIONS });
const { made, refused } = generateServices(2_000, NAMESPACE);

let cluster: TestCluster | undefined;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-generated-'));
  if (reason !== undefined) return;
  cluster = await startCluster();
  await defineKinds(cluster, DEFINITIONS);
  await cluster.provide(path.join(__dirname, 'cluster-objects.yaml'));
  await cluster.kubectl('wait', '--for=condition=Established', 'crd/interceptorroutes.http.keda.sh', '--timeout=60s');
  await cluster.kubectl('create', 'namespace', NAMESPACE);
  // What breaks the rules in a template of pods is a warning, and a warning is an error below.
  await cluster.kubectl('label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/warn=restricted');
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

test('whatever may be chosen is part of some service that is made, and what contradicts itself is refused with a reason', () => {
  const chosen = new Set(made.flatMap((service) => Object.entries(service.chosen).map((pair) => pair.join(' '))));
  expect(EVERYTHING.filter((choice) => !chosen.has(choice))).toEqual([]);
  expect(made.length).toBeGreaterThan(150);
  expect([...new Set(refused.map(({ why }) => why.code))].sort()).toEqual([
    ...['KSERVE_UNSUPPORTED', 'POOL_TOO_SMALL', 'ROUTE_INVALID', 'ROUTE_MISSING', 'SCALING_METRIC_UNNAMED'],
    'WAKE_CHOICE',
  ]);
});

test('a real API server takes every object of every service, to the last field and without a warning', async (context) => {
  if (reason !== undefined) context.skip(reason);
  const byKind = new Map<string, Map<string, KubernetesObject>>();
  for (const object of made.flatMap(({ objects }) => objects)) {
    // The namespace is there; everything else many services have in common.
    if (object.kind === 'Namespace') continue;
    const alike = byKind.get(object.kind) ?? new Map<string, KubernetesObject>();
    byKind.set(object.kind, alike.set(JSON.stringify(object), object));
  }
  expect([...byKind.keys()].sort()).toEqual([
    ...['ConfigMap', 'Deployment', 'GRPCRoute', 'HTTPRoute', 'HorizontalPodAutoscaler', 'InferenceService'],
    ...['InterceptorRoute', 'Job', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule', 'ResourceClaimTemplate'],
    ...['Role', 'RoleBinding', 'ScaledObject', 'Service', 'ServiceAccount', 'ServiceMonitor', 'ServingRuntime'],
  ]);
  for (const [kind, objects] of byKind) {
    const taken = await create(kind, [...objects.values()]);
    expect(taken.trim().split('\n'), kind).toHaveLength(objects.size);
  }
});

test('it would say of an object that it has a field too many, or less protection than its namespace asks for', async (context) => {
  if (reason !== undefined) context.skip(reason);
  const deployment: any = made.flatMap(({ objects }) => objects).find(({ kind }) => kind === 'Deployment');
  const misspelt = structuredClone(deployment);
  misspelt.spec.template.spec.nodeSelectors = {};
  await expect(create('misspelt', [misspelt])).rejects.toThrow('unknown field "nodeSelectors"');
  const open = structuredClone(deployment);
  open.spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation = true;
  await expect(create('open', [open])).rejects.toThrow('would violate PodSecurity "restricted:latest"');
});

/** Everything that the API server does before it stores something, and the names that it would store. */
function create(name: string, items: readonly KubernetesObject[]): Promise<string> {
  const file = path.join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return cluster!.kubectl(
    ...['create', '--dry-run=server', '--validate=strict', '--warnings-as-errors', '-o', 'name', '-f', file],
  );
}
