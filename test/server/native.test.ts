import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Tensor, TensorData } from '../../runtime/onnx/tensor-encoding';
import { allocateTensorData, elementCount } from '../../runtime/onnx/tensor-encoding';
import {
  ExecutorExit,
  RunError,
  SessionError,
  type Executor,
  type ExecutorOptions,
} from '../../runtime/server/executor';
import { startNativeExecutor } from '../../runtime/server/native/native-executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import { ELEMENT_BYTES, type Datatype } from '../../runtime/spec/datatypes';
import {
  addOneModel,
  buildModel,
  floatTensor,
  graphAttribute,
  identityModel,
  lookupModel,
  matmulModel,
  node,
  slowModel,
  twoInputsModel,
  value,
  type GraphInit,
} from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { bundleServer } from './harness/server-bundle';

function modelFile(bytes: Uint8Array): string {
  const file = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(file, bytes);
  return file;
}

function options(modelPath: string, more: Partial<ExecutorOptions> = {}): ExecutorOptions {
  return { modelPath, executionProvider: 'cpu', intraOpThreads: 1, ...more };
}

async function startNative(model: Uint8Array, more: Partial<ExecutorOptions> = {}): Promise<Executor> {
  const executor = await startNativeExecutor(await bundleServer(), options(modelFile(model), more));
  onTestFinished(() => executor.close());
  return executor;
}

function floats(name: string, shape: readonly number[], values: readonly number[]): Tensor {
  return { name, datatype: 'FP32', shape, data: Float32Array.from(values) };
}

