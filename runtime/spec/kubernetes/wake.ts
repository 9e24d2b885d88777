import { SpecError } from '../errors';
import type { WakeSource } from '../inference-service-spec';
import type { WakeOptions } from './options';

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
