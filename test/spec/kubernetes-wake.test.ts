import {
  planInferenceService,
  PLAIN,
  renderKubernetesObjects,
  wakeSourceOf,
  type EngineServiceSpec,
  type HorizontalPodAutoscalerObject,
  type ScaledObject,
  type WakeOptions,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { CPU_SPEC, GPU_SPEC } from '../support/specs';

function render(wake: WakeOptions, spec: EngineServiceSpec = GPU_SPEC, change: Partial<EngineServiceSpec> = {}) {
  const wakeSource = wakeSourceOf(wake)!;
  const plan = planInferenceService({ ...spec, minReplicas: 0, maxReplicas: 4, wakeSource, ...change });
  const objects = renderKubernetesObjects(plan, {
    ...PLAIN,
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    clusterName: 'prod',
    models: { resnet50: { folder: 's3://models/resnet50/3/' } },
    wake,
  });
  return { plan, objects, autoscaler: objects.autoscaler as ScaledObject<string> };
}

const INTERCEPTOR: WakeOptions = { interceptor: { hosts: ['resnet.example.com'] } };

describe('a service that an interceptor wakes', () => {
  test('scales by the requests that it counts, and by the saturation of the replicas', () => {
    const { autoscaler } = render(INTERCEPTOR);
    expect(autoscaler.spec).toMatchObject({ minReplicaCount: 0, maxReplicaCount: 4 });
    expect(autoscaler.spec.triggers.map(({ type }) => type)).toEqual(['prometheus', 'external-push']);
    expect(autoscaler.spec.triggers[1]!.metadata).toEqual({
      scalerAddress: 'keda-add-ons-http-external-scaler.keda:9090',
      interceptorRoute: 'resnet',
    });
  });

  test('answers 503 at once while it starts, with the seconds of the plan', () => {
    const { objects, plan } = render(INTERCEPTOR);
    const { spec } = objects.interceptorRoute!;
    const { response } = spec.coldStart.placeholder;
    expect(response.statusCode).toBe(503);
    expect(response.headers['Retry-After']).toBe(String(plan.lifecycle.startupBudgetSeconds));
    expect(JSON.parse(response.body).error).toContain('and up to 900 s more where a machine must come first');
    expect(spec.target).toEqual({ service: 'resnet', port: 8080 });
    expect(spec.rules).toEqual([{ hosts: ['resnet.example.com'] }]);
    expect(spec.scalingMetric).toEqual({ concurrency: { targetValue: 32 } });
    // Longer than a request may take in a replica, whose own answer says more.
    expect(spec.timeouts).toEqual({ request: '35s', responseHeader: '35s' });
  });

  test('lets the namespace of the add-on in', () => {
    const from = (wake: WakeOptions) => render(wake).objects.networkPolicy.spec.ingress[0]!.from[1];
    expect(from(INTERCEPTOR)).toEqual({
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'keda' } },
    });
    expect(from({ interceptor: { hosts: ['a'], namespace: 'edge' } })).toEqual({
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'edge' } },
    });
  });

  test('needs a host', () => {
    expect(() => render({ interceptor: { hosts: [] } })).toThrow(
      'WAKE_CHOICE wake.interceptor.hosts: must name at least one host, got none',
    );
  });
});

describe('a service that a schedule wakes', () => {
  test('has replicas within its windows, at least', () => {
    const windows = [{ start: '0 8 * * 1-5', end: '0 18 * * 1-5', replicas: 2 }];
    expect(render({ schedule: { windows, timezone: 'Europe/Berlin' } }).autoscaler.spec.triggers[1]).toEqual({
      type: 'cron',
      metadata: { timezone: 'Europe/Berlin', start: '0 8 * * 1-5', end: '0 18 * * 1-5', desiredReplicas: '2' },
    });
  });

  test.each([
    [[], 'WAKE_CHOICE wake.schedule.windows: must have at least one window, got none'],
    [
      [{ start: 'morning', end: '0 18 * * *' }],
      'WAKE_CHOICE wake.schedule.windows[0].start: must be five fields of cron',
    ],
    [
      [{ start: '0 8 * * *', end: '0 18 * * *', replicas: 5 }],
      'NUMBER_INVALID wake.schedule.windows[0].replicas: must be a number from 1 to 4, got 5',
    ],
  ])('refuses windows that cannot be: %j', (windows, message) => {
    expect(() => render({ schedule: { windows } })).toThrow(message);
  });
});