/** Elements that use every bit of their datatype. */
function sampleData(datatype: Datatype, count: number): TensorData {
  if (datatype === 'BYTES') return Array.from({ length: count }, (_, i) => ['', 'plain', 'ünï😀', ' \n'][i % 4]!);
  const data = allocateTensorData(datatype, count) as Exclude<TensorData, readonly string[]>;
  const bytes = new Uint8Array(data.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = datatype === 'BOOL' ? i % 2 : (i * 167 + 13) % 256;
  return data;
}

const copyOf = (tensor: Tensor): Tensor => ({
  ...tensor,
  data: ArrayBuffer.isView(tensor.data) ? tensor.data.slice() : [...tensor.data],
});

/** What both kinds of executor make of the same inputs, told apart bit by bit. */
async function runBoth(model: Uint8Array, ...runs: readonly (readonly Tensor[])[]): Promise<readonly Tensor[][]> {
  const file = options(modelFile(model));
  const workerUrl = await bundleServer();
  const worker = await startWorkerExecutor(workerUrl, file);
  const native = await startNativeExecutor(workerUrl, file);
  onTestFinished(() => Promise.all([worker.close(), native.close()]).then(() => {}));
  expect(native.inputs).toEqual(worker.inputs);
  expect(native.outputs).toEqual(worker.outputs);
  expect(native.onnxRuntimeVersion).toBe(worker.onnxRuntimeVersion);
  const results: Tensor[][] = [];
  for (const inputs of runs) {
    const [expected, got] = await Promise.all([worker.run(inputs.map(copyOf)), native.run(inputs.map(copyOf))]);
    expect(got.outputs.map(bitsOf)).toEqual(expected.outputs.map(bitsOf));
    expect(got.nonfiniteElements).toBe(expected.nonfiniteElements);
    results.push([...got.outputs]);
  }
  return results;
}

function bitsOf({ data, ...tensor }: Tensor): unknown {
  const bits = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')
    : [...data];
  return { ...tensor, type: data.constructor.name, bits };
}

test.each([...Object.keys(ELEMENT_BYTES)] as Datatype[])(
  'a %s tensor comes back from the native executor as from the worker: full, empty and scalar',
  async (datatype) => {
    const input = (shape: readonly number[]): Tensor => ({
      name: 'input',
      datatype,
      shape,
      data: sampleData(datatype, elementCount(shape)),
    });
    await runBoth(
      identityModel({ datatype, shape: ['batch', 'width'] }),
      [input([3, 5])],
      [input([0, 5])],
      [input([2, 0])],
    );
    await runBoth(identityModel({ datatype, shape: [] }), [input([])]);
  },
);

test('models of one and two inputs give the same bits through both kinds of executor', async () => {
  await runBoth(matmulModel(), [floats('input', [2, 4], [1, -2, 0.1, 1e-9, 3e38, 1, 2, 3])]);
  await runBoth(twoInputsModel(), [
    floats('left', [2, 3], [1, 2, 3, 4, 5, NaN]),
    floats('right', [2, 3], [3, 2, 1, Infinity, 5, 6]),
  ]);
  await runBoth(lookupModel(), [
    { name: 'index', datatype: 'INT64', shape: [3], data: BigInt64Array.of(0n, -10n, 9n) },
  ]);
});

test('outputs that the graph computes before it runs, passes through or leaves unnamed come back as they are', async () => {
  const constant = buildModel({
    node: [node('Add', ['one', 'one'], ['two']), node('Identity', ['input'], ['through'])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('two', 'FP32', [3]), value('through', 'FP32', ['batch', 2]), value('input', 'FP32', ['batch', 2])],
    initializer: [floatTensor('one', [3], [1, 2, 3])],
  });
  const [outputs] = await runBoth(constant, [floats('input', [1, 2], [7, 8])], [floats('input', [2, 2], [1, 2, 3, 4])]);
  expect(outputs!.map(({ data }) => [...(data as Float32Array)])).toEqual([
    [2, 4, 6],
    [7, 8],
    [7, 8],
  ]);
  const initializer = buildModel({
    node: [node('Identity', ['input'], ['through'])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('through', 'FP32', ['batch', 2]), value('one', 'FP32', [3])],
    initializer: [floatTensor('one', [3], [1, 2, 3])],
  });
  await runBoth(initializer, [floats('input', [1, 2], [7, 8])], [floats('input', [1, 2], [9, 9])]);
  const counted = buildModel({
    node: [node('NonZero', ['input'], ['places'])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('places', 'INT64', [2, ''])],
  });
  await runBoth(counted, [floats('input', [2, 2], [1, 0, 0, 4])], [floats('input', [2, 2], [0, 0, 0, 0])]);
});

test('what a branch or a loop hands out of its own graph comes back whole', async () => {
  const branch = (name: string, from: string): GraphInit => ({
    name,
    node: [node('Add', [from, 'one'], [`${name}_out`])],
    output: [value(`${name}_out`, 'FP32', ['batch', 2])],
  });
  const constant: GraphInit = {
    name: 'constant',
    initializer: [floatTensor('constant_out', [1, 2], [4, 5])],
    output: [value('constant_out', 'FP32', [1, 2])],
  };
  const body: GraphInit = {
    name: 'body',
    node: [
      node('Add', ['state_in', 'one'], ['state_out']),
      node('Identity', ['go_on'], ['go_on_out']),
      node('Identity', ['state_out'], ['each']),
    ],
    input: [value('i', 'INT64', []), value('go_on', 'BOOL', []), value('state_in', 'FP32', ['batch', 2])],
    output: [
      value('go_on_out', 'BOOL', []),
      value('state_out', 'FP32', ['batch', 2]),
      value('each', 'FP32', ['batch', 2]),
    ],
  };
  const model = buildModel({
    node: [
      node(
        'If',
        ['choice'],
        ['chosen'],
        [graphAttribute('then_branch', branch('then', 'input')), graphAttribute('else_branch', constant)],
      ),
      node('Loop', ['count', '', 'input'], ['last', 'all'], [graphAttribute('body', body)]),
    ],
    input: [value('choice', 'BOOL', []), value('count', 'INT64', []), value('input', 'FP32', ['batch', 2])],
    output: [
      value('chosen', 'FP32', ['batch', 2]),
      value('last', 'FP32', ['batch', 2]),
      value('all', 'FP32', ['loops', 'batch', 2]),
    ],
    initializer: [floatTensor('one', [], [1])],
  });
  const ask = (choice: number, count: bigint): Tensor[] => [
    { name: 'choice', datatype: 'BOOL', shape: [], data: Uint8Array.of(choice) },
    { name: 'count', datatype: 'INT64', shape: [], data: BigInt64Array.of(count) },
    floats('input', [1, 2], [1, 2]),
  ];
  await runBoth(model, ask(1, 3n), ask(0, 3n), ask(1, 0n), ask(0, 1n));
});

test('a model whose dimension names promise a shape that it does not keep is served all the same', async () => {
  const lying = buildModel({
    node: [node('Concat', ['input', 'input'], ['output'], [{ name: 'axis', type: 2, i: 0n }])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('output', 'FP32', ['batch', 2])],
  });
  const [first, second] = await runBoth(
    lying,
    [floats('input', [1, 2], [1, 2])],
    [floats('input', [2, 2], [1, 2, 3, 4])],
  );
  expect(first![0]!.shape).toEqual([2, 2]);
  expect(second![0]!.shape).toEqual([4, 2]);
});

test('a run that fails says why in one line, and the executor goes on', async () => {
  const executor = await startNative(lookupModel());
  const ask = (index: bigint): ReturnType<Executor['run']> =>
    executor.run([{ name: 'index', datatype: 'INT64', shape: [1], data: BigInt64Array.of(index) }]);
  const error = await ask(99n).catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(RunError);
  expect((error as Error).message).toContain('indices element out of data bounds');
  expect((error as Error).message).not.toContain('\n');
  expect((await ask(1n)).outputs[0]!.shape).toEqual([1, 2]);
  await expect(executor.run([floats('nothing', [1], [1])])).rejects.toThrow("the model has no input 'nothing'");
});

test('a file that is no model, a model that is missing and a value that is no tensor are errors of the session', async () => {
  const workerUrl = await bundleServer();
  const start = (file: string): Promise<Executor> => startNativeExecutor(workerUrl, options(file));
  await expect(start(modelFile(Buffer.from('no model')))).rejects.toThrow(SessionError);
  await expect(start('/nowhere/model.onnx')).rejects.toThrow(SessionError);
  const sequence = buildModel({
    node: [node('SequenceConstruct', ['input'], ['output'])],
    input: [value('input', 'FP32', [1])],
    output: [{ name: 'output', type: { value: { case: 'sequenceType', value: { elemType: {} } } } }],
  });
  await expect(start(modelFile(sequence))).rejects.toThrow(SessionError);
});

const ENDLESS = 2n ** 40n;
const iterations = (count: bigint): Tensor[] => [
  { name: 'iterations', datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(count) },
];

test('a run that would never return is interrupted, and the executor runs the next one', async () => {
  const executor = await startNative(slowModel());
  for (let i = 0; i < 3; i++) {
    const endless = executor.run(iterations(ENDLESS));
    setTimeout(() => executor.interrupt!(), 20);
    await expect(endless).rejects.toThrow(new RunError('interrupted'));
    expect(executor.runningSince).toBeUndefined();
    // Between two runs there is nothing to interrupt, and the next run must not pay for it.
    executor.interrupt!();
    expect((await executor.run(iterations(1n))).outputs[0]!.data).toEqual(BigInt64Array.of(1n));
  }
});

test('closing an executor ends a run that would never return', async () => {
  const executor = await startNative(slowModel());
  const endless = executor.run(iterations(ENDLESS)).catch((error: Error) => error);
  await executor.close();
  expect(await endless).toEqual(new RunError('interrupted'));
  await expect(executor.run(iterations(1n))).rejects.toThrow(ExecutorExit);
});

test('executors of one model share a session, run it at the same time, and survive each other', async () => {
  const workerUrl = await bundleServer();
  const file = options(modelFile(slowModel()));
  const [first, second] = await Promise.all([1, 2].map(() => startNativeExecutor(workerUrl, file)));
  const endless = first!.run(iterations(ENDLESS)).catch((error: Error) => error);
  // Only a run that is not held up by the endless one returns.
  expect((await second!.run(iterations(2n))).outputs[0]!.data).toEqual(BigInt64Array.of(2n));
  await first!.close();
  expect(await endless).toBeInstanceOf(RunError);
  expect((await second!.run(iterations(3n))).outputs[0]!.data).toEqual(BigInt64Array.of(3n));
  await second!.close();
  const again = await startNativeExecutor(workerUrl, file);
  expect((await again.run(iterations(1n))).outputs[0]!.data).toEqual(BigInt64Array.of(1n));
  await again.close();
});

test('a file that takes the place of another one is another model', async () => {
  const workerUrl = await bundleServer();
  const file = options(modelFile(identityModel()));
  const before = await startNativeExecutor(workerUrl, file);
  writeFileSync(file.modelPath, addOneModel());
  const after = await startNativeExecutor(workerUrl, file);
  const ask = async (executor: Executor): Promise<unknown> =>
    (await executor.run([floats('input', [1, 4], [1, 2, 3, 4])])).outputs[0]!.data;
  expect(await ask(before)).toEqual(Float32Array.of(1, 2, 3, 4));
  expect(await ask(after)).toEqual(Float32Array.of(2, 3, 4, 5));
  await Promise.all([before.close(), after.close()]);
});

test('every tuning option that the CPU knows is taken, and an error of provider options shows them', async () => {
  const tuned = await startNative(matmulModel(), {
    tuning: {
      interOpThreads: 2,
      parallelExecution: true,
      graphOptimization: 'basic',
      disablePrepacking: true,
      arenaShrinkage: 'cpu:0',
      sessionConfig: { 'session.use_device_allocator_for_initializers': '1' },
    },
  });
  const plain = await startNative(matmulModel(), { tuning: { cpuMemoryArena: false, memoryPattern: false } });
  // Packed and unpacked weights are multiplied in another order, which rounds the last bits differently.
  const ask = async (executor: Executor): Promise<string[]> => {
    const [output] = (await executor.run([floats('input', [1, 4], [1, 2, 3, 4])])).outputs;
    return Array.from(output!.data as Float32Array, (element) => element.toFixed(5));
  };
  expect(await ask(tuned)).toEqual(await ask(plain));
  await expect(
    startNative(matmulModel(), { executionProvider: 'cuda', tuning: { cuda: { gpu_memory_limit: '1' } } }),
  ).rejects.toThrow(/CUDA provider options .*gpu_memory_limit/);
});

test('a worker refuses tuning that the binding would drop without a word', async () => {
  const start = async (tuning: ExecutorOptions['tuning']): Promise<Executor> =>
    startWorkerExecutor(await bundleServer(), options(modelFile(matmulModel()), { tuning }));
  await expect(start({ cuda: { gpu_mem_limit: '1' } })).rejects.toThrow("need the executor 'native'");
  const tuned = await start({ disablePrepacking: true, graphOptimization: 'disabled', cpuMemoryArena: false });
  expect((await tuned.run([floats('input', [1, 4], [1, 2, 3, 4])])).outputs[0]!.shape).toEqual([1, 3]);
  await tuned.close();
});

test('the library that onnxruntime-node loads is loaded once, whichever kind of executor asks', async () => {
  await runBoth(addOneModel(), [floats('input', [1, 4], [1, 2, 3, 4])]);
  const mapped = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('libonnxruntime.so'))
    .map((line) => line.slice(line.indexOf('/')));
  expect(new Set(mapped).size).toBe(1);
});
