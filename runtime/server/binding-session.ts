import { performance } from 'node:perf_hooks';
import type * as Runtime from 'onnxruntime-node';
import { datatypeOfRuntime, fromRuntimeTensor, toRuntimeTensor } from '../onnx/runtime-tensor';
import type { Tensor, TensorData } from '../onnx/tensor-encoding';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { TensorSignature } from '../spec/model-facts';
import type { ExecutorOptions } from './executor';
import type { ThreadRun, ThreadSession } from './executor-worker';
import { sessionConfig } from './session-config';

type Session = Runtime.InferenceSession;
type Metadata = Session['inputMetadata'][number];

// Errors reach us as exceptions; onnxruntime would also print each of them, and a client could fill the log.
const FATAL_ONLY = 4;

/** A session of onnxruntime-node, whose `create` and `run` block the thread they are called on. */
export async function openBindingSession(options: ExecutorOptions): Promise<ThreadSession> {
  assertBindingCan(options);
  const ort = await import('onnxruntime-node');
  const session = await createSession(ort, options);
  return {
    inputs: session.inputMetadata.map(toSignature),
    outputs: session.outputMetadata.map(toSignature),
    onnxRuntimeVersion: ort.env.versions.node ?? ort.env.versions.common,
    run: (inputs) => run(ort, session, inputs),
  };
}

/** The binding drops what it does not know without a word. */
function assertBindingCan({ tuning = {} }: ExecutorOptions): void {
  const { cuda, tensorrt, arenaShrinkage } = tuning;
  if (cuda === undefined && tensorrt === undefined && arenaShrinkage === undefined) return;
  throw new Error("provider options and arena shrinkage need the executor 'native', got 'worker'");
}

async function createSession(ort: typeof Runtime, options: ExecutorOptions): Promise<Session> {
  const { tuning = {}, cudaDevice: deviceId = 0 } = options;
  const executionProviders = EXECUTION_PROVIDERS[options.executionProvider];
  const available = ort.listSupportedBackends().map(({ name }) => name);
  for (const provider of executionProviders) {
    // The binding drops a provider that it does not know and would run on the CPU without a word.
    if (!available.includes(provider)) {
      throw new Error(
        `this build of onnxruntime has no execution provider '${provider}', it has ${available.join(', ')}`,
      );
    }
  }
  return ort.InferenceSession.create(options.modelPath, {
    executionProviders: executionProviders.map((name) => (name === 'cpu' ? name : { name, deviceId })),
    intraOpNumThreads: options.intraOpThreads,
    interOpNumThreads: tuning.interOpThreads ?? 1,
    graphOptimizationLevel: tuning.graphOptimization ?? 'all',
    executionMode: tuning.parallelExecution === true ? 'parallel' : 'sequential',
    enableCpuMemArena: tuning.cpuMemoryArena ?? true,
    enableMemPattern: tuning.memoryPattern ?? true,
    logSeverityLevel: FATAL_ONLY,
    extra: nest(sessionConfig(options)),
  });
}

// CUDA and TensorRT have not been tried on a GPU yet. Operators that a GPU provider lacks run on the CPU; a provider that
// cannot be loaded at all is an error of `create`.
const EXECUTION_PROVIDERS: Record<ExecutionProvider, readonly string[]> = {
  cpu: ['cpu'],
  cuda: ['cuda', 'cpu'],
  tensorrt: ['tensorrt', 'cuda', 'cpu'],
};

type Nested = { [key: string]: Nested | string };

/** `a.b: '1'` as `{ a: { b: '1' } }`, which is how the binding takes configuration entries. */
function nest(entries: Readonly<Record<string, string>>): Nested {
  const root: Nested = {};
  for (const [key, value] of Object.entries(entries)) {
    const parts = key.split('.');
    const last = parts.pop()!;
    let level = root;
    for (const part of parts) level = (level[part] ??= {}) as Nested;
    level[last] = value;
  }
  return root;
}

async function run(ort: typeof Runtime, session: Session, inputs: readonly Tensor[]): Promise<ThreadRun> {
  // The constructor is overloaded by literal type and array; the pairs in our table are the ones it knows.
  const RuntimeClass = ort.Tensor as unknown as new (
    type: string,
    data: TensorData,
    dims: readonly number[],
  ) => Runtime.Tensor;
  const feeds = Object.fromEntries(inputs.map((input) => [input.name, toRuntimeTensor(RuntimeClass, input)]));
  const start = performance.now();
  const results = await session.run(feeds, { logSeverityLevel: FATAL_ONLY });
  const seconds = (performance.now() - start) / 1_000;
  return { seconds, outputs: session.outputNames.map((name) => fromRuntimeTensor(name, results[name]!)) };
}

function toSignature(metadata: Metadata): TensorSignature {
  if (!metadata.isTensor) {
    throw new Error(`'${metadata.name}' is a sequence, map or optional value; only tensors can be served`);
  }
  const datatype = datatypeOfRuntime(metadata.type);
  if (datatype === undefined)
    throw new Error(`'${metadata.name}' has element type ${metadata.type}, which is not served`);
  return { name: metadata.name, datatype, shape: metadata.shape };
}
