import {
  planInferenceService,
  PLAIN,
  renderKubernetesObjects,
  type HorizontalPodAutoscalerObject,
  type KubernetesRefs,
  type ScaledObject,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { CPU_SPEC, GPU_SPEC } from '../support/specs';

const refs: KubernetesRefs<string> = {
  ...PLAIN,
  namespace: 'inference',
  image: `registry.example.com/slipway@sha256:${'1'.repeat(64)}`,
  clusterName: 'prod',
  models: { resnet50: { folder: 's3://models/resnet50/3/' } },
};

const render = (spec = CPU_SPEC, change: Partial<KubernetesRefs<string>> = {}) =>
  renderKubernetesObjects(planInferenceService(spec), { ...refs, ...change });

describe('a pod', () => {
  test('satisfies Pod Security restricted', () => {
    const { spec } = render().deployment.spec.template;
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    for (const container of spec.containers) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    expect(spec.volumes.every((volume) => 'emptyDir' in volume)).toBe(true);
  });

  test('gets neither a token nor variables of other services', () => {
    const { deployment, serviceAccount } = render();
    expect(deployment.spec.template.spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    });
    expect(serviceAccount.automountServiceAccountToken).toBe(false);
  });

  test('is probed by the plan’s numbers: live never asks for ready', () => {
    const plan = planInferenceService(CPU_SPEC);
    const [container] = render().deployment.spec.template.spec.containers;
    expect(container!.startupProbe).toMatchObject({
      httpGet: { path: '/startupz' },
      failureThreshold: Math.ceil(plan.lifecycle.startupBudgetSeconds / 5),
    });
    expect(container!.readinessProbe.httpGet.path).toBe('/readyz');
    expect(container!.livenessProbe.httpGet.path).toBe('/livez');
    expect(render().deployment.spec.template.spec.terminationGracePeriodSeconds).toBe(
      plan.lifecycle.stopTimeoutSeconds,
    );
  });

  test('asks for as many GPUs as it is limited to, and tolerates their taint', () => {
    const { spec } = render(GPU_SPEC).deployment.spec.template;
    expect(spec.containers[0]!.resources.requests['nvidia.com/gpu']).toBe('1');
    expect(spec.containers[0]!.resources.limits['nvidia.com/gpu']).toBe('1');
    expect(spec.tolerations).toEqual([{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]);
    expect(render().deployment.spec.template.spec.tolerations).toBeUndefined();
  });

  test('changes with the models it serves, and its selector does not', () => {
    const other = render({ ...CPU_SPEC, models: [{ ...CPU_SPEC.models[0]!, version: 4 }] }).deployment.spec;
    expect(other.template.metadata.annotations).not.toEqual(render().deployment.spec.template.metadata.annotations);
    expect(other.selector).toEqual(render().deployment.spec.selector);
  });
});

test('replicas are left to the autoscaler', () => {
  expect(render().deployment.spec).not.toHaveProperty('replicas');
});

describe('the autoscaler', () => {
  test('of a CPU service reads the server container’s CPU', () => {
    const { spec } = render().autoscaler as HorizontalPodAutoscalerObject<string>;
    expect(spec.metrics).toEqual([
      {
        type: 'ContainerResource',
        containerResource: {
          container: 'server',
          name: 'cpu',
          target: { type: 'Utilization', averageUtilization: 70 },
        },
      },
    ]);
    expect(spec).toMatchObject({ minReplicas: 2, maxReplicas: 8 });
  });

  test('with the Prometheus adapter reads saturation', () => {
    const { spec } = render({ ...GPU_SPEC, metricsFrom: 'prometheus-adapter' })
      .autoscaler as HorizontalPodAutoscalerObject<string>;
    expect(spec.metrics).toEqual([
      {
        type: 'Pods',
        pods: { metric: { name: 'slipway_saturation' }, target: { type: 'AverageValue', averageValue: '700m' } },
      },
    ]);
  });

  test('with KEDA reads saturation and keeps its replicas while Prometheus is away', () => {
    const { kind, spec } = render(GPU_SPEC).autoscaler as ScaledObject<string>;
    expect(kind).toBe('ScaledObject');
    expect(spec.triggers[0]!.metadata).toMatchObject({
      query: 'sum(slipway_saturation{service="resnet",namespace="inference"})',
      threshold: '0.7',
    });
    expect(spec.fallback.behavior).toBe('currentReplicasIfHigher');
    expect(spec.triggers[0]!.metadata['ignoreNullValues']).toBe('false');
  });

  test('lets KEDA take over in one update, and be left again', () => {
    // KEDA's webhook passes over an HPA that says so, else it refuses a ScaledObject for the same Deployment.
    expect(render().autoscaler.metadata.annotations).toEqual({ 'validations.keda.sh/hpa-ownership': 'false' });
    expect(render().autoscaler.metadata.name).not.toMatch(/^keda-hpa-/);
  });

  test('of a GPU service must be named', () => {
    const { metricsFrom: _unnamed, ...spec } = GPU_SPEC;
    expect(() => render(spec)).toThrow(
      "SCALING_METRIC_UNNAMED metricsFrom: must be named for a GPU service on Kubernetes; 'keda' needs KEDA",
    );
  });
});

describe('the network policy', () => {
  test('lets in the own namespace and Prometheus, and nobody else', () => {
    expect(render().networkPolicy.spec.ingress).toEqual([
      {
        from: [{ podSelector: {} }],
        ports: [
          { protocol: 'TCP', port: 'http' },
          { protocol: 'TCP', port: 'grpc' },
        ],
      },
      {
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        ports: [{ protocol: 'TCP', port: 'metrics' }],
      },
    ]);
    const [clients] = render(CPU_SPEC, { clientNamespaces: ['checkout'] }).networkPolicy.spec.ingress;
    expect(clients!.from).toEqual([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'checkout' } } },
    ]);
  });

  test('lets nobody in where no namespace may call: an empty list of senders would let in everybody', () => {
    const { ingress } = render(CPU_SPEC, { clientNamespaces: [] }).networkPolicy.spec;
    expect(ingress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([['metrics']]);
    expect(ingress.filter(({ from }) => from.length === 0)).toEqual([]);
  });

  test('lets names be asked of the cluster’s DNS, however its pods are labelled, and of NodeLocal DNSCache', () => {
    const [names] = render().networkPolicy.spec.egress;
    expect(names!.to).toEqual([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } },
      { ipBlock: { cidr: '169.254.20.10/32' } },
    ]);
  });

  test('lets out names, HTTPS and what the identity needs', () => {
    const identity = {
      serviceAccountAnnotations: {},
      podLabels: {},
      namespaceLabels: {},
      egress: [{ cidr: '169.254.170.23/32', port: 80 }],
      environment: {},
    };
    const { egress } = render(CPU_SPEC, { identity }).networkPolicy.spec;
    expect(egress.map((rule) => rule.ports.map(({ protocol, port }) => `${protocol}/${port}`).join())).toEqual([
      'UDP/53,TCP/53',
      'TCP/443',
      'TCP/80',
    ]);
    expect(egress[2]!.to).toEqual([{ ipBlock: { cidr: '169.254.170.23/32' } }]);
  });
});

