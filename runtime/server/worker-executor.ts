import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { Tensor } from '../onnx/tensor-encoding';
import { ALIGNMENT } from './aligned-memory';
import {
  ExecutorExit,
  RunError,
  RunTakenBack,
  SessionError,
  type Executor,
  type ExecutorOptions,
  type RunResult,
} from './executor';
import type { ExecutorAnswer, ExecutorWorkerData, OpenedMessage, RunMessage } from './executor-messages';
import { MEMORY } from './reusable-memory';
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
  readonly progress: ExecutorWorkerData['progress'];
  /** Resolves when the thread is gone, for whatever reason. */
  readonly exit: Promise<ExecutorExit>;
  readonly opened: OpenedMessage;
}

/** @throws ExecutorExit or SessionError */
export function startThread(workerUrl: URL, data: Omit<ExecutorWorkerData, 'progress'>): Promise<ExecutorThread> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(workerUrl, { workerData: { ...data, progress } satisfies ExecutorWorkerData });
  return new Promise((resolve, reject) => {
    const exit = exitOf(worker);
    void exit.then(reject);
    worker.once('message', (answer: ExecutorAnswer) => {
      if (answer.kind === 'opened') {
        resolve({ worker, progress, exit, opened: answer });
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

interface PendingRun {
  readonly number: number;
  /** Whether it was handed over while another one was going on. */
  readonly isAhead: boolean;
  resolve(result: RunResult): void;
  reject(error: Error): void;
}

/**
 * One batch at a time on a thread, and one ahead, so that the thread need not wait for the HTTP thread between two. Buffers are transferred both ways: 10 to 13 µs there and back for 4 KB, 23 to 33 µs for
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
  private readonly progress: Int32Array;
  /** The current run, and the one ahead. */
  private readonly pending: PendingRun[] = [];
  private count = 0;
  private exited: ExecutorExit | undefined;
  protected isClosing = false;
  private onIdle: (() => void) | undefined;

  constructor(
    readonly kind: Executor['kind'],
    { worker, progress, exit, opened }: ExecutorThread,
  ) {
    this.worker = worker;
    this.progress = progress;
    this.inputs = opened.inputs;
    this.outputs = opened.outputs;
    this.onnxRuntimeVersion = opened.onnxRuntimeVersion;
    worker.on('message', (answer: ExecutorAnswer) => this.settle(answer));
    this.exit = new Promise((resolve) => {
      void exit.then((reason) => {
        this.exited = reason;
        while (this.pending.length > 0) {
          const run = this.finish()!;
          const hadBegun = !run.isAhead || Atomics.load(progress, 0) >= run.number;
          run.reject(new ExecutorExit(reason.message, hadBegun));
        }
        if (!this.isClosing) resolve(reason);
      });
    });
  }

  get takesAhead(): boolean {
    return this.pending.length === 1 && this.exited === undefined && !this.isClosing;
  }

  run(inputs: readonly Tensor[]): Promise<RunResult> {
    if (this.exited !== undefined) return Promise.reject(new ExecutorExit(this.exited.message, false));
    if (this.isClosing) return Promise.reject(new ExecutorExit('executor is being closed', false));
    if (this.pending.length > 0 && !this.takesAhead) throw new Error('an executor runs one batch, and takes one ahead');
    return new Promise((resolve, reject) => {
      const isAhead = this.pending.length > 0;
      const owned = inputs.map(ownMemory);
      const message: RunMessage = { run: owned, number: this.count + 1 };
      const buffers = owned.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
      // What cannot be sent rejects the promise, and nothing is pending.
      this.worker.postMessage(message, [...new Set(buffers)]);
      this.count += 1;
      this.pending.push({ number: this.count, isAhead, resolve, reject });
      if (!isAhead) this.runningSince = performance.now();
    });
  }

  takeBack(): boolean {
    const [, ahead] = this.pending;
    if (ahead === undefined) return true;
    const { number } = ahead;
    if (Atomics.compareExchange(this.progress, 0, number - 1, number) !== number - 1) return false;
    this.pending.pop();
    ahead.reject(new RunTakenBack('taken back'));
    return true;
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.takeBack();
    // A thread that is ended in the middle of a run ends the process with it: the binding throws into what is gone.
    if (this.pending.length > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
    await this.worker.terminate();
  }

  private settle(answer: ExecutorAnswer): void {
    if (answer.kind === 'done') {
      const { outputs, seconds, nonfiniteElements, spent } = answer;
      for (const buffer of spent) MEMORY.give(buffer);
      this.finish()?.resolve({ outputs, seconds, nonfiniteElements });
    } else if (answer.kind === 'failed') {
      const error = this.errorOf(answer.message);
      this.finish()?.reject(error);
    }
  }

  protected errorOf(message: string): RunError {
    return new RunError(message);
  }

  protected finish(): PendingRun | undefined {
    const run = this.pending.shift();
    this.runningSince = this.pending.length > 0 ? performance.now() : undefined;
    if (this.pending.length === 0) this.onIdle?.();
    return run;
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
