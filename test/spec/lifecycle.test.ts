import fc from 'fast-check';
import { planInferenceService, SpecError, type InferenceServiceSpec } from 'slipway';
import { expect, test } from 'vitest';
import { CLASSIFIER_FACTS, CPU_SPEC, GPU_SPEC } from '../support/specs';

test('every budget derives from the startup budget, the deadline and the lag', () => {
  const { lifecycle } = planInferenceService(CPU_SPEC);
  expect(lifecycle).toMatchInlineSnapshot(`
    {
      "awaitTimeoutSeconds": 660,
      "containerCheckStartPeriodSeconds": 60,
      "deregistrationDelaySeconds": 40,
      "deregistrationLagSeconds": 10,
      "drainSeconds": 45,
      "idleTimeoutSeconds": 60,
      "keepAliveSeconds": 65,
      "livenessProbe": {
        "failureThreshold": 3,
        "path": "/livez",
        "periodSeconds": 10,
        "timeoutSeconds": 5,
      },
      "loadBalancerCheck": {
        "gracePeriodSeconds": 80,
        "healthyThreshold": 2,
        "intervalSeconds": 10,
        "path": "/readyz",
        "timeoutSeconds": 5,
        "unhealthyThreshold": 3,
      },
      "progressDeadlineSeconds": 240,
      "provisioningSeconds": 180,
      "readinessProbe": {
        "failureThreshold": 2,
        "path": "/readyz",
        "periodSeconds": 5,
        "timeoutSeconds": 2,
      },
      "requestDeadlineSeconds": 30,
      "runStuckSeconds": 60,
      "startupBudgetSeconds": 60,
      "startupProbe": {
        "failureThreshold": 12,
        "path": "/startupz",
        "periodSeconds": 5,
        "timeoutSeconds": 2,
      },
      "stopTimeoutSeconds": 45,
    }
  `);
});

test('a rollout is awaited for a machine and a start of every replica, for at least two whole waves', () => {
  const awaited = (change: Partial<InferenceServiceSpec>) =>
    planInferenceService({ ...CPU_SPEC, startupBudgetSeconds: 60, provisioningSeconds: 100, ...change }).lifecycle
      .awaitTimeoutSeconds;
  expect(awaited({ minReplicas: 1, maxReplicas: 2 })).toBe(2 * (100 + 60));
  expect(awaited({ maxReplicas: 40 })).toBe(100 + 40 * 60);
});

test('the startup budget grows with the bytes of the model and shrinks with the bandwidth', () => {
  const budget = (change: Partial<InferenceServiceSpec>, fileBytes = 2 * 2 ** 30): number =>
    planInferenceService({
      ...CPU_SPEC,
      models: [{ ...CPU_SPEC.models[0]!, facts: { ...CLASSIFIER_FACTS, fileBytes } }],
      ...change,
    }).lifecycle.startupBudgetSeconds;
  // 2 × (20 s + 2048 MiB at 50 MiB/s down + 2048 MiB at 50 MiB/s opened), rounded up to ten seconds
  expect(budget({})).toBe(210);
  expect(budget({ downloadMiBPerSecond: 500 })).toBe(140);
  expect(budget({}, 1_000)).toBe(60);
});

test('a GPU service waits for a machine as well', () => {
  const { lifecycle } = planInferenceService(GPU_SPEC);
  expect(lifecycle.progressDeadlineSeconds).toBe(lifecycle.startupBudgetSeconds + 900);
});

test('whatever the spec says, the budgets keep their order or the spec is refused', () => {
  const seconds = fc.option(fc.double({ min: 0.1, max: 4_000, noNaN: true }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({
        startupBudgetSeconds: seconds,
        requestDeadlineSeconds: seconds,
        deregistrationLagSeconds: seconds,
        stopTimeoutSeconds: seconds,
        idleTimeoutSeconds: seconds,
      }),
      fc.constantFrom(CPU_SPEC, GPU_SPEC),
      (numbers, base) => {
        const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
        let lifecycle;
        try {
          ({ lifecycle } = planInferenceService({ ...base, ...given }));
        } catch (error) {
          expect(SpecError.is(error)).toBe(true);
          return;
        }
        expect(lifecycle.startupProbe.periodSeconds * lifecycle.startupProbe.failureThreshold).toBeGreaterThanOrEqual(
          lifecycle.startupBudgetSeconds,
        );
        expect(lifecycle.loadBalancerCheck.gracePeriodSeconds).toBeGreaterThanOrEqual(lifecycle.startupBudgetSeconds);
        expect(lifecycle.awaitTimeoutSeconds).toBeGreaterThanOrEqual(lifecycle.progressDeadlineSeconds);
        expect(lifecycle.stopTimeoutSeconds).toBeGreaterThanOrEqual(
          lifecycle.deregistrationLagSeconds + lifecycle.requestDeadlineSeconds + 5,
        );
        expect(lifecycle.keepAliveSeconds).toBeGreaterThan(lifecycle.idleTimeoutSeconds);
        expect(lifecycle.idleTimeoutSeconds).toBeGreaterThan(lifecycle.requestDeadlineSeconds);
        expect(lifecycle.containerCheckStartPeriodSeconds).toBeLessThanOrEqual(300);
        expect(lifecycle.deregistrationDelaySeconds).toBeLessThanOrEqual(3_600);
      },
    ),
  );
});

test('what a platform takes in whole seconds is whole, though the spec has fractions', () => {
  const { lifecycle } = planInferenceService({
    ...CPU_SPEC,
    startupBudgetSeconds: 61.5,
    provisioningSeconds: 90.2,
    requestDeadlineSeconds: 0.5,
    deregistrationLagSeconds: 2.25,
    stopTimeoutSeconds: 20.5,
  });
  const { requestDeadlineSeconds: _deadline, deregistrationLagSeconds: _lag, ...whole } = lifecycle;
  for (const [name, value] of Object.entries(whole)) if (typeof value === 'number') expect(value % 1, name).toBe(0);
});