test('quantities are written as the API server writes them back', () => {
  const resources = (vcpu: number, memoryMiB: number) =>
    render({ ...CPU_SPEC, capacity: 'instances', vcpu, memoryMiB }).deployment.spec.template.spec.containers[0]!
      .resources.limits;
  expect(resources(1, 2_048)).toMatchObject({ cpu: '1', memory: '2Gi' });
  expect(resources(3.5, 1_536)).toMatchObject({ cpu: '3500m', memory: '1536Mi' });
  expect(resources(16, 2 ** 20)).toMatchObject({ cpu: '16', memory: '1Ti' });
  const { spec } = render({ ...GPU_SPEC, metricsFrom: 'prometheus-adapter', targetSaturation: 1 })
    .autoscaler as HorizontalPodAutoscalerObject<string>;
  expect(spec.metrics[0]).toMatchObject({ pods: { target: { averageValue: '1' } } });
});

test('an empty map or list is left out, for the API server would drop it', () => {
  const placement = { nodeSelector: {}, tolerations: [], gpuResourceName: 'nvidia.com/gpu' };
  const objects = render(GPU_SPEC, { placement });
  expect(objects.serviceAccount.metadata).not.toHaveProperty('annotations');
  expect(objects.deployment.spec.template.spec).not.toHaveProperty('nodeSelector');
  expect(objects.deployment.spec.template.spec).not.toHaveProperty('tolerations');
});

test('an identity marks the account, the pod and its environment', () => {
  const identity = {
    serviceAccountAnnotations: { 'cloud.example/role': 'reader' },
    podLabels: { 'cloud.example/use': 'true' },
    namespaceLabels: {},
    egress: [],
    environment: { CLOUD_REGION: 'north' },
  };
  const objects = render(CPU_SPEC, { identity });
  expect(objects.serviceAccount.metadata.annotations).toEqual({ 'cloud.example/role': 'reader' });
  expect(objects.deployment.spec.template.metadata.labels).toMatchObject({ 'cloud.example/use': 'true' });
  expect(objects.deployment.spec.template.spec.containers[0]!.env).toContainEqual({
    name: 'CLOUD_REGION',
    value: 'north',
  });
});

test('the objects of one service, whole', async () => {
  await expect(`${JSON.stringify(render(), undefined, 2)}\n`).toMatchFileSnapshot('__snapshots__/kubernetes-cpu.json');
  await expect(`${JSON.stringify(render(GPU_SPEC), undefined, 2)}\n`).toMatchFileSnapshot(
    '__snapshots__/kubernetes-gpu.json',
  );
});
