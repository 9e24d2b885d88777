import type { ExecutorOptions } from '../executor';
import { turnTelemetryOff } from '../settings';
import { NativeSession, type SessionHandle } from './native-session';
import { loadOrtApi, type OrtApi } from './ort-api';
import { findOrtLibrary } from './ort-library';
import { createRunOptions, FATAL_ONLY, withSessionOptions } from './session-options';
import { readSignature } from './session-signature';
import { KNOWN_ANSWER, KNOWN_MODEL, KNOWN_QUESTION } from './known-answer';

/** ONNX Runtime's C library in this process, proven to answer as it should. */
export interface NativeRuntime {
  readonly api: OrtApi;
  readonly libraryPath: string;
  /** Address of the `OrtEnv`. */
  readonly env: bigint;
  /** Address of the `OrtMemoryInfo` of ordinary memory. */
  readonly cpuMemory: bigint;
}

let runtime: Promise<NativeRuntime> | undefined;

/**
 * Loads the library once in this process and runs a small model whose answer is known.
 * @param importer The module that would import onnxruntime-node.
 * @throws Error when koffi or the library is missing, its version is not the package's, or the answer is wrong.
 */
export function startNativeRuntime(importer: URL): Promise<NativeRuntime> {
  runtime ??= start(importer);
  return runtime;
}

async function start(importer: URL): Promise<NativeRuntime> {
  turnTelemetryOff();
  const library = findOrtLibrary(importer);
  const api = await loadOrtApi(library.path);
  if (api.version !== library.version) {
    throw new Error(`${library.path} is onnxruntime ${api.version}, its package ${library.version}`);
  }
  const env = api.pointer((out) => api.call.CreateEnv(FATAL_ONLY, 'slipway', out));
  api.call.DisableTelemetryEvents(env);
  const cpuMemory = api.pointer((out) => api.call.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, out));
  const started: NativeRuntime = { api, libraryPath: library.path, env, cpuMemory };
  await assertKnownAnswer(started);
  return started;
}

// OrtAllocatorType and OrtMemType.
const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;

/** @throws Error */
async function assertKnownAnswer({ api, env, cpuMemory }: NativeRuntime): Promise<void> {
  const options: ExecutorOptions = { modelPath: '', executionProvider: 'cpu', intraOpThreads: 1 };
  const model = Buffer.from(KNOWN_MODEL, 'base64');
  const created = new BigUint64Array(1);
  await withSessionOptions(api, options, (sessionOptions) =>
    api.callInPool('CreateSessionFromArray', env, model, model.length, sessionOptions, created),
  );
  const session = created[0]!;
  const runOptions = createRunOptions(api, options);
  try {
    const handle: SessionHandle = { session, runOptions, cpuMemory, ...readSignature(api, session) };
    const { outputs } = new NativeSession(api, handle).run([KNOWN_QUESTION]);
    const [answer] = outputs;
    if (answer?.shape.join() !== KNOWN_ANSWER.shape.join() || String(answer.data) !== String(KNOWN_ANSWER.data)) {
      throw new Error(`onnxruntime answered ${String(answer?.data)} where ${String(KNOWN_ANSWER.data)} is right`);
    }
  } finally {
    api.release.ReleaseRunOptions(runOptions);
    await api.releaseInPool('ReleaseSession', session);
  }
}
