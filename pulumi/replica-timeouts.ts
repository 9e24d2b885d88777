import type { InferenceServicePlan } from '../runtime/spec';

const PROVIDER_TIMEOUT_SECONDS = 600;

/**
 * How long the provider waits for replicas. Its own ten minutes are too few: a GPU machine alone may take longer to come,
 * and replicas finish their requests before they go.
 */
export function replicaTimeouts({ awaitTimeoutSeconds, stopTimeoutSeconds }: InferenceServicePlan['lifecycle']) {
  const awaited = `${awaitTimeoutSeconds}s`;
  return { create: awaited, update: awaited, delete: `${PROVIDER_TIMEOUT_SECONDS + stopTimeoutSeconds}s` };
}
