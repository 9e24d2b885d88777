import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { Tensor } from '../onnx/tensor-encoding';
import { ALIGNMENT } from './aligned-memory';
import { ExecutorExit, RunError, SessionError, type Executor, type ExecutorOptions, type RunResult } from './executor';
import type { ExecutorAnswer, ExecutorWorkerData, OpenedMessage, RunMessage } from './executor-messages';
import { turnTelemetryOff } from './settings';

/**
 * Starts a worker thread with a session of its own.
 * @param workerUrl The server's bundle, which is its own worker.
 */
export async function startWorkerExecutor(workerUrl: URL, options: ExecutorOptions): Promise<Executor> {
  turnTelemetryOff();
  return new WorkerExecutor('worker', await startThread(workerUrl, { slipwayExecutor: options }));
}

/** A thread that has opened its session. */
export interface ExecutorThread {
  readonly worker: Worker;
  /** Resolves when the thread is gone, for whatever reason. */
  readonly exit: Promise<ExecutorExit>;
  readonly opened: OpenedMessage;
}

/** @throws ExecutorExit or SessionError */
export function startThread(workerUrl: URL, workerData: ExecutorWorkerData): Promise<ExecutorThread> {
  const worker = new Worker(workerUrl, { workerData });
  return new Promise((resolve, reject) => {
    const exit = exitOf(worker);
    void exit.then(reject);
    worker.once('message', (answer: ExecutorAnswer) => {
      if (answer.kind === 'opened') {
        resolve({ worker, exit, opened: answer });
      } else {
        reject(new SessionError(answer.kind === 'refused' ? answer.message : `unexpected answer '${answer.kind}'`));
        void worker.terminate();
      }
    });
  });
}

function exitOf(worker: Worker): Promise<ExecutorExit> {
  return new Promise((resolve) => {
    worker.once('error', (error) => resolve(new ExecutorExit(`executor stopped: ${error.message}`)));
    worker.once('exit', (code) => resolve(new ExecutorExit(`executor stopped with exit code ${code}`)));
  });
}

interface CurrentRun {
  resolve(result: RunResult): void;
  reject(error: Error): void;
}

/**
 * One batch at a time on a thread. Buffers are transferred both ways: 10 to 13 µs there and back for 4 KB, 23 to 33 µs for
 * 602 KB, on Node 20 and 24. Shared memory with Atomics was as fast but for 602 KB on Node 20, where it saved up to 10 µs,
 * and a thread that waits in Atomics hears nothing else.
 */
export class WorkerExecutor implements Executor {
  readonly inputs: Executor['inputs'];
  readonly outputs: Executor['outputs'];
  readonly onnxRuntimeVersion: string;
  readonly exit: Promise<ExecutorExit>;
  runningSince: number | undefined;
  private readonly worker: Worker;
  private current: CurrentRun | undefined;
  private exited: ExecutorExit | undefined;
  protected isClosing = false;
  private onFinish: (() => void) | undefined;

  constructor(
    readonly kind: Executor['kind'],
    { worker, exit, opened }: ExecutorThread,
  ) {
    this.worker = worker;
    this.inputs = opened.inputs;
    this.outputs = opened.outputs;
    this.onnxRuntimeVersion = opened.onnxRuntimeVersion;
    worker.on('message', (answer: ExecutorAnswer) => this.settle(answer));
    this.exit = new Promise((resolve) => {
      void exit.then((reason) => {
        this.exited = reason;
        this.finish()?.reject(reason);
        if (!this.isClosing) resolve(reason);
      });
    });
  }

  run(inputs: readonly Tensor[]): Promise<RunResult> {
    if (this.exited !== undefined) return Promise.reject(new ExecutorExit(this.exited.message, false));
    if (this.isClosing) return Promise.reject(new ExecutorExit('executor is being closed', false));
    if (this.current !== undefined) throw new Error('an executor runs one batch at a time');
    return new Promise((resolve, reject) => {
      this.current = { resolve, reject };
      this.runningSince = performance.now();
      const owned = inputs.map(ownMemory);
      const message: RunMessage = { run: owned };
      const buffers = owned.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
      try {
        this.worker.postMessage(message, [...new Set(buffers)]);
      } catch (error) {
        this.finish()?.reject(error as Error);
      }
    });
  }

  async close(): Promise<void> {
    this.isClosing = true;
    // A thread that is ended in the middle of a run ends the process with it: the binding throws into what is gone.
    if (this.current !== undefined) await new Promise<void>((resolve) => (this.onFinish = resolve));
    await this.worker.terminate();
  }

  private settle(answer: ExecutorAnswer): void {
    if (answer.kind === 'done') {
      const { outputs, seconds, nonfiniteElements } = answer;
      this.finish()?.resolve({ outputs, seconds, nonfiniteElements });
    } else if (answer.kind === 'failed') {
      const error = this.errorOf(answer.message);
      this.finish()?.reject(error);
    }
  }

  protected errorOf(message: string): RunError {
    return new RunError(message);
  }

  protected finish(): CurrentRun | undefined {
    const { current } = this;
    this.current = undefined;
    this.runningSince = undefined;
    this.onFinish?.();
    return current;
  }
}

/**
 * A tensor whose memory can be handed over. One that is a small part of larger memory, as of Node's pool, is copied, and so
 * is one that begins where an allocation would not: by their address kernels choose the order in which they add up, and
 * the last bit of an answer must not depend on the way its request came.
 */
function ownMemory(tensor: Tensor): Tensor {
  const { data } = tensor;
  if (!ArrayBuffer.isView(data)) return tensor;
  const isPart = 2 * data.byteLength < data.buffer.byteLength;
  return isPart || data.byteOffset % ALIGNMENT !== 0 ? { ...tensor, data: data.slice() } : tensor;
}
