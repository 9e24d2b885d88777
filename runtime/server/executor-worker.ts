import { performance } from 'node:perf_hooks';
import type { MessagePort } from 'node:worker_threads';
import type * as Runtime from 'onnxruntime-node';
import { datatypeOfRuntime, fromRuntimeTensor, toRuntimeTensor } from '../onnx/runtime-tensor';
import type { Tensor, TensorData } from '../onnx/tensor-encoding';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { TensorSignature } from '../spec/model-facts';
import type { ExecutorOptions } from './executor';
import type { ExecutorAnswer, RunMessage } from './executor-messages';

type Session = Runtime.InferenceSession;
type Metadata = Session['inputMetadata'][number];

// Errors reach us as exceptions; onnxruntime would also print each of them, and a client could fill the log.
const FATAL_ONLY = 4;

/** The body of an executor's thread. `create` and `run` of onnxruntime-node block the thread they are called on. */
export async function runExecutorWorker(port: MessagePort, options: ExecutorOptions): Promise<void> {
  const answer = (message: ExecutorAnswer, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  try {
    const ort = await import('onnxruntime-node');
    const session = await openSession(ort, options);
    port.on('message', (message: RunMessage) => {
      void run(ort, session, message.run).then(
        (done) => answer(done, buffersOf(done.outputs)),
        (error: unknown) => answer({ kind: 'failed', message: firstLine(error) }),
      );
    });
    answer({
      kind: 'opened',
      inputs: session.inputMetadata.map(toSignature),
      outputs: session.outputMetadata.map(toSignature),
      onnxRuntimeVersion: ort.env.versions.node ?? ort.env.versions.common,
    });
  } catch (error) {
    answer({ kind: 'refused', message: firstLine(error) });
  }
}

async function openSession(ort: typeof Runtime, options: ExecutorOptions): Promise<Session> {
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
    executionProviders: [...executionProviders],
    intraOpNumThreads: options.intraOpThreads,
    interOpNumThreads: 1,
    logSeverityLevel: FATAL_ONLY,
    // Spinning threads take the CPU quota of the HTTP thread and of other models while they wait.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
}

// CUDA and TensorRT have not been tried on a GPU yet. Operators that a GPU provider lacks run on the CPU; a provider that
// cannot be loaded at all is an error of `create`.
const EXECUTION_PROVIDERS: Record<ExecutionProvider, readonly string[]> = {
  cpu: ['cpu'],
  cuda: ['cuda', 'cpu'],
  tensorrt: ['tensorrt', 'cuda', 'cpu'],
};

async function run(
  ort: typeof Runtime,
  session: Session,
  inputs: readonly Tensor[],
): Promise<Extract<ExecutorAnswer, { kind: 'done' }>> {
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
  const outputs = session.outputNames.map((name) => fromRuntimeTensor(name, results[name]!));
  return { kind: 'done', outputs, seconds, nonfiniteElements: outputs.reduce((sum, o) => sum + countNonfinite(o), 0) };
}

function countNonfinite({ datatype, data }: Tensor): number {
  let count = 0;
  if (datatype === 'FP32' || datatype === 'FP64') {
    for (const value of data as Float32Array) if (!Number.isFinite(value)) count++;
  } else if (datatype === 'FP16') {
    // All exponent bits set: an infinity or NaN.
    for (const bits of data as Uint16Array) if ((bits & 0x7c00) === 0x7c00) count++;
  }
  return count;
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

function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const buffers = tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
  return [...new Set(buffers)];
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('\n')[0]!;
}
