import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { slowModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from '../server/harness/model-repository';
import { request, type Answer } from '../server/harness/running-server';
import { startServerProcess, type ServerProcess } from '../server/harness/server-process';
import { until } from '../server/harness/until';
import { addModel } from '../server/harness/versions';
import { startLoad, type Load, type LoadedModel, type LoadOptions } from './load';

export const EXECUTORS = ['worker', 'native'] as const;
export const PROTOCOLS = ['binary', 'json', 'grpc'] as const;

/** Iterations that never come to an end within a test. */
export const FOR_EVER = 2 ** 40;

/** As `addModel` is: batches of any size, and over at once. */
export function light(name: string, steps: readonly number[]): LoadedModel {
  return { name, input: 'input', output: 'output', datatype: 'FP32', width: 4, largest: 1_000, steps };
}

/** As `slowModel` is: it answers what it was given, up to so many tenths of a millisecond later. */
export function slow(largest: number): LoadedModel {
  return { name: 'slow', input: 'iterations', output: 'done', datatype: 'INT64', width: 1, largest, steps: [0] };
}

export interface Running {
  readonly server: ServerProcess;
  readonly url: string;
  readonly metricsUrl: string;
  readonly grpcPort: number;
  readonly repository: string;
}

/** The shipped server with three models, `one` and `two` that add their number, and `slow`. */
export async function start(
  environment: Readonly<Record<string, string>>,
  wrapper?: readonly string[],
): Promise<Running> {
  const repository = plainRepository({ one: addModel(1), two: addModel(2), slow: slowModel() });
  const server = await startServerProcess({ SLIPWAY_MODEL_REPOSITORY: repository, ...environment }, undefined, wrapper);
  await server.waitFor('ready');
  const { httpPort, grpcPort, metricsPort } = await server.waitFor('listening');
  return {
    server,
    repository,
    url: `http://127.0.0.1:${String(httpPort)}`,
    metricsUrl: `http://127.0.0.1:${String(metricsPort)}`,
    grpcPort: grpcPort as number,
  };
}

/** Nine clients of three protocols, unless told otherwise: what two cores have time for beside the test. */
export function load({ url, grpcPort }: Running, options: Partial<LoadOptions> = {}): Load {
  return startLoad({
    url,
    grpcPort,
    models: [light('one', [1]), light('two', [2]), slow(20)],
    clients: { binary: 3, json: 3, grpc: 3 },
    largestRows: 4,
    pauseMs: 5,
    ...options,
  });
}

/** Waits until each protocol has had so many right answers more. */
export async function untilAnswered(clients: Load, count: number): Promise<void> {
  const { ok: before } = await clients.report();
  await until(`${count} more right answers by each protocol`, async () => {
    const { ok } = await clients.report();
    return PROTOCOLS.every((protocol) => (ok[protocol] ?? 0) >= (before[protocol] ?? 0) + count);
  });
}

export function runSlow({ url }: Running, iterations: number): Promise<Answer> {
  const inputs = [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [iterations] }];
  return request(`${url}/v2/models/slow/infer`, { method: 'POST', body: JSON.stringify({ inputs }) });
}

/** As a prober asks: on a connection of its own, which ends with the answer. */
export async function statusOf({ url }: Running, probe: string): Promise<number> {
  const [response] = (await once(get(url + probe, { agent: false }), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'close');
  return response.statusCode!;
}

/** The sum of a metric's samples whose labels contain the text. */
export async function metric({ metricsUrl }: Running, name: string, labels = ''): Promise<number> {
  const { text } = await request(`${metricsUrl}/metrics`);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Waits until a request of `slow` that begins now is being run. @returns its answer */
export async function holdSlow(running: Running, iterations: number): Promise<{ readonly answer: Promise<Answer> }> {
  const begun = (): Promise<number> => metric(running, 'slipway_queue_duration_seconds_count', 'model="slow"');
  const before = await begun();
  const answer = runSlow(running, iterations);
  await until('the request is being run', async () => (await begun()) > before);
  return { answer };
}

/** What `slow` ends an executor of with, where the server was started with `mortality`. */
export const DEADLY = -13;

/** Something in every thread of the server that ends those which run batches when a batch begins with `DEADLY`. */
export function mortality(): Record<string, string> {
  const file = path.join(temporaryFolder(), 'mortal.cjs');
  writeFileSync(
    file,
    `const { isMainThread, parentPort } = require('node:worker_threads');
     const isDeadly = ({ run }) => Number(run?.[0].data[0]) === ${DEADLY};
     if (!isMainThread) parentPort.on('message', (message) => { if (isDeadly(message)) process.exit(3); });`,
  );
  return { NODE_OPTIONS: `--require=${file}` };
}
