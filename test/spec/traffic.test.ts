import { describe, expect, test } from 'vitest';
import {
  assertKserveCan,
  planInferenceService,
  planTraffic,
  PLAIN,
  renderKserveObjects,
  renderKubernetesObjects,
  renderTraffic,
  withTraffic,
  type EngineServiceSpec,
  type KubernetesRefs,
  type TrafficSpec,
} from 'slipway';
import { shortHash } from '../../runtime/spec/short-hash';
import { CPU_SPEC, GPU_SPEC } from '../support/specs';

const gateway = { name: 'public', namespace: 'gateway-system' };
const route = { gateway, hostnames: ['resnet.example.com'] };
const canary = { models: CPU_SPEC.models, weightPercent: 10 };
const shadow = { models: CPU_SPEC.models, percent: 25 };
const refs: KubernetesRefs<string> = {
  ...PLAIN,
  namespace: 'team',
  image: 'registry.example.com/slipway:1',
  clusterName: 'kubernetes',
  models: { resnet50: { folder: 's3://models/resnet50/3/' } },
};
const derive = (text: string, from: (known: string) => string): string => from(text);

function render(
  traffic: TrafficSpec,
  spec: EngineServiceSpec = CPU_SPEC,
  changed: Partial<KubernetesRefs<string>> = {},
) {
  const plan = planInferenceService(spec);
  const planned = planTraffic(spec, plan, traffic);
  const all = withTraffic({ ...refs, ...changed }, planned);
  const track = { models: refs.models };
  const further = renderTraffic(plan, all, planned, { derive, canary: track, shadow: track });
  return { plan, planned, stable: renderKubernetesObjects(plan, all), ...further };
}

describe('a spec is refused in one line', () => {
  test.each<[string, TrafficSpec, string]>([
    ['a canary without a route', { canary }, 'ROUTE_MISSING canary: '],
    ['a shadow without a route', { shadow }, 'ROUTE_MISSING shadow: '],
    ['a route of every host', { route: { gateway, hostnames: [] } }, 'ROUTE_INVALID route.hostnames: '],
    [
      'one host for HTTP and gRPC',
      { route: { ...route, grpcHostnames: ['grpc.example.com', 'resnet.example.com'] } },
      "ROUTE_INVALID route.grpcHostnames[1]: must be another host than those of HTTP, got 'resnet.example.com' in both",
    ],
    ['a path that is none', { route: { ...route, path: 'v2' } }, 'ROUTE_INVALID route.path: must begin with a slash'],
    [
      'a share of more than all',
      { route, canary: { ...canary, weightPercent: 101 } },
      'NUMBER_INVALID canary.weightPercent: ',
    ],
    [
      'a verdict on a canary that leaves nothing to compare it with',
      { route, canary: { ...canary, weightPercent: 100, verdict: {} } },
      'NUMBER_INVALID canary.weightPercent: must be a number from 1 to 99, got 100',
    ],
    [
      'a verdict after no time',
      { route, canary: { ...canary, verdict: { bakeSeconds: 0 } } },
      'NUMBER_INVALID canary.verdict.bakeSeconds: ',
    ],
    ['a shadow of nothing', { route, shadow: { ...shadow, percent: 0 } }, 'NUMBER_INVALID shadow.percent: '],
    ['a canary without models', { route, canary: { ...canary, models: [] } }, 'MODELS_EMPTY canary.models: '],
  ])('%s', (_, traffic, message) => {
    expect(() => render(traffic)).toThrow(message);
  });

  test('a name that leaves no room for that of its canary', () => {
    const spec = { ...CPU_SPEC, name: 'a'.repeat(44) };
    expect(() => render({ route, canary }, spec)).toThrow(
      'NAME_INVALID name: must be at most 43 characters with a canary',
    );
    expect(() => render({ route }, spec)).not.toThrow();
  });

  test('a route past the interceptor that wakes the service', () => {
    const spec = { ...CPU_SPEC, minReplicas: 0, wakeSource: 'interceptor' } as const;
    expect(() => render({ route }, spec)).toThrow('ROUTE_INVALID route: leads past the interceptor');
  });

  test('tracks that together ask for more GPUs than the machines have', () => {
    const spec = { ...GPU_SPEC, minReplicas: 2, maxReplicas: 2, spareReplica: false, machines: { maxGpus: 2 } };
    expect(() => render({ route, canary }, spec)).toThrow(
      'POOL_TOO_SMALL minReplicas: the machines of the placement have GPUs for 2 replicas, all tracks together need 3 (resnet 2, resnet-canary 1)',
    );
    const { planned } = render({ route, canary }, { ...spec, minReplicas: 1 });
    expect(planned.warnings).toContainEqual(expect.stringContaining('may ask for 3 (resnet 2, resnet-canary 1)'));
  });
});

