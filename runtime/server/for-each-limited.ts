import { setMaxListeners } from 'node:events';

/** Does something with every item, so many at a time. The first failure is thrown; what has begun by then goes on. */
export async function forEachLimited<T>(
  items: readonly T[],
  limit: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const next = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: limit }, next));
}

/** The same, but the first failure ends the others through their signal, and nothing goes on when it is thrown. */
export async function forEachTogether<T>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  act: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  // Each item may listen several times; Node takes more than ten for a leak.
  setMaxListeners(0, either);
  await forEachLimited(items, limit, async (item) => {
    if (either.aborted) return;
    await act(item, either).catch((error: unknown) => failed.abort(error));
  });
  failed.signal.throwIfAborted();
  signal.throwIfAborted();
}
