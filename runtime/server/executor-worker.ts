import type { MessagePort } from 'node:worker_threads';
import type { Tensor } from '../onnx/tensor-encoding';
import { openBindingSession } from './binding-session';
import type { ExecutorAnswer, ExecutorWorkerData, RunMessage } from './executor-messages';
import type { SessionSignature } from './native/session-signature';
import { countNonfinite } from './nonfinite';
import { isReusable } from './reusable-memory';

/** A session as a thread runs it, whichever way it reaches ONNX Runtime. Its calls block. */
export interface ThreadSession extends SessionSignature {
  readonly onnxRuntimeVersion: string;
  run(inputs: readonly Tensor[]): ThreadRun | Promise<ThreadRun>;
}

export interface ThreadRun {
  /** Every output, in the model's order. */
  readonly outputs: readonly Tensor[];
  /** Time of the run alone. */
  readonly seconds: number;
}

/** The body of an executor's thread. */
export async function runExecutorWorker(port: MessagePort, data: ExecutorWorkerData): Promise<void> {
  const answer = (message: ExecutorAnswer, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  try {
    const session = await openSession(data);
    let last = Promise.resolve();
    port.on('message', ({ run: inputs, number }: RunMessage) => {
      last = last.then(() => {
        if (Atomics.compareExchange(data.progress, 0, number - 1, number) !== number - 1) return undefined;
        return run(session, inputs).then(
          (done) => answer(done, [...buffersOf(done.outputs), ...done.spent]),
          (error: unknown) => answer({ kind: 'failed', message: firstLine(error) }),
        );
      });
    });
    // A run that cannot be read will never be answered: the thread ends, and another one takes its place.
    port.on('messageerror', (error) => {
      throw error;
    });
    const { inputs, outputs, onnxRuntimeVersion } = session;
    answer({ kind: 'opened', inputs, outputs, onnxRuntimeVersion });
  } catch (error) {
    answer({ kind: 'refused', message: firstLine(error) });
  }
}

async function openSession({ slipwayExecutor, native }: ExecutorWorkerData): Promise<ThreadSession> {
  if (native === undefined) return openBindingSession(slipwayExecutor);
  const { openNativeSession } = await import('./native/native-session.js');
  return openNativeSession(native.libraryPath, native.handle);
}

async function run(
  session: ThreadSession,
  inputs: readonly Tensor[],
): Promise<Extract<ExecutorAnswer, { kind: 'done' }>> {
  const { outputs, seconds } = await session.run(inputs);
  const given = buffersOf(outputs);
  const spent = buffersOf(inputs).filter((buffer) => isReusable(buffer) && !given.includes(buffer));
  return { kind: 'done', outputs, seconds, nonfiniteElements: countNonfinite(outputs), spent };
}

function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const buffers = tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
  return [...new Set(buffers)];
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('\n')[0]!;
}
