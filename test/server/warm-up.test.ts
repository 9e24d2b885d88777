import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Executor } from '../../runtime/server/executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import type { ServerSettings } from '../../runtime/spec/environment';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { lookupModel } from '../support/onnx-models';
import { plainRepository, publishedRepository } from './harness/model-repository';
import { startServer, type RunningServer } from './harness/running-server';
import { bundleServer } from './harness/server-bundle';
import { addModel, indexOf, stepOf } from './harness/versions';

interface Watched {
  readonly server: RunningServer;
  /** What ran on each executor, in its order. */
  readonly runs: readonly (readonly Tensor[])[][];
}

/** A server whose executors are the real ones, and tell what ran on them. */
async function watched(settings: Partial<ServerSettings>): Promise<Watched> {
  const workerUrl = await bundleServer();
  const runs: (readonly Tensor[])[][] = [];
  const server = await startServer(settings, {
    startExecutor: async (options) => {
      const executor = await startWorkerExecutor(workerUrl, options);
      const mine: (readonly Tensor[])[] = [];
      runs.push(mine);
      return new Proxy<Executor>(executor, {
        get(target, name) {
          if (name !== 'run') return Reflect.get(target, name, target) as unknown;
          return (inputs: readonly Tensor[]) => {
            mine.push(inputs.map((tensor) => ({ ...tensor, data: tensor.data.slice() })));
            return target.run(inputs);
          };
        },
      });
    },
  });
  return { server, runs };
}

function rows(runs: readonly (readonly Tensor[])[]): number[] {
  return runs.map(([input]) => input!.shape[0]!);
}

describe('warm-up', () => {
  test('runs every allowed batch size on every executor before the model is ready', async () => {
    const modelRepository = plainRepository({ m: addModel(1) });
    const { server, runs } = await watched({
      modelRepository,
      allowedBatchSizes: '1,3,8',
      maxBatchSize: 8,
      executors: 2,
    });
    expect((await server.get('/readyz')).status).toBe(200);
    expect(runs).toHaveLength(2);
    for (const executor of runs) expect(new Set(rows(executor))).toEqual(new Set([...rows(executor), 1, 3, 8]));
    expect(rows(runs[1]!)).toEqual([1, 3, 8]);
  });

  test('proves golden output and rows on the first executor alone', async () => {
    const modelRepository = await publishedRepository('m', addModel(1));
    const { runs } = await watched({ modelRepository, executors: 3, maxBatchSize: 4 });
    // One golden run of two rows, one row three times and another one, both together, and the largest batch twice.
    expect(rows(runs[0]!)).toEqual([2, 1, 1, 1, 1, 2, 4, 4]);
    expect(rows(runs[1]!)).toEqual([1, 4]);
    expect(rows(runs[2]!)).toEqual([1, 4]);
  });
});

describe("a configuration's model_warmup", () => {
  function withSample(model: Uint8Array, sample: string, more = ''): string {
    const repository = plainRepository({ m: model });
    writeFileSync(
      path.join(repository, 'm', 'config.pbtxt'),
      `max_batch_size: 4\n${more}\nmodel_warmup [ { name: "mine" ${sample} } ]`,
    );
    return repository;
  }

  test('is run as often as it says, from zeros, from made-up numbers, and from a file', async () => {
    const input = (data: string): string =>
      `batch_size: 3 count: 2 inputs { key: "input" value { data_type: TYPE_FP32 dims: [ 4 ] ${data} } }`;
    const zeros = await watched({ modelRepository: withSample(addModel(1), input('zero_data: true')) });
    expect(zeros.runs[0]!.slice(-2).map(([tensor]) => [tensor!.shape, [...(tensor!.data as Float32Array)]])).toEqual([
      [[3, 4], new Array(12).fill(0)],
      [[3, 4], new Array(12).fill(0)],
    ]);
    const random = await watched({ modelRepository: withSample(addModel(1), input('random_data: true')) });
    expect(new Set(random.runs[0]!.at(-1)![0]!.data as Float32Array).size).toBeGreaterThan(5);

    const repository = withSample(addModel(1), input('input_data_file: "rows.bin"'));
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    mkdirSync(path.join(repository, 'm', 'warmup'));
    writeFileSync(path.join(repository, 'm', 'warmup', 'rows.bin'), values);
    const file = await watched({ modelRepository: repository });
    expect([...(file.runs[0]!.at(-1)![0]!.data as Float32Array)]).toEqual([...values]);
    expect(await stepOf(file.server, '/v2/models/m/infer')).toBe(1);
  });

  test('whose file is missing or too short keeps the model from being served, and says why', async () => {
    const sample =
      'batch_size: 1 inputs { key: "input" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "rows.bin" } }';
    const repository = withSample(addModel(1), sample);
    const missing = await startServer({ modelRepository: repository });
    expect(await indexOf(missing, 'm')).toEqual({
      '1': "UNAVAILABLE: model_warmup 'mine': 'warmup/rows.bin' is not there",
    });
    mkdirSync(path.join(repository, 'm', 'warmup'));
    writeFileSync(path.join(repository, 'm', 'warmup', 'rows.bin'), 'short');
    const short = await startServer({ modelRepository: repository });
    expect((await indexOf(short, 'm'))['1']).toMatch(/^UNAVAILABLE: model_warmup 'mine': .*bytes/);
  });

  test('that the model does not run on keeps it from being served', async () => {
    // A table of which no row has such a number.
    const model = lookupModel();
    const sample = 'batch_size: 1 inputs { key: "index" value { data_type: TYPE_INT64 input_data_file: "far.bin" } }';
    const repository = withSample(model, sample);
    mkdirSync(path.join(repository, 'm', 'warmup'));
    writeFileSync(path.join(repository, 'm', 'warmup', 'far.bin'), BigInt64Array.of(1_000_000n));
    const server = await startServer({ modelRepository: repository });
    expect((await indexOf(server, 'm'))['1']).toMatch(/^UNAVAILABLE: model_warmup 'mine': /);
    expect((await server.get('/readyz')).status).toBe(503);
  });
});