test('a service that a queue wakes tells KEDA of it, and who may look into it', () => {
  const queue = {
    scaler: 'aws-sqs-queue',
    metadata: { queueURL: 'https://sqs.example.com/1/jobs', queueLength: '8' },
    authentication: 'jobs',
  };
  expect(render({ queue }).autoscaler.spec.triggers[1]).toEqual({
    type: 'aws-sqs-queue',
    metadata: { queueURL: 'https://sqs.example.com/1/jobs', queueLength: '8' },
    authenticationRef: { name: 'jobs' },
  });
});

describe('a service that may have no replica', () => {
  test('counts none as idle, and a service that always has one does not', () => {
    const query = (minReplicas: number) =>
      render(INTERCEPTOR, GPU_SPEC, { minReplicas }).autoscaler.spec.triggers[0]!.metadata['query'];
    expect(query(0)).toBe('sum(slipway_saturation{service="resnet",namespace="inference"}) or vector(0)');
    expect(query(1)).toBe('sum(slipway_saturation{service="resnet",namespace="inference"})');
  });

  test('keeps its last replica as long as another would take to come, and is not stopped while it first starts', () => {
    const { autoscaler, plan } = render(INTERCEPTOR);
    expect(autoscaler.spec.cooldownPeriod).toBe(plan.lifecycle.progressDeadlineSeconds);
    expect(autoscaler.spec.initialCooldownPeriod).toBe(plan.lifecycle.progressDeadlineSeconds);
    expect(render(INTERCEPTOR, GPU_SPEC, { minReplicas: 1 }).autoscaler.spec).not.toHaveProperty('cooldownPeriod');
  });

  test('scales by CPU through KEDA too, for one Deployment has one autoscaler', () => {
    expect(render(INTERCEPTOR, CPU_SPEC).autoscaler.spec.triggers[0]).toEqual({
      type: 'cpu',
      metricType: 'Utilization',
      metadata: { value: '70', containerName: 'server' },
    });
  });

  test('is refused where nothing wakes it, or more than one thing does', () => {
    expect(() => planInferenceService({ ...CPU_SPEC, minReplicas: 0 })).toThrow('SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE');
    expect(() => wakeSourceOf({})).toThrow(
      'WAKE_CHOICE wake: must be one of interceptor, schedule and queue, got none',
    );
    const both: WakeOptions = { ...INTERCEPTOR, schedule: { windows: [] } };
    expect(() => wakeSourceOf(both)).toThrow('got interceptor and schedule');
  });

  test('is refused with the Prometheus adapter, which starts nothing', () => {
    expect(() => render(INTERCEPTOR, { ...GPU_SPEC, metricsFrom: 'prometheus-adapter' })).toThrow(
      "WAKE_CHOICE metricsFrom: must be 'keda' or, on CPU, 'cpu' where something wakes the service",
    );
  });
});

test('a service that nothing wakes has neither route nor KEDA on CPU', () => {
  const objects = renderKubernetesObjects(planInferenceService(CPU_SPEC), {
    ...PLAIN,
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    clusterName: 'prod',
    models: { resnet50: { folder: 's3://models/resnet50/3/' } },
  });
  expect(objects.interceptorRoute).toBeUndefined();
  expect((objects.autoscaler as HorizontalPodAutoscalerObject<string>).kind).toBe('HorizontalPodAutoscaler');
});
