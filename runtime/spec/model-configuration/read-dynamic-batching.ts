import { LIMITS } from './limits';
import type { MessageReader } from './message-reader';
import type { DynamicBatching, QueuePolicy } from './model-configuration';

const UNLIMITED = Number.MAX_SAFE_INTEGER;
const DEFAULT_POLICY: QueuePolicy = Object.freeze({
  timeoutAction: 'REJECT',
  defaultTimeoutMicroseconds: 0,
  allowTimeoutOverride: false,
  maxQueueSize: 0,
});

export function readDynamicBatching(reader: MessageReader): DynamicBatching {
  const priorityLevels = reader.integer('priority_levels', 0, LIMITS.priorityLevels) ?? 0;
  const defaultPriorityLevel = reader.integer('default_priority_level', 0, LIMITS.priorityLevels) ?? 0;
  if (defaultPriorityLevel > priorityLevels || (priorityLevels > 0 && defaultPriorityLevel === 0)) {
    const range =
      priorityLevels === 0 ? 'needs priority_levels' : `must be from 1 to priority_levels (${priorityLevels})`;
    throw reader.invalid('default_priority_level', `${range}, got ${defaultPriorityLevel}`);
  }
  return reader.finish({
    preferredBatchSizes: Object.freeze(
      [...new Set(reader.integers('preferred_batch_size', 1, LIMITS.rows))].sort((a, b) => a - b),
    ),
    maxQueueDelayMicroseconds: reader.integer('max_queue_delay_microseconds', 0, UNLIMITED) ?? 0,
    preserveOrdering: reader.boolean('preserve_ordering') ?? false,
    priorityLevels,
    defaultPriorityLevel,
    defaultQueuePolicy: reader.child('default_queue_policy', readQueuePolicy) ?? DEFAULT_POLICY,
    priorityQueuePolicies: reader.numberMap(
      'priority_queue_policy',
      1,
      priorityLevels,
      (entry) => entry.child('value', readQueuePolicy) ?? DEFAULT_POLICY,
    ),
  });
}

function readQueuePolicy(reader: MessageReader): QueuePolicy {
  return reader.finish({
    timeoutAction: reader.choice('timeout_action', { REJECT: 0, DELAY: 1 }) ?? DEFAULT_POLICY.timeoutAction,
    defaultTimeoutMicroseconds: reader.integer('default_timeout_microseconds', 0, UNLIMITED) ?? 0,
    allowTimeoutOverride: reader.boolean('allow_timeout_override') ?? false,
    maxQueueSize: reader.integer('max_queue_size', 0, 2 ** 32 - 1) ?? 0,
  });
}
