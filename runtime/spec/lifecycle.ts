import {
  DEFAULTS,
  ECS_MAX_START_PERIOD_SECONDS,
  FARGATE_MAX_STOP_TIMEOUT_SECONDS,
  FLUSH_SECONDS,
  MAX_DEREGISTRATION_DELAY_SECONDS,
  MAX_IDLE_TIMEOUT_SECONDS,
  SIZING,
} from './defaults';
import { PATHS } from './endpoints';
import { SpecError } from './errors';
import type { InferenceServiceSpec } from './inference-service-spec';
import type { ModelPlan } from './inference-service-plan';
import { integer, number } from './numbers';
import type { ResourcesPlan } from './sizing';

const MIB = 2 ** 20;

/** An HTTP probe as Kubernetes and ECS both understand it. */
export interface ProbePlan {
  readonly path: string;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface LoadBalancerCheckPlan {
  readonly path: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** How long a new replica may fail the check: the startup budget and the checks that follow it. */
  readonly gracePeriodSeconds: number;
}

/** One set of numbers: everything that waits for a replica derives from these. All in seconds. */
export interface LifecyclePlan {
  readonly startupBudgetSeconds: number;
  readonly provisioningSeconds: number;
  readonly startupProbe: ProbePlan;
  readonly readinessProbe: ProbePlan;
  readonly livenessProbe: ProbePlan;
  /** ECS's container check asks the liveness path too; its start period ends at 300 s, so it must not ask for ready. */
  readonly containerCheckStartPeriodSeconds: number;
  readonly loadBalancerCheck: LoadBalancerCheckPlan;
  /** Deadline of a rollout on Kubernetes: a machine, then a start. */
  readonly progressDeadlineSeconds: number;
  /** How long an engine waits for the service before it calls the deployment failed. */
  readonly awaitTimeoutSeconds: number;
  readonly requestDeadlineSeconds: number;
  readonly deregistrationLagSeconds: number;
  /** What the drain takes at most: lag + request deadline + flush. */
  readonly drainSeconds: number;
  /** From SIGTERM to SIGKILL. */
  readonly stopTimeoutSeconds: number;
  /** How long a load balancer keeps open requests of a replica that it no longer sends new ones to. */
  readonly deregistrationDelaySeconds: number;
  readonly idleTimeoutSeconds: number;
  readonly keepAliveSeconds: number;
  readonly runStuckSeconds: number;
}

/**
 * Derives every budget from the startup budget, the request deadline and the deregistration lag, and checks their order.
 * @throws SpecError with the numbers when the order cannot be kept.
 */
export function planLifecycle(
  spec: InferenceServiceSpec,
  models: readonly ModelPlan[],
  resources: ResourcesPlan,
  maxReplicas: number,
): LifecyclePlan {
  const startupBudgetSeconds = Math.ceil(
    number('startupBudgetSeconds', spec.startupBudgetSeconds, estimateStartup(spec, models, resources), 5, 3_600),
  );
  const provisioningSeconds = Math.ceil(
    number(
      'provisioningSeconds',
      spec.provisioningSeconds,
      resources.gpuCount > 0 ? DEFAULTS.gpuProvisioningSeconds : DEFAULTS.cpuProvisioningSeconds,
      0,
      7_200,
    ),
  );
  const requestDeadlineSeconds = number(
    'requestDeadlineSeconds',
    spec.requestDeadlineSeconds,
    DEFAULTS.requestDeadlineSeconds,
    0.1,
    3_600,
  );
  const deregistrationLagSeconds = number(
    'deregistrationLagSeconds',
    spec.deregistrationLagSeconds,
    DEFAULTS.deregistrationLagSeconds,
    0,
    300,
  );
  const drainSeconds = Math.ceil(deregistrationLagSeconds + requestDeadlineSeconds + FLUSH_SECONDS);
  const idleTimeoutSeconds = planIdleTimeout(spec, requestDeadlineSeconds);

  const startupProbe = {
    path: PATHS.startup,
    periodSeconds: 5,
    timeoutSeconds: 2,
    failureThreshold: Math.ceil(startupBudgetSeconds / 5),
  };
  const check = {
    path: PATHS.ready,
    intervalSeconds: 10,
    timeoutSeconds: 5,
    healthyThreshold: 2,
    unhealthyThreshold: 3,
  };
  const progressDeadlineSeconds = startupBudgetSeconds + provisioningSeconds;
  const lifecycle: LifecyclePlan = {
    startupBudgetSeconds,
    provisioningSeconds,
    startupProbe,
    readinessProbe: { path: PATHS.ready, periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 2 },
    livenessProbe: { path: PATHS.live, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    containerCheckStartPeriodSeconds: Math.min(startupBudgetSeconds, ECS_MAX_START_PERIOD_SECONDS),
    loadBalancerCheck: {
      ...check,
      gracePeriodSeconds: startupBudgetSeconds + check.healthyThreshold * check.intervalSeconds,
    },
    progressDeadlineSeconds,
    // A rollout replaces replicas one after another: two whole waves, so that a slow second one is not called a failure,
    // and a start for each replica where there are many.
    awaitTimeoutSeconds: Math.max(
      2 * progressDeadlineSeconds,
      provisioningSeconds + maxReplicas * startupBudgetSeconds,
    ),
    requestDeadlineSeconds,
    deregistrationLagSeconds,
    drainSeconds,
    stopTimeoutSeconds: planStopTimeout(spec, resources, drainSeconds),
    deregistrationDelaySeconds: planDeregistrationDelay(requestDeadlineSeconds, deregistrationLagSeconds),
    idleTimeoutSeconds,
    keepAliveSeconds: idleTimeoutSeconds + 5,
    runStuckSeconds: Math.max(60, Math.ceil(2 * requestDeadlineSeconds)),
  };
  assertOrder(lifecycle);
  return lifecycle;
}

function estimateStartup(spec: InferenceServiceSpec, models: readonly ModelPlan[], resources: ResourcesPlan): number {
  const bandwidth = number(
    'downloadMiBPerSecond',
    spec.downloadMiBPerSecond,
    DEFAULTS.downloadMiBPerSecond,
    0.1,
    100_000,
  );
  const mib = models.reduce((sum, { facts }) => sum + (facts?.fileBytes ?? 0), 0) / MIB;
  const start = SIZING.startSeconds + (resources.gpuCount > 0 ? SIZING.cudaStartSeconds : 0);
  const estimate = SIZING.startupSafetyFactor * (start + mib / bandwidth + mib / SIZING.openMiBPerSecond);
  return Math.max(SIZING.minStartupBudgetSeconds, Math.ceil(estimate / 10) * 10);
}

function planStopTimeout(spec: InferenceServiceSpec, resources: ResourcesPlan, drainSeconds: number): number {
  const stopTimeoutSeconds = number('stopTimeoutSeconds', spec.stopTimeoutSeconds, drainSeconds, 1, 7_200);
  if (stopTimeoutSeconds < drainSeconds) {
    throw new SpecError(
      'DRAIN_EXCEEDS_STOP_TIMEOUT',
      'stopTimeoutSeconds',
      `must be at least ${drainSeconds} (deregistration lag + request deadline + ${FLUSH_SECONDS} s to flush), got ${stopTimeoutSeconds}`,
    );
  }
  if (resources.capacity === 'fargate' && stopTimeoutSeconds > FARGATE_MAX_STOP_TIMEOUT_SECONDS) {
    throw new SpecError(
      'STOP_TIMEOUT_TOO_LONG',
      'stopTimeoutSeconds',
      `Fargate waits at most ${FARGATE_MAX_STOP_TIMEOUT_SECONDS} s before SIGKILL, the drain needs ${stopTimeoutSeconds}; shorten requestDeadlineSeconds or name instanceTypes`,
    );
  }
  return Math.ceil(stopTimeoutSeconds);
}

function planDeregistrationDelay(requestDeadlineSeconds: number, deregistrationLagSeconds: number): number {
  const delaySeconds = Math.ceil(deregistrationLagSeconds + requestDeadlineSeconds);
  if (delaySeconds > MAX_DEREGISTRATION_DELAY_SECONDS) {
    throw new SpecError(
      'NUMBER_INVALID',
      'requestDeadlineSeconds',
      `a load balancer waits at most ${MAX_DEREGISTRATION_DELAY_SECONDS} s for the requests of a replica that goes away, the deregistration lag (${deregistrationLagSeconds}) and the deadline need ${delaySeconds}`,
    );
  }
  return delaySeconds;
}

function planIdleTimeout(spec: InferenceServiceSpec, requestDeadlineSeconds: number): number {
  const fallback = Math.max(DEFAULTS.idleTimeoutSeconds, Math.ceil(requestDeadlineSeconds) + 5);
  const idleTimeoutSeconds = integer(
    'idleTimeoutSeconds',
    spec.idleTimeoutSeconds,
    fallback,
    1,
    MAX_IDLE_TIMEOUT_SECONDS,
  );
  if (idleTimeoutSeconds <= requestDeadlineSeconds) {
    throw new SpecError(
      'IDLE_TIMEOUT_RANGE',
      'idleTimeoutSeconds',
      `must be more than the request deadline (${requestDeadlineSeconds}), or the load balancer answers first, got ${idleTimeoutSeconds}`,
    );
  }
  return idleTimeoutSeconds;
}

/** What must hold between the budgets, whatever the spec says. A breach is a defect of this file. */
function assertOrder(l: LifecyclePlan): void {
  const rules: readonly [boolean, string][] = [
    [
      l.startupProbe.periodSeconds * l.startupProbe.failureThreshold >= l.startupBudgetSeconds,
      'startup probe ≥ startup budget',
    ],
    [l.loadBalancerCheck.gracePeriodSeconds >= l.startupBudgetSeconds, 'grace period ≥ startup budget'],
    [l.progressDeadlineSeconds >= l.startupBudgetSeconds, 'progress deadline ≥ startup budget'],
    [l.awaitTimeoutSeconds >= l.progressDeadlineSeconds, 'await timeout ≥ progress deadline'],
    [l.drainSeconds <= l.stopTimeoutSeconds, 'drain ≤ stop timeout'],
    [l.deregistrationDelaySeconds < l.stopTimeoutSeconds, 'deregistration delay < stop timeout'],
    [l.idleTimeoutSeconds > l.requestDeadlineSeconds, 'idle timeout > request deadline'],
    [l.keepAliveSeconds > l.idleTimeoutSeconds, 'keep-alive > idle timeout'],
    [l.runStuckSeconds > l.requestDeadlineSeconds, 'stuck run > request deadline'],
  ];
  const broken = rules.filter(([holds]) => !holds).map(([, rule]) => rule);
  if (broken.length > 0) throw new Error(`lifecycle budgets out of order: ${broken.join('; ')}`);
}
