import type { BatchPolicy } from './batch-policy';
import type { InferCall } from './infer-call';

/**
 * Where a request waits, 0 first: every priority has a level, and behind it one for requests that are past their timeout and
 * were not refused.
 */
export function levelOf({ priority }: InferCall, { priorityLevels, defaultPriorityLevel }: BatchPolicy): number {
  const level = priority >= 1 && priority <= priorityLevels ? priority : defaultPriorityLevel;
  return 2 * (level - 1);
}

/** How long a request may wait at its level; Infinity when there is no bound of its own. */
export function queueTimeoutMs(call: InferCall, { queues }: BatchPolicy, level: number): number {
  const { defaultTimeoutMs, allowTimeoutOverride } = queues[level >> 1]!;
  const asked = call.queueTimeoutMs;
  if (asked === undefined || asked === 0 || !allowTimeoutOverride) return defaultTimeoutMs;
  return Math.min(asked, defaultTimeoutMs);
}
