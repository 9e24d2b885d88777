// Open-loop load: requests leave at their time whether answers have come or not, which no closed-loop generator does.
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Request } from './load.mjs';

export interface OpenLoad {
  readonly total: number;
  /** Answers 200. */
  readonly accepted: number;
  /** Answers 429. */
  readonly refused: number;
  /** Of accepted requests, from the moment at which they were due. */
  readonly p99Ms: number;
}

/** Sends at a constant rate over at most `connections` connections; a request that finds none free counts from when it was due. */
export async function openLoop(
  request: Request,
  options: { readonly perSecond: number; readonly seconds: number; readonly connections?: number },
): Promise<OpenLoad> {
  const worker = new Worker(new URL('open-loop-worker.mjs', import.meta.url), {
    workerData: { connections: 1_000, ...request, ...options },
  });
  const timeout = new AbortController();
  const result = await Promise.race([
    new Promise<OpenLoad>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
    wait((options.seconds + 60) * 1_000, undefined, { signal: timeout.signal }).then(() => {
      throw new Error('the load did not end');
    }),
  ]);
  timeout.abort();
  await worker.terminate();
  return result;
}