describe('a route', () => {
  test('waits longer than a replica takes to give up, and sends everything to the one track', () => {
    const { plan, planned, httpRoute, grpcRoute } = render({ route });
    expect(planned.route!.timeoutSeconds).toBeGreaterThan(plan.lifecycle.requestDeadlineSeconds);
    expect(planned.route!.url).toBe('https://resnet.example.com');
    expect(grpcRoute).toBeUndefined();
    expect(httpRoute!.spec).toEqual({
      parentRefs: [{ name: 'public', namespace: 'gateway-system' }],
      hostnames: ['resnet.example.com'],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/v2' } }],
          backendRefs: [{ name: 'resnet', port: 8080, weight: 100 }],
          timeouts: { request: '60s', backendRequest: '60s' },
        },
      ],
    });
  });

  test("lets the gateway's proxies in, where they are, and nobody else", () => {
    const senders = (proxies: object) =>
      render({ route: { ...route, gateway: { ...gateway, ...proxies } } }).stable.networkPolicy.spec.ingress[0]!.from;
    const namespace = (name: string) => ({
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
    });
    expect(senders({})).toEqual([{ podSelector: {} }, namespace('gateway-system')]);
    expect(senders({ proxyNamespace: 'envoy' })).toEqual([{ podSelector: {} }, namespace('envoy')]);
    expect(senders({ proxyCidrs: ['10.9.0.0/23'] })).toEqual([
      { podSelector: {} },
      { ipBlock: { cidr: '10.9.0.0/23' } },
    ]);
    // Clients in the cluster call the service; who is to have the canary is the gateway's to say.
    expect(render({ route, canary }).canary!.networkPolicy.spec.ingress[0]!.from).toEqual([
      namespace('gateway-system'),
    ]);
    const closed = render({ route, canary }, CPU_SPEC, { clientNamespaces: [] });
    expect(closed.stable.networkPolicy.spec.ingress[0]!.from).toEqual([namespace('gateway-system')]);
    expect(closed.canary!.networkPolicy.spec.ingress[0]!.from).toEqual([namespace('gateway-system')]);
  });
});

describe('a canary', () => {
  test('has its share of the replicas, and everything of its own but the identity', () => {
    const { canary: objects, planned } = render({ route, canary: { ...canary, weightPercent: 50 } });
    expect(planned.canary!.plan.scaling).toMatchObject({ minReplicas: 1, maxReplicas: 4 });
    const kinds = Object.values(objects!).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(kinds).toEqual([
      'NetworkPolicy/resnet-canary',
      'Deployment/resnet-canary',
      'Service/resnet-canary',
      'PodDisruptionBudget/resnet-canary',
      'HorizontalPodAutoscaler/resnet-canary',
    ]);
    expect(objects!.deployment.spec.template.spec.serviceAccountName).toBe('resnet');
    expect(objects!.service.spec.selector).toEqual(objects!.deployment.spec.selector.matchLabels);
    expect(objects!.autoscaler.spec.scaleTargetRef.name).toBe('resnet-canary');
  });

  test('may have a number of replicas of its own', () => {
    const { planned } = render({ route, canary: { ...canary, replicas: 3 } });
    expect(planned.canary!.plan.scaling).toMatchObject({ minReplicas: 3, maxReplicas: 3 });
  });

  test('changes the route and the name of its Job with its models, its image, its share and its rules', () => {
    const revision = (change: object, image = 'a') => {
      const { httpRoute, verdict } = render({ route, canary: { ...canary, verdict: {}, ...change } }, CPU_SPEC, {
        image,
      });
      const text = httpRoute!.metadata.annotations!['slipway.dev/canary'];
      expect(verdict!.job.metadata.name).toBe(`resnet-verdict-${text}`);
      return text;
    };
    const [model] = CPU_SPEC.models;
    const all = [
      revision({}),
      revision({}, 'b'),
      revision({ weightPercent: 20 }),
      revision({ models: [{ ...model!, version: 4 }] }),
      revision({ verdict: { bakeSeconds: 60 } }),
    ];
    expect(new Set(all).size).toBe(5);
    expect(revision({})).toBe(all[0]);
  });
});

