import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { elementType } from '../../runtime/onnx/element-types';
import { SessionError } from '../../runtime/server/executor';
import { ELEMENT_TYPES } from '../../runtime/server/native/element-type';
import { NativeSession } from '../../runtime/server/native/native-session';
import { startNativeRuntime } from '../../runtime/server/native/native-runtime';
import type { OrtApi } from '../../runtime/server/native/ort-api';
import { OrtError } from '../../runtime/server/native/ort-api';
import { availableProviders, createRunOptions, withSessionOptions } from '../../runtime/server/native/session-options';
import { readSignature } from '../../runtime/server/native/session-signature';
import { buildModel, node, value } from '../support/onnx-models';

const importer = pathToFileURL(path.resolve('runtime/server/main.mts'));

/** The same calls, which also write down that they were made. */
function recording(api: OrtApi): { readonly api: OrtApi; readonly called: Set<string> } {
  const called = new Set<string>();
  const record = <T extends OrtApi['call'] | OrtApi['release']>(calls: T): T =>
    Object.fromEntries(
      Object.entries(calls).map(([name, call]) => [
        name,
        (...values: never[]) => {
          called.add(name);
          (call as (...values: never[]) => void)(...values);
        },
      ]),
    ) as T;
  return {
    called,
    api: {
      ...api,
      call: record(api.call),
      release: record(api.release),
      callInPool: (name, ...values) => (called.add(name), api.callInPool(name, ...values)),
      releaseInPool: (name, address) => (called.add(name), api.releaseInPool(name, address)),
    },
  };
}

test('every position of the C API that is used answers as its name says', async () => {
  const runtime = await startNativeRuntime(importer);
  const { api, called } = recording(runtime.api);
  const env = api.pointer((out) => api.call.CreateEnv(4, 'test', out));
  api.call.DisableTelemetryEvents(env);
  const cpuMemory = api.pointer((out) => api.call.CreateCpuMemoryInfo(1, 0, out));
  expect(availableProviders(api)).toContain('CPUExecutionProvider');

  const numbers = buildModel({
    node: [node('NonZero', ['input'], ['places']), node('Identity', ['text'], ['same'])],
    input: [value('input', 'FP32', ['rows', 2]), value('text', 'BYTES', ['texts'])],
    output: [value('places', 'INT64', [2, 'found']), value('same', 'BYTES', ['texts'])],
  });
  const cpu = {
    modelPath: '',
    executionProvider: 'cpu',
    intraOpThreads: 1,
    tuning: { arenaShrinkage: 'cpu:0' },
  } as const;
  const noArena = { ...cpu, tuning: { cpuMemoryArena: false, memoryPattern: false, parallelExecution: true } } as const;
  await withSessionOptions(api, noArena, () => Promise.resolve());
  const created = new BigUint64Array(1);
  await withSessionOptions(api, cpu, (options) =>
    api.callInPool('CreateSessionFromArray', env, numbers, numbers.length, options, created),
  );
  const session = created[0]!;
  const signature = readSignature(api, session);
  expect(signature).toEqual({
    inputs: [
      { name: 'input', datatype: 'FP32', shape: ['rows', 2] },
      { name: 'text', datatype: 'BYTES', shape: ['texts'] },
    ],
    outputs: [
      { name: 'places', datatype: 'INT64', shape: [2, 'found'] },
      { name: 'same', datatype: 'BYTES', shape: ['texts'] },
    ],
  });

  const runOptions = createRunOptions(api, cpu);
  const native = new NativeSession(api, { session, runOptions, cpuMemory, ...signature });
  const ask = (): ReturnType<NativeSession['run']> =>
    native.run([
      { name: 'input', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(0, 5, 0, 7) },
      { name: 'text', datatype: 'BYTES', shape: [2], data: ['ä', ''] },
    ]);
  expect(ask().outputs).toEqual([
    { name: 'places', datatype: 'INT64', shape: [2, 2], data: BigInt64Array.of(0n, 1n, 1n, 1n) },
    { name: 'same', datatype: 'BYTES', shape: [2], data: ['ä', ''] },
  ]);
  api.call.RunOptionsSetTerminate(runOptions);
  expect(ask).toThrow(OrtError);
  api.call.RunOptionsUnsetTerminate(runOptions);
  expect(ask().outputs).toHaveLength(2);
  api.release.ReleaseRunOptions(runOptions);
  await api.releaseInPool('ReleaseSession', session);

  await expect(
    withSessionOptions(api, cpu, (options) => api.callInPool('CreateSession', env, '/nowhere', options, created)),
  ).rejects.toThrow('Load model from /nowhere failed');
  // Options of both GPU providers can be made without their libraries; to read or append them needs these, and the
  // messages say which call it was.
  for (const executionProvider of ['cuda', 'tensorrt'] as const) {
    await expect(withSessionOptions(api, { ...cpu, executionProvider }, () => Promise.resolve())).rejects.toThrow(
      SessionError,
    );
  }
  await withSessionOptions(api, cpu, (options) => {
    const { call, release } = api;
    const cuda = api.pointer((out) => call.CreateCUDAProviderOptions(out));
    expect(() => call.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda)).toThrow('Provider_Cuda');
    release.ReleaseCUDAProviderOptions(cuda);
    const tensorrt = api.pointer((out) => call.CreateTensorRTProviderOptions(out));
    expect(() => call.SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt)).toThrow(
      'Provider_TensorRT',
    );
    release.ReleaseTensorRTProviderOptions(tensorrt);
    return Promise.resolve();
  });
  // Each of the errors above has been released.
  called.add('ReleaseStatus');
  expect([...called].sort()).toEqual([...Object.keys(api.call), ...Object.keys(api.release)].sort());
});

test('the library stays for as long as its functions may be called', async () => {
  const runtime = await startNativeRuntime(importer);
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  for (let i = 0; i < 5; i++) {
    collectGarbage();
    // Objects of native code are given back in a turn of their own.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(readFileSync('/proc/self/maps', 'utf8')).toContain('libonnxruntime');
  expect(availableProviders(runtime.api)).toContain('CPUExecutionProvider');
});

test("the element types are ONNX's numbers", () => {
  for (const [datatype, type] of Object.entries(ELEMENT_TYPES)) expect(elementType(type)?.datatype).toBe(datatype);
});
