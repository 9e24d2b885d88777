import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { slowModel } from '../../support/onnx-models';
import { plainRepository } from './model-repository';
import { startServer, type RunningServer } from './running-server';

export interface Overload {
  /** Of the requests that were answered 200. */
  readonly acceptedSeconds: readonly number[];
  /** Retry-After of those that were answered 429. */
  readonly retryAfterSeconds: readonly number[];
  /** Every other outcome. */
  readonly others: readonly string[];
  /** Accepted requests per second ÷ requests per second that the server answers when it is not overloaded. */
  readonly kept: number;
  /** Resident memory in MiB, once a second. */
  readonly residentMiB: readonly number[];
}

const TENANTS = 3;
/** Some ten milliseconds of a run. */
const ITERATIONS = 60;

/** However few the machine lets in, nothing lasts longer than so many times what was asked for. */
const LONGEST = 10;

/**
 * Sends three times as many requests as the server can answer, each when its time has come, whatever became of the others:
 * for so many seconds, and until so many have been let in.
 */
export async function overload(options: {
  readonly queueSeconds: number;
  readonly seconds: number;
  readonly accepted?: number;
}): Promise<Overload> {
  const server = await startServer({
    modelRepository: plainRepository({ slow: slowModel() }),
    maxBatchSize: 1,
    queueSeconds: options.queueSeconds,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 2_000 });
  try {
    const capacity = await measureCapacity(server, agent);
    const answers: Promise<Answer>[] = [];
    const residentMiB: number[] = [];
    const start = performance.now();
    const gapMs = 1_000 / (3 * capacity);
    let letIn = 0;
    const isOver = (afterMs: number): boolean =>
      afterMs >= options.seconds * 1_000 * (letIn >= (options.accepted ?? 0) ? 1 : LONGEST);
    for (let i = 0; !isOver(i * gapMs); i++) {
      const due = start + i * gapMs;
      if (due > performance.now()) await wait(due - performance.now());
      const answer = ask(server, agent, i);
      void answer.then(({ status }) => (letIn += status === 200 ? 1 : 0));
      answers.push(answer);
      if (performance.now() - start > residentMiB.length * 1_000) residentMiB.push(process.memoryUsage.rss() / 2 ** 20);
    }
    const all = await Promise.all(answers);
    const accepted = all.filter(({ status }) => status === 200);
    const refused = all.filter(({ status }) => status === 429);
    return {
      acceptedSeconds: accepted.map(({ seconds }) => seconds),
      retryAfterSeconds: refused.map(({ retryAfter }) => Number(retryAfter)),
      others: all
        .filter(({ status }) => status !== 200 && status !== 429)
        .map(({ status, error }) => `${status} ${error}`),
      kept: accepted.length / ((performance.now() - start) / 1_000) / capacity,
      residentMiB,
    };
  } finally {
    agent.destroy();
  }
}

export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))] ?? NaN;
}

/** Requests per second of two clients that wait for each answer; it also lets the server learn what a run takes. */
async function measureCapacity(server: RunningServer, agent: Agent): Promise<number> {
  const perClient = 40;
  const client = async (): Promise<void> => {
    for (let i = 0; i < perClient; i++) await ask(server, agent, i);
  };
  await client();
  const start = performance.now();
  await Promise.all([client(), client()]);
  return (2 * perClient) / ((performance.now() - start) / 1_000);
}

interface Answer {
  readonly status: number;
  readonly seconds: number;
  readonly retryAfter?: string | undefined;
  readonly error?: string;
}

function ask({ url }: RunningServer, agent: Agent, i: number): Promise<Answer> {
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1_000;
  const body = JSON.stringify({
    inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [ITERATIONS] }],
  });
  const headers = { 'x-tenant-id': `tenant ${i % TENANTS}` };
  return new Promise((resolve) => {
    const sent = request(`${url}/v2/models/slow/infer`, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          seconds: seconds(),
          retryAfter: response.headers['retry-after'],
        }),
      );
    });
    sent.once('error', ({ message }) => resolve({ status: 0, seconds: seconds(), error: message }));
    sent.end(body);
  });
}
