import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { inferAndStore, type InferenceTools } from './infer-and-store';
import type { WorkerLog } from './worker-log';
import type { BatchOptions } from './worker-options';

export interface BatchSummary {
  readonly answered: number;
  /** Requests that are at fault themselves: their reason is their result. */
  readonly refused: number;
  /** Results that were there before: of an earlier attempt of the same job. */
  readonly skipped: number;
  /** Given up after several tries. */
  readonly failed: number;
}

type Ending = keyof BatchSummary;

const TRIES = 4;
const RETRY_MS = 2_000;

/**
 * Answers every input of this shard below a prefix, and stores each result under the input's own name. What has a result
 * already is left alone, so a job that was interrupted goes on where it was.
 */
export async function runBatch(options: BatchOptions, tools: InferenceTools, log: WorkerLog): Promise<BatchSummary> {
  const summary = { answered: 0, refused: 0, skipped: 0, failed: 0 };
  const running = new Set<Promise<void>>();
  for await (const key of tools.store.list(options.inputs)) {
    if (tools.signal.aborted) break;
    if (!isInShard(key, options.shard)) continue;
    const work: Promise<void> = answer(key, options, tools, log).then((ending) => {
      summary[ending] += 1;
      running.delete(work);
    });
    running.add(work);
    if (running.size >= options.concurrency) await Promise.race(running);
  }
  await Promise.all(running);
  return summary;
}

/** By the key alone: inputs that come while jobs run do not move others to another shard. */
function isInShard(key: string, { index, of }: BatchOptions['shard']): boolean {
  return createHash('sha256').update(key).digest().readUInt32BE(0) % of === index;
}

async function answer(key: string, options: BatchOptions, tools: InferenceTools, log: WorkerLog): Promise<Ending> {
  const { model, version, inputs, results } = options;
  const result = `${results}${key}`;
  for (let attempt = 1; ; attempt++) {
    try {
      if (await hasResult(result, tools)) return 'skipped';
      return await inferAndStore(
        { id: key, model, ...(version === undefined ? {} : { version }), input: { uri: `${inputs}${key}` }, result },
        tools,
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log('warn', 'an input was not answered', { key, attempt, reason });
      if (attempt === TRIES || tools.signal.aborted) return 'failed';
      await wait(RETRY_MS * attempt, undefined, { signal: tools.signal }).catch(() => {});
    }
  }
}

async function hasResult(result: string, { store }: InferenceTools): Promise<boolean> {
  for (const ending of ['.json', '.bin', '.error.json']) if (await store.exists(`${result}${ending}`)) return true;
  return false;
}
