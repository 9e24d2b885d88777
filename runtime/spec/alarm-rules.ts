import type { InferenceServicePlan } from './inference-service-plan';
import type { Outcome } from './metric-names';

/** When somebody is woken for a service: the same numbers on every engine, whatever counts there. */
export interface AlarmRules {
  /** So much of a hundred requests is answered 5xx, for so many minutes. */
  readonly serverErrors: { readonly percent: number; readonly minutes: number };
  /** The slowest of a hundred requests takes so long, for so many minutes. */
  readonly latency: { readonly p99Seconds: number; readonly minutes: number };
  /** Fewer replicas are ready, for longer than it takes to bring one. Undefined where none may be the right number. */
  readonly missingReplicas?: { readonly expected: number; readonly minutes: number };
  /** Replicas are full on average, and the autoscaler has had the time to add one. */
  readonly saturation: { readonly mean: number; readonly minutes: number };
}

/** Share of the request deadline that nobody should come close to. */
const SLOW_SHARE = 0.8;
/** Two minutes beyond what a replica may take to come: a start is no trouble. */
const GRACE_MINUTES = 2;

/** Outcomes that a caller gets as 5xx. */
export const SERVER_ERROR_OUTCOMES: readonly Outcome[] = ['unavailable', 'deadline', 'error'];

export function alarmRules({ lifecycle, rollout, scaling }: InferenceServicePlan): AlarmRules {
  const minutes = GRACE_MINUTES + Math.ceil(lifecycle.progressDeadlineSeconds / 60);
  return {
    serverErrors: { percent: 1, minutes: 5 },
    latency: { p99Seconds: SLOW_SHARE * lifecycle.requestDeadlineSeconds, minutes: 5 },
    ...(scaling.minReplicas === 0
      ? {}
      : { missingReplicas: { expected: Math.max(1, scaling.minReplicas - rollout.maxUnavailable), minutes } }),
    saturation: { mean: 1, minutes },
  };
}
