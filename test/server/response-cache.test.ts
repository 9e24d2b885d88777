import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { Cancellation } from '../../runtime/server/cancellation';
import { ServerError } from '../../runtime/server/errors';
import type { InferCall } from '../../runtime/server/infer-call';
import { digestInputs } from '../../runtime/server/request-digest';
import { ResponseCache } from '../../runtime/server/response-cache';
import { SingleFlight } from '../../runtime/server/single-flight';
import { addOneModel, slowModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';
import { sample, untilQueued, untilStarted } from './harness/until';
import { VirtualBatcher } from './harness/virtual-batcher';

function tensor(data: number[]): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [data.length], data: Float32Array.from(data) };
}

function call(inputs: readonly Tensor[] = [tensor([1])], cancellation = new Cancellation()): InferCall {
  return { inputs, rows: 1, cancellation, deadlineAt: Infinity, priority: 0, tenant: '' };
}

test('a repeated request is answered without a run, bit by bit as it was', async () => {
  const modelRepository = plainRepository({ kept: addOneModel(), run: addOneModel() });
  writeFileSync(path.join(modelRepository, 'kept', 'config.pbtxt'), 'response_cache { enable: true }');
  const server = await startServer({ modelRepository, responseCacheMiB: 1 });
  for (const model of ['kept', 'run']) {
    const answers = [];
    for (const value of [0.1, 0.1, 0.2, 0.1]) {
      answers.push(await server.infer(model, floats('input', [1, 4], [value, -value, 1e-40, 3.4e38])));
    }
    const [first, again, other, third] = answers.map(({ text }) => text);
    expect([again, third]).toEqual([first, first]);
    expect(other).not.toBe(first);
  }
  const { text } = await request(`${server.metricsUrl}/metrics`);
  expect(text).toMatch(/^slipway_run_duration_seconds_count\{model="kept",version="1"\} 2$/m);
  expect(text).toMatch(/^slipway_run_duration_seconds_count\{model="run",version="1"\} 4$/m);
  expect(text).toMatch(/^slipway_cache_hits_total\{model="kept",version="1"\} 2$/m);
  expect(text).toMatch(/^slipway_cache_misses_total\{model="kept",version="1"\} 2$/m);
});

test('identical requests that are in flight together share one run', async () => {
  const server = await startServer({ modelRepository: plainRepository({ slow: slowModel() }), singleFlight: true });
  const ask = (iterations: number): ReturnType<typeof server.infer> =>
    server.infer('slow', { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [iterations] }] });
  const running = ask(8_000);
  await untilStarted(server.metricsUrl, 1);
  const waiting = [ask(1), ask(1), ask(2), ask(1)];
  await untilQueued(server.metricsUrl, 2);
  const answers = await Promise.all([running, ...waiting]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(answers[1]!.text).toBe(answers[2]!.text);
  expect(answers[1]!.text).not.toBe(answers[3]!.text);
  expect(await sample(server.metricsUrl, 'slipway_batch_rows_sum')).toBe(3);
});

test('the digest tells requests apart by name, datatype, shape and every bit', () => {
  const data = Float32Array.of(1, 2, 3, 4);
  const one: Tensor = { name: 'x', datatype: 'FP32', shape: [2, 2], data };
  const others: Tensor[] = [
    { ...one, name: 'y' },
    { ...one, shape: [4, 1] },
    { ...one, datatype: 'UINT32', data: new Uint32Array(data.buffer) },
    { ...one, data: Float32Array.of(1, 2, 3, 4.000001) },
    { name: 'x', datatype: 'BYTES', shape: [2, 2], data: ['ab', '', 'c', ''] },
    { name: 'x', datatype: 'BYTES', shape: [2, 2], data: ['a', 'b', 'c', ''] },
  ];
  const digests = [[one], ...others.map((other) => [other]), [one, one]].map(digestInputs);
  expect(new Set(digests).size).toBe(digests.length);
  expect(digestInputs([{ ...one, data: data.slice() }])).toBe(digests[0]);
});

