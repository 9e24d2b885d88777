import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { planExecutors, sessionsOf } from '../../runtime/server/plan-executors';
import { readEnvironment } from '../../runtime/spec/environment';
import { executorsOf, readModelConfiguration, type ModelConfiguration } from '../../runtime/spec/model-configuration';
import { addOneModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, startServer } from './harness/running-server';

const settings = (variables: Record<string, string> = {}): ReturnType<typeof readEnvironment> =>
  readEnvironment({ SLIPWAY_MODEL_REPOSITORY: 'file:///models', ...variables });

const configured = (text: string): ModelConfiguration => readModelConfiguration(text, 'config.pbtxt');

const plan = (
  text: string | undefined,
  variables: Record<string, string> = {},
  cpus = 8,
): ReturnType<typeof planExecutors> =>
  planExecutors(settings(variables), text === undefined ? undefined : configured(text), cpus);

test('without a configuration the settings hold, and executors share the CPUs', () => {
  const worker = { kind: 'worker', executionProvider: 'cpu', cudaDevice: 0, intraOpThreads: 4, tuning: {} };
  expect(plan(undefined, { SLIPWAY_EXECUTORS: '2' })).toEqual([worker, worker]);
  expect(plan(undefined, { SLIPWAY_EXECUTORS: '2', SLIPWAY_EXECUTOR: 'native' })[0]).toMatchObject({
    kind: 'native',
    intraOpThreads: 7,
  });
  expect(plan(undefined, { SLIPWAY_INTRA_OP_THREADS: '3' })[0]).toMatchObject({ intraOpThreads: 3 });
});

test('weights stay as they lie in the file where the server or the model says so, the model before the server', () => {
  const mapped = { SLIPWAY_WEIGHTS: 'mapped' };
  const parameter = (value: number): string =>
    `parameters { key: "session.disable_prepacking" value: { string_value: "${value}" } }`;
  expect(plan(undefined, mapped)[0]!.tuning).toEqual({ disablePrepacking: true });
  expect(plan(parameter(1))[0]!.tuning).toMatchObject({ disablePrepacking: true });
  expect(plan(parameter(0), mapped)[0]!.tuning).not.toHaveProperty('disablePrepacking');
});

test('instance groups say how many executors there are, and on which GPUs', () => {
  expect(plan('instance_group [{ count: 2 kind: KIND_CPU }, { count: 1 }]')).toHaveLength(3);
  const gpus = plan('instance_group [{ count: 2 kind: KIND_GPU gpus: [1, 3] }, { count: 1 kind: KIND_CPU }]', {
    SLIPWAY_EXECUTION_PROVIDER: 'cuda',
  });
  expect(gpus.map(({ executionProvider, cudaDevice }) => `${executionProvider} ${cudaDevice}`)).toEqual([
    'cuda 1',
    'cuda 1',
    'cuda 3',
    'cuda 3',
    'cpu 0',
  ]);
  expect(() => plan('instance_group [{ kind: KIND_GPU }]')).toThrow('KIND_GPU needs the execution provider cuda');
  expect(() => plan('instance_group [{ count: 65 }]')).toThrow('at most 64');
});

test('a deployment is told of as many executors as are started, and of those on each device', () => {
  for (const text of [
    'instance_group [{ count: 3 }]',
    'instance_group [{ count: 2 kind: KIND_CPU }, { count: 1 }]',
    'instance_group [{ count: 2 kind: KIND_GPU gpus: [1, 3] }, { count: 1 kind: KIND_CPU }]',
    'instance_group [{ count: 2 gpus: [0, 1] }, { count: 3 gpus: [1] }]',
  ]) {
    const started = plan(text, { SLIPWAY_EXECUTION_PROVIDER: 'cuda' });
    const onGpu = started.filter(({ executionProvider }) => executionProvider !== 'cpu');
    const ofDevice = (device: number | undefined): number =>
      onGpu.filter(({ cudaDevice }) => cudaDevice === device).length;
    expect(executorsOf(configured(text))).toEqual({
      all: started.length,
      perGpu: Math.max(...onGpu.map(({ cudaDevice }) => ofDevice(cudaDevice))),
      onCpu: started.length - onGpu.length,
      needGpu: text.includes('KIND_GPU'),
    });
  }
  // The server's own device may be one of those that are named, or another one: the larger number counts.
  const own = configured('instance_group [{ count: 2 gpus: [1] }, { count: 3 }]');
  expect(executorsOf(own)?.perGpu).toBe(5);
  expect(executorsOf(configured('max_batch_size: 4'))).toBeUndefined();
});