describe('the judge', () => {
  const { verdict, stable, canary: track } = render({ route, canary: { ...canary, verdict: {} } });

  test('is the only pod with a token, which ends within the hour', () => {
    const { spec } = verdict!.job.spec.template;
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      volumes: [{ projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3600 } }, {}] } }],
    });
    for (const { deployment } of [stable, track!]) {
      expect(deployment.spec.template.spec.automountServiceAccountToken).toBe(false);
      expect(JSON.stringify(deployment)).not.toContain('serviceAccountToken"');
    }
    for (const { automountServiceAccountToken } of [stable.serviceAccount, verdict!.serviceAccount]) {
      expect(automountServiceAccountToken).toBe(false);
    }
  });

  test('may read and change one route', () => {
    expect(verdict!.role.rules).toEqual([
      {
        apiGroups: ['gateway.networking.k8s.io'],
        resources: ['httproutes'],
        resourceNames: ['resnet'],
        verbs: ['get', 'patch'],
      },
    ]);
    const both = render({
      route: { ...route, grpcHostnames: ['grpc.example.com'] },
      canary: { ...canary, verdict: {} },
    });
    expect(both.verdict!.role.rules[0]!.resources).toEqual(['httproutes', 'grpcroutes']);
    expect(verdict!.roleBinding).toMatchObject({
      roleRef: { kind: 'Role', name: 'resnet-verdict' },
      subjects: [{ kind: 'ServiceAccount', name: 'resnet-verdict', namespace: 'team' }],
    });
  });

  test('is called by nobody, and reaches names, the API server and Prometheus', () => {
    const { spec } = verdict!.networkPolicy;
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
    expect(spec).not.toHaveProperty('ingress');
    expect(spec.podSelector.matchLabels).toEqual({
      'app.kubernetes.io/name': 'resnet-verdict',
      'app.kubernetes.io/component': 'verdict',
    });
    expect(verdict!.job.spec.template.metadata.labels).toMatchObject(spec.podSelector.matchLabels);
    expect(spec.egress.slice(1)).toEqual([
      { ports: [443, 6443].map((port) => ({ protocol: 'TCP', port })) },
      { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }] },
    ]);
    const egress = (prometheusUrl: string) =>
      render({ route, canary: { ...canary, verdict: {} } }, CPU_SPEC, { prometheusUrl }).verdict!.networkPolicy.spec
        .egress[2];
    expect(egress('http://prometheus:9090')).toEqual({ to: [{ podSelector: {} }] });
    expect(egress('https://metrics.example.com/tenant')).toEqual({ ports: [{ protocol: 'TCP', port: 443 }] });
    expect(egress('http://metrics.example.com:9009')).toEqual({ ports: [{ protocol: 'TCP', port: 9009 }] });
  });

  test("runs the stable track's image, and fails once for a verdict", () => {
    const { job } = render({ route, canary: { ...canary, verdict: {} } }).verdict!;
    const [container] = job.spec.template.spec['containers'] as [{ image: string; command: string[] }];
    expect(container).toMatchObject({ image: refs.image, command: ['node', '/app/cli.mjs', 'canary', 'judge'] });
    expect(job.spec.podFailurePolicy.rules[1]).toMatchObject({ action: 'FailJob', onExitCodes: { values: [1, 2] } });
    expect(job.spec.activeDeadlineSeconds).toBe(1_200);
  });

  test('has metrics of both tracks to read, unless somebody said no', () => {
    expect(stable.serviceMonitor).toBeDefined();
    expect(track!.serviceMonitor).toBeDefined();
    const without = render({ route, canary: { ...canary, verdict: {} } }, CPU_SPEC, { monitoring: { enabled: false } });
    expect(without.stable.serviceMonitor).toBeUndefined();
  });
});

