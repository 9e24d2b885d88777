import { setTimeout } from 'node:timers/promises';
import { ModelToolError } from '../../tool-error';

/** What one attempt came to. */
export type Attempt<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** The endpoint is there and asks to come back, or nobody answers for the moment. */
  | { readonly kind: 'later'; readonly reason: string; readonly retryAfterMs?: number };

const MAX_ATTEMPTS = 6;
/** All waits of one request together. */
const MAX_WAIT_MS = 60_000;
const FIRST_WAIT_MS = 250;

/**
 * Asks until there is an answer: as soon as the endpoint says, otherwise after waits that double. Never more than 6 times, nor
 * longer than a minute.
 * @throws ModelToolError ENDPOINT_UNREACHABLE with the last reason
 */
export async function askAgain<T>(where: string, attempt: () => Promise<Attempt<T>>, signal?: AbortSignal): Promise<T> {
  let waited = 0;
  for (let n = 1; ; n++) {
    const result = await attempt();
    if (result.kind === 'answered') return result.value;
    const wait = result.retryAfterMs ?? FIRST_WAIT_MS * 2 ** (n - 1);
    if (n === MAX_ATTEMPTS || waited + wait > MAX_WAIT_MS) {
      const asks = wait > MAX_WAIT_MS - waited ? `, and to wait ${Math.ceil(wait / 1_000)} s is too long` : '';
      throw new ModelToolError(
        'ENDPOINT_UNREACHABLE',
        where,
        `asked ${n === 1 ? 'once' : `${n} times`}: ${result.reason}${asks}`,
      );
    }
    await setTimeout(wait, undefined, { signal });
    waited += wait;
  }
}

/** Milliseconds of a `Retry-After`: seconds, or a date. Undefined for what is neither. */
export function parseRetryAfter(text: string | undefined, now = Date.now()): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