test('the cache holds no more bytes than it may, and lets go of what was not asked for longest', () => {
  const cache = new ResponseCache(10_000);
  const [one, other] = [cache.open(), cache.open()];
  const answer = { outputs: [tensor(new Array<number>(500).fill(1))], seconds: 1 };
  one.add('a', answer);
  other.add('a', answer);
  one.add('b', answer);
  expect(one.get('a')).toBeDefined();
  one.add('c', answer);
  expect(other.get('a'), 'the one that was not asked for').toBeUndefined();
  expect(one.get('a')?.outputs).toEqual(answer.outputs);
  expect(cache.bytes).toBeLessThanOrEqual(10_000);
  one.add('large', { outputs: [tensor(new Array<number>(5_000).fill(1))], seconds: 1 });
  expect(one.get('large')).toBeUndefined();
  expect(one.get('a')).toBeDefined();
});

test('what is kept is a copy, and gone with its model', () => {
  const cache = new ResponseCache(10_000);
  const [model, other] = [cache.open(), cache.open()];
  const shared = Float32Array.of(1, 2, 3);
  const output: Tensor = { name: 'y', datatype: 'FP32', shape: [1], data: shared.subarray(1, 2) };
  model.add('a', { outputs: [output], seconds: 1 });
  shared.fill(9);
  expect(model.get('a')!.outputs[0]!.data).toEqual(Float32Array.of(2));
  other.add('a', { outputs: [output], seconds: 1 });
  model.close();
  model.add('late', { outputs: [output], seconds: 1 });
  expect(model.get('a') ?? model.get('late')).toBeUndefined();
  expect(other.get('a')).toBeDefined();
  other.close();
  expect(cache.bytes).toBe(0);
});

/** A single flight over a virtual batcher: `ask` says what became of a request. */
function flying(
  virtual: VirtualBatcher,
): (number: number, cancellation?: Cancellation, deadlineAt?: number) => Promise<string> {
  const flights = new SingleFlight((one) => virtual.batcher.run(one));
  return (number, cancellation = new Cancellation(), deadlineAt = Infinity) => {
    const inputs: Tensor[] = [{ name: 'x', datatype: 'FP64', shape: [1, 1], data: Float64Array.of(number) }];
    return flights.run(digestInputs(inputs), { ...call(inputs, cancellation), deadlineAt }).then(
      ([output]) => `ok ${(output!.data as Float64Array)[0]}`,
      (error: ServerError) => error.code,
    );
  };
}

const gone = new ServerError('CLIENT_GONE', 'gone');

test('a run goes on when the request that began it is cancelled, and ends when all are', async () => {
  const virtual = new VirtualBatcher();
  const ask = flying(virtual);
  const cancellations = [0, 1, 2].map(() => new Cancellation());
  const outcomes = cancellations.map((cancellation) => ask(7, cancellation));
  await virtual.time.run(1);
  cancellations[0]!.cancel(gone);
  cancellations[2]!.cancel(gone);
  expect(virtual.interrupted).toBe(0);
  await virtual.time.run();
  expect(await Promise.all(outcomes)).toEqual(['CLIENT_GONE', 'ok 7', 'CLIENT_GONE']);
  expect(virtual.runs).toHaveLength(1);

  const all = new Cancellation();
  const last = [ask(8, all), ask(8, all)];
  await virtual.time.run(virtual.time.now() + 1);
  all.cancel(gone);
  expect(virtual.interrupted).toBe(1);
  const next = ask(8);
  await virtual.time.run();
  expect(await Promise.all([...last, next])).toEqual(['CLIENT_GONE', 'CLIENT_GONE', 'ok 8']);
});

test('a request whose run fails for its own reasons does not fail those that wait with it', async () => {
  const virtual = new VirtualBatcher({
    expectedMs: 1,
    runMs: () => 100,
    fate: (run) => (run === 1 ? 'lost' : 'works'),
  });
  const ask = flying(virtual);
  void ask(1);
  await virtual.time.run(1);
  const outcomes = [ask(7, undefined, 50), ask(7), ask(7)];
  await virtual.time.run();
  expect(await Promise.all(outcomes)).toEqual(['DEADLINE', 'EXECUTOR_LOST', 'ok 7']);
});

test('values that the model refuses are refused for everybody by one run', async () => {
  const virtual = new VirtualBatcher();
  const ask = flying(virtual);
  const outcomes = [ask(-1), ask(-1), ask(-1)];
  await virtual.time.run();
  expect(await Promise.all(outcomes)).toEqual(['RUN_REFUSED', 'RUN_REFUSED', 'RUN_REFUSED']);
  expect(virtual.runs).toHaveLength(1);
});