test("a model's session parameters become the session's, those of a GPU only where there is one", () => {
  const text = `
    optimization { graph { level: -1 } }
    parameters [
      { key: "intra_op_thread_count" value: { string_value: "5" } },
      { key: "execution_mode" value: { string_value: "1" } },
      { key: "enable_mem_arena" value: { string_value: "0" } },
      { key: "gpu_mem_limit" value: { string_value: "1000000" } },
      { key: "cudnn_conv_algo_search" value: { string_value: "0" } }
    ]`;
  const tuning = {
    interOpThreads: 1,
    parallelExecution: true,
    graphOptimization: 'basic',
    cpuMemoryArena: false,
    memoryPattern: true,
  };
  expect(plan(text)).toEqual([{ kind: 'worker', executionProvider: 'cpu', cudaDevice: 0, intraOpThreads: 5, tuning }]);
  expect(plan(text, { SLIPWAY_EXECUTION_PROVIDER: 'cuda' })[0]!.tuning).toEqual({
    ...tuning,
    cuda: { gpu_mem_limit: '1000000', cudnn_conv_algo_search: 'EXHAUSTIVE' },
  });
});

test('the TensorRT accelerator turns CUDA into TensorRT, with its options in the words of onnxruntime', () => {
  const text = `optimization { execution_accelerators { gpu_execution_accelerator [{
    name: "tensorrt"
    parameters { key: "precision_mode" value: "FP16" }
    parameters { key: "trt_engine_cache_enable" value: "1" }
  }] } }`;
  expect(plan(text)[0]).toMatchObject({ executionProvider: 'cpu' });
  expect(plan(text, { SLIPWAY_EXECUTION_PROVIDER: 'cuda' })[0]).toMatchObject({
    executionProvider: 'tensorrt',
    tuning: { tensorrt: { trt_fp16_enable: '1', trt_engine_cache_enable: '1' } },
  });
  expect(() => plan('optimization { cuda { graphs: true } }', { SLIPWAY_EXECUTION_PROVIDER: 'cuda' })).toThrow(
    'optimization.cuda.graphs is not supported',
  );
});

test('native executors share a session for each device, and a worker has one of its own', () => {
  const sessions = (executor: string): number =>
    sessionsOf(
      plan('instance_group [{ count: 3 kind: KIND_GPU gpus: [0, 1] }]', {
        SLIPWAY_EXECUTION_PROVIDER: 'cuda',
        SLIPWAY_EXECUTOR: executor,
      }),
    );
  expect(sessions('worker')).toBe(6);
  expect(sessions('native')).toBe(2);
});

test('a server opens as many sessions as the configuration of a model asks for', async () => {
  const repository = plainRepository({ addone: addOneModel() });
  mkdirSync(path.join(repository, 'addone'), { recursive: true });
  writeFileSync(path.join(repository, 'addone', 'config.pbtxt'), 'instance_group [{ count: 3 kind: KIND_CPU }]');
  const server = await startServer({ modelRepository: repository });
  expect(server.log.filter(({ msg }) => msg === 'session opened')).toHaveLength(3);
  expect((await server.infer('addone', floats('input', [1, 4], [1, 2, 3, 4]))).status).toBe(200);
});
