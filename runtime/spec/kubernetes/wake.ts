import { SpecError } from '../errors';
import type { InferenceServicePlan } from '../inference-service-plan';
import type { WakeSource } from '../inference-service-spec';
import { integer } from '../numbers';
import { objectMetadata } from './metadata';
import type { InterceptorRouteObject, ScaledObjectTrigger } from './objects';
import type { InterceptorWake, WakeOptions } from './options';
import type { KubernetesRefs } from './refs';

/**
 * What wakes a service, for its plan.
 * @throws SpecError WAKE_CHOICE unless exactly one is named.
 */
export function wakeSourceOf<S>(wake: WakeOptions<S> | undefined): WakeSource | undefined {
  if (wake === undefined) return undefined;
  const named = (['interceptor', 'schedule', 'queue'] as const).filter((source) => wake[source] !== undefined);
  const [source] = named;
  if (source !== undefined && named.length === 1) return source;
  throw new SpecError(
    'WAKE_CHOICE',
    'wake',
    `must be one of interceptor, schedule and queue, got ${named.join(' and ') || 'none'}`,
  );
}

/** Namespace of KEDA's HTTP add-on, whose interceptor calls the service. */
export function interceptorNamespace({ namespace }: InterceptorWake): string {
  return namespace ?? 'keda';
}

/**
 * Where clients of a service that an interceptor wakes send their requests: names of the add-on's chart,
 * https://github.com/kedacore/charts, keda-add-ons-http.
 */
export function interceptorService(wake: InterceptorWake): { name: string; namespace: string; port: number } {
  return { name: 'keda-add-ons-http-interceptor-proxy', namespace: interceptorNamespace(wake), port: 8080 };
}

/** The triggers by which KEDA starts the first replica. */
export function wakeTriggers<S>(plan: InferenceServicePlan, wake: WakeOptions<S>): ScaledObjectTrigger<S>[] {
  const { interceptor, schedule, queue } = wake;
  if (interceptor !== undefined) {
    const scaler = `keda-add-ons-http-external-scaler.${interceptorNamespace(interceptor)}:9090`;
    return [{ type: 'external-push', metadata: { scalerAddress: scaler, interceptorRoute: plan.name } }];
  }
  if (queue !== undefined) {
    const { scaler: type, metadata, authentication } = queue;
    return [
      {
        type,
        metadata: { ...metadata },
        ...(authentication === undefined ? {} : { authenticationRef: { name: authentication } }),
      },
    ];
  }
  const { windows, timezone = 'UTC' } = schedule!;
  if (windows.length === 0) {
    throw new SpecError('WAKE_CHOICE', 'wake.schedule.windows', 'must have at least one window, got none');
  }
  return windows.map(({ start, end, replicas }, i) => {
    const path = `wake.schedule.windows[${i}]`;
    assertCron(start, `${path}.start`);
    assertCron(end, `${path}.end`);
    const desired = integer(`${path}.replicas`, replicas, 1, 1, plan.scaling.maxReplicas);
    return { type: 'cron', metadata: { timezone, start, end, desiredReplicas: String(desired) } };
  });
}

function assertCron(text: string, path: string): void {
  if (/^\S+( +\S+){4}$/.test(text)) return;
  throw new SpecError('WAKE_CHOICE', path, `must be five fields of cron, as in '0 8 * * 1-5', got '${text}'`);
}

/**
 * What the interceptor does with requests of the service. Without a replica it answers 503 at once, with the seconds after
 * which one may be there: a caller that knows can wait elsewhere, and nothing holds connections open meanwhile.
 *
 * Fields as of the HTTP add-on 0.15: https://keda.sh/http-add-on/0.15/reference/interceptorroute/.
 *
 * @throws SpecError WAKE_CHOICE without a host.
 */
export function renderInterceptorRoute<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  { hosts, concurrency }: InterceptorWake,
): InterceptorRouteObject<S> {
  if (hosts.length === 0) {
    throw new SpecError('WAKE_CHOICE', 'wake.interceptor.hosts', 'must name at least one host, got none');
  }
  const { startupBudgetSeconds, requestDeadlineSeconds } = plan.lifecycle;
  const rowsOfRun = Math.max(...plan.models.map(({ maxBatchSize }) => maxBatchSize));
  // The replica's own 504 says more than the interceptor's, so that one waits a little longer.
  const patience = `${Math.ceil(requestDeadlineSeconds) + 5}s`;
  return {
    apiVersion: 'http.keda.sh/v1beta1',
    kind: 'InterceptorRoute',
    metadata: objectMetadata(plan, refs),
    spec: {
      target: { service: plan.name, port: plan.ports.http },
      rules: [{ hosts: [...hosts] }],
      scalingMetric: {
        concurrency: { targetValue: integer('wake.interceptor.concurrency', concurrency, rowsOfRun, 1, 1_000_000) },
      },
      coldStart: {
        placeholder: {
          response: {
            statusCode: 503,
            headers: { 'Content-Type': 'application/json', 'Retry-After': String(startupBudgetSeconds) },
            body: JSON.stringify({
              error: `${plan.name} has no replica and is starting one: it takes up to ${startupBudgetSeconds} s, and up to ${plan.lifecycle.provisioningSeconds} s more where a machine must come first`,
            }),
          },
        },
      },
      timeouts: { request: patience, responseHeader: patience },
    },
  };
}
