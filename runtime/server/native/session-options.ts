import { SessionError, type ExecutorOptions, type GraphOptimization } from '../executor';
import { sessionConfig } from '../session-config';
import { OrtError, type OrtApi } from './ort-api';

// Errors reach us as statuses; ONNX Runtime would also print each of them, and a client could fill the log.
export const FATAL_ONLY = 4;

/** Of `ExecutionMode`. */
const PARALLEL = 1;

const OPTIMIZATION_LEVELS: Record<GraphOptimization, number> = { disabled: 0, basic: 1, extended: 2, all: 99 };

/**
 * What differs from CUDA's defaults. EXHAUSTIVE searches anew for every shape of an input, and an arena that doubles
 * takes memory from the other models of the GPU. Untested on a GPU.
 */
const CUDA_OPTIONS: Readonly<Record<string, string>> = {
  arena_extend_strategy: 'kSameAsRequested',
  cudnn_conv_algo_search: 'HEURISTIC',
};

/**
 * Runs `use` with the session options that `options` ask for.
 * @throws OrtError or SessionError when the library has no such provider or refuses an option.
 */
export async function withSessionOptions<T>(
  api: OrtApi,
  options: ExecutorOptions,
  use: (sessionOptions: bigint) => Promise<T>,
): Promise<T> {
  const { tuning = {} } = options;
  const session = api.pointer((out) => api.call.CreateSessionOptions(out));
  try {
    api.call.SetSessionLogSeverityLevel(session, FATAL_ONLY);
    api.call.SetIntraOpNumThreads(session, options.intraOpThreads);
    api.call.SetInterOpNumThreads(session, tuning.interOpThreads ?? 1);
    api.call.SetSessionGraphOptimizationLevel(session, OPTIMIZATION_LEVELS[tuning.graphOptimization ?? 'all']);
    if (tuning.parallelExecution === true) api.call.SetSessionExecutionMode(session, PARALLEL);
    if (tuning.cpuMemoryArena === false) api.call.DisableCpuMemArena(session);
    if (tuning.memoryPattern === false) api.call.DisableMemPattern(session);
    for (const [key, value] of Object.entries(sessionConfig(options))) {
      api.call.AddSessionConfigEntry(session, key, value);
    }
    appendProviders(api, session, options);
    return await use(session);
  } finally {
    api.release.ReleaseSessionOptions(session);
  }
}

/** Run options that all runs of one executor share. The caller releases them. */
export function createRunOptions(api: OrtApi, { tuning }: ExecutorOptions): bigint {
  const run = api.pointer((out) => api.call.CreateRunOptions(out));
  api.call.RunOptionsSetRunLogSeverityLevel(run, FATAL_ONLY);
  if (tuning?.arenaShrinkage !== undefined) {
    api.call.AddRunConfigEntry(run, 'memory.enable_memory_arena_shrinkage', tuning.arenaShrinkage);
  }
  return run;
}

// CUDA and TensorRT have not been tried on a GPU yet. The CPU provider is always there and needs no call.
function appendProviders(api: OrtApi, session: bigint, options: ExecutorOptions): void {
  const { executionProvider, cudaDevice = 0, tuning = {} } = options;
  if (executionProvider === 'cpu') return;
  const device = { device_id: `${cudaDevice}` };
  // In the order in which operators are offered to them.
  if (executionProvider === 'tensorrt') append(api, session, 'TensorRT', { ...device, ...tuning.tensorrt });
  append(api, session, 'CUDA', { ...device, ...CUDA_OPTIONS, ...tuning.cuda });
}

const PROVIDERS = {
  CUDA: {
    name: 'CUDAExecutionProvider',
    create: 'CreateCUDAProviderOptions',
    update: 'UpdateCUDAProviderOptions',
    append: 'SessionOptionsAppendExecutionProvider_CUDA_V2',
    release: 'ReleaseCUDAProviderOptions',
  },
  TensorRT: {
    name: 'TensorrtExecutionProvider',
    create: 'CreateTensorRTProviderOptions',
    update: 'UpdateTensorRTProviderOptions',
    append: 'SessionOptionsAppendExecutionProvider_TensorRT_V2',
    release: 'ReleaseTensorRTProviderOptions',
  },
} as const;

function append(
  api: OrtApi,
  session: bigint,
  provider: keyof typeof PROVIDERS,
  values: Readonly<Record<string, string>>,
): void {
  const calls = PROVIDERS[provider];
  const available = availableProviders(api);
  if (!available.includes(calls.name)) {
    throw new SessionError(`this build of onnxruntime has no ${calls.name}, it has ${available.join(', ')}`);
  }
  const options = api.pointer((out) => api.call[calls.create](out));
  try {
    const keys = textArray(api, Object.keys(values));
    const texts = textArray(api, Object.values(values));
    try {
      api.call[calls.update](options, keys, texts, keys.length);
    } catch (error) {
      if (!(error instanceof OrtError)) throw error;
      throw new SessionError(`${provider} provider options ${JSON.stringify(values)}: ${error.message}`);
    }
    api.call[calls.append](session, options);
  } finally {
    api.release[calls.release](options);
  }
}

/** Execution providers that this build of ONNX Runtime knows, whether or not their libraries are there. */
export function availableProviders(api: OrtApi): readonly string[] {
  const count = new Int32Array(1);
  const list = api.pointer((out) => api.call.GetAvailableProviders(out, count));
  const addresses = new BigUint64Array(count[0]);
  api.copy(addresses, list);
  const names = [...addresses].map((address) => api.text(address));
  api.call.ReleaseAvailableProviders(list, count[0]!);
  return names;
}

/** What the addresses of `textArray` point at: it lives as long as they do. */
const pointedAt = new WeakMap<BigUint64Array, Uint8Array>();

/** The addresses of C strings. These are valid for as long as the array is kept, so pass the array itself to calls. */
export function textArray(api: OrtApi, texts: readonly string[]): BigUint64Array {
  const bytes = Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8');
  const addresses = new BigUint64Array(texts.length);
  pointedAt.set(addresses, bytes);
  let at = bytes.byteLength === 0 ? 0n : api.address(bytes);
  texts.forEach((text, i) => {
    addresses[i] = at;
    at += BigInt(Buffer.byteLength(text) + 1);
  });
  return addresses;
}