describe('KServe', () => {
  const spec = { ...GPU_SPEC, minReplicas: 2 };
  const plan = planInferenceService(spec);
  const planned = planTraffic(spec, plan, { canary }, 'kserve');
  const objects = renderKserveObjects(plan, refs, planned.canary, { models: refs.models });

  test.each<[string, Parameters<typeof assertKserveCan>[1]]>([
    ['route', { route }],
    ['shadow', { shadow }],
    ['wake', { wake: {} }],
    ['canary.verdict', { canary: { verdict: {} } }],
  ])('is refused what it has no word for: %s', (path, choices) => {
    expect(() => assertKserveCan(plan, choices)).toThrow(
      `KSERVE_UNSUPPORTED ${path}: cannot be had with engine 'kserve'`,
    );
  });

  test('is refused a source of the signal that it cannot read, and a canary of more replicas than it takes off', () => {
    const adapter = planInferenceService({ ...spec, metricsFrom: 'prometheus-adapter' });
    expect(() => assertKserveCan(adapter, {})).toThrow('KSERVE_UNSUPPORTED metricsFrom: ');
    const many = planTraffic(spec, plan, { canary: { ...canary, replicas: 3 } }, 'kserve');
    expect(() => renderKserveObjects(plan, refs, many.canary, { models: {} })).toThrow(
      'KSERVE_UNSUPPORTED canary.replicas: must be at most minReplicas (2)',
    );
  });

  test('runs the same replica as a Deployment: environment, ports, probes, resources, rights and drain', () => {
    const { deployment, networkPolicy, podDisruptionBudget } = renderKubernetesObjects(plan, refs);
    const { containers, ...pod } = deployment.spec.template.spec;
    const { predictor } = objects.inferenceService.spec as { predictor: any };
    const [runtime] = objects.servingRuntime.spec.containers;
    // As KServe merges them: the runtime's container, then what the model says.
    const merged = { ...runtime, env: predictor.model.env, resources: predictor.model.resources };
    expect(merged).toEqual({ ...containers[0], name: 'kserve-container' });
    expect(predictor).toMatchObject(pod);
    expect(predictor).toMatchObject(deployment.spec.template.metadata);
    expect(predictor.deploymentStrategy).toEqual(deployment.spec.strategy);
    expect(objects.networkPolicy).toEqual(networkPolicy);
    expect(objects.podDisruptionBudget).toEqual(podDisruptionBudget);
    expect(predictor.model).not.toHaveProperty('storageUri');
  });

  test('scales by the same question, under the same name of the service', () => {
    const { autoscaler } = renderKubernetesObjects(plan, refs);
    const { predictor } = objects.inferenceService.spec as { predictor: any };
    const [{ external }] = predictor.autoScaling.metrics;
    const [trigger] = (autoscaler as any).spec.triggers;
    expect(external.metric.query).toBe(trigger.metadata.query);
    expect(external.target).toEqual({ type: 'Value', value: '700m' });
    expect(objects.serviceMonitor!.spec.endpoints[0]).toMatchObject({
      relabelings: [{ targetLabel: 'service', replacement: 'resnet' }],
    });
    expect(predictor).toMatchObject({ minReplicas: 2, maxReplicas: 8 });
    expect(objects.inferenceService.metadata.annotations).toEqual({
      'serving.kserve.io/deploymentMode': 'Standard',
      'serving.kserve.io/autoscalerClass': 'keda',
    });
  });

  test('gives a canary its share, a fixed number of replicas and a runtime of its own', () => {
    const [entry] = objects.inferenceService.spec.canary as [any];
    expect(entry).toMatchObject({ trafficPercent: 10, predictor: { name: 'canary', minReplicas: 1 } });
    expect(entry.predictor).not.toHaveProperty('maxReplicas');
    expect(entry.predictor.model).toMatchObject({ name: '', runtime: 'resnet-canary' });
    expect(entry.predictor.labels['app.kubernetes.io/name']).toBe('resnet-canary');
    expect(entry.predictor.serviceAccountName).toBe('resnet');
    expect(objects.canary!.servingRuntime.metadata.name).toBe('resnet-canary');
    for (const { spec } of [objects.servingRuntime, objects.canary!.servingRuntime]) {
      expect(spec.supportedModelFormats).toEqual([{ name: 'onnx', version: '1', autoSelect: false }]);
    }
    expect(objects.canary!.networkPolicy.spec.podSelector.matchLabels['app.kubernetes.io/name']).toBe('resnet-canary');
  });
});

test('a short hash is the one of FNV-1a, of the bytes of UTF-8', () => {
  expect(shortHash('')).toBe('811c9dc5');
  expect(shortHash('foobar')).toBe('bf9cf968');
  expect(shortHash('ü')).not.toBe(shortHash('u'));
});
