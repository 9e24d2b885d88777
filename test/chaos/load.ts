import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A model that answers `input + step`, row by row. */
export interface LoadedModel {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly datatype: 'FP32' | 'INT64';
  readonly width: number;
  /** Numbers of requests are whole ones below it. */
  readonly largest: number;
  /** What the versions that may answer add. */
  readonly steps: readonly number[];
}

export interface LoadOptions {
  readonly url: string;
  readonly grpcPort: number;
  readonly models: readonly LoadedModel[];
  /** How many clients send one request after the other. */
  readonly clients: { readonly binary: number; readonly json: number; readonly grpc: number };
  readonly largestRows: number;
  /** Between an answer and the next request of a client. */
  readonly pauseMs: number;
  /** What clients say that they wait. @default - nothing */
  readonly timeoutSeconds?: number;
  /** Every third client goes away within this time of asking. @default - nobody does */
  readonly leaveAfterMs?: number;
}

/**
 * `wrong`: an answer that is not that of its own request. `refused`: 429 or 503 with the time to come again. `late`: the
 * request's deadline passed. `left`: the client went away. `not connected`: nobody listened. `reset`: the connection ended
 * before any answer. `failed`: everything else.
 */
export type Outcome = 'wrong' | 'refused' | 'late' | 'left' | 'not connected' | 'reset' | 'failed';

export interface LoadEvent {
  readonly outcome: Outcome;
  readonly detail: string;
  readonly protocol: string;
  readonly model: string;
  /** Of the clock, in milliseconds. */
  readonly sentAt: number;
  readonly endedAt: number;
}

export interface LoadReport {
  /** Right answers by protocol. */
  readonly ok: Readonly<Record<string, number>>;
  /** Everything that was no right answer. */
  readonly events: readonly LoadEvent[];
}

export interface Load {
  readonly report: () => Promise<LoadReport>;
  /** Lets the requests that are under way end. */
  readonly stop: () => Promise<LoadReport>;
}

/** Clients of three protocols at once, in a process of their own. They end with the test. */
export function startLoad(options: LoadOptions): Load {
  const child = fork(path.resolve('test/chaos/load-process.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.send({ start: options });
  const told = async (message: object): Promise<any> => {
    child.send(message);
    const [answer] = await once(child, 'message');
    return answer;
  };
  return {
    report: async () => (await told({ report: true })).report,
    stop: async () => (await told({ stop: true })).stopped,
  };
}

export function total({ ok }: LoadReport): number {
  return Object.values(ok).reduce((sum, count) => sum + count, 0);
}

/** What must never be: said in words, so that a test that fails shows what came instead. */
export function unexpected(report: LoadReport, allowed: (event: LoadEvent) => boolean): readonly string[] {
  const lines = report.events
    .filter((event) => !allowed(event))
    .map(({ outcome, detail, protocol, model }) => `${outcome}: ${protocol} ${model}: ${detail}`);
  return [...new Set(lines)].slice(0, 20);
}

/** No client may be told anything but the right answer. */
export function nothing(): boolean {
  return false;
}
