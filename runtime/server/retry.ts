import { setTimeout as wait } from 'node:timers/promises';
import { SourceError } from '../sources/model-source';

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/**
 * Repeats what failed for a transient reason, with a doubling pause. There is no count of attempts: the startup budget,
 * which aborts the signal, is the bound.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal,
  onRetry: (error: SourceError) => void,
): Promise<T> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(MAX_DELAY_MS, 2 * delayMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SourceError) || error.failure !== 'transient' || signal.aborted) throw error;
      onRetry(error);
      // Spread, so that replicas that started together do not come back together.
      await wait(delayMs * (0.5 + Math.random() / 2), undefined, { signal });
    }
  }
}
