import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { Cancellation } from '../cancellation';
import { ServerError } from '../errors';
import { ModelError } from '../model-error';
import type { HookAnswer, HookCall, HookOptions, HookWorkerData, OpenedHooks } from './hook-messages';
import { movable } from './movable-tensor';

/** Starts a thread that answers hook calls. */
export type StartHooks = (options: HookOptions) => Worker;

/** JavaScript heap of a thread of hooks; tensors lie outside of it. */
const HEAP_MIB = 256;
const MAX_OUTPUT_CHARACTERS = 2_000;

/** @param workerUrl The server's bundle, which is its own worker. */
export function startHookWorker(workerUrl: URL, options: HookOptions): Worker {
  const workerData: HookWorkerData = { slipwayHooks: options };
  // No environment: the server's holds keys.
  return new Worker(workerUrl, {
    workerData,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
    // The server's own output is a log of JSON lines.
    stdout: true,
    stderr: true,
  });
}

export interface HookThreadOptions {
  readonly start: StartHooks;
  readonly hooks: HookOptions;
  /** Longest time of one call. */
  readonly seconds: number;
  /** Calls that may wait. */
  readonly maxWaiting: number;
  readonly log: Logger;
}

interface WaitingCall {
  readonly call: HookCall;
  readonly resolve: (tensors: readonly Tensor[]) => void;
  readonly reject: (error: Error) => void;
}

/** How one call of the thread ended. */
type Ending =
  Exclude<HookAnswer, { kind: 'opened' | 'refused' }> | { readonly kind: 'late' | 'gone'; readonly message: string };

/**
 * One thread that runs a model's hooks, one call at a time, so that a call that takes too long is known by name. Such a call
 * fails, its thread is ended, and the next call gets a new one.
 */
export class HookThread {
  private readonly waiting: WaitingCall[] = [];
  private worker: Worker | undefined;
  private isBusy = false;
  private isClosed = false;

  constructor(private readonly options: HookThreadOptions) {}

  /** @throws ModelError when the module cannot be loaded or exports nothing that could be run. */
  async open(): Promise<OpenedHooks> {
    const answer = await this.start();
    if (answer.kind === 'opened') return answer;
    throw new ModelError(`hooks cannot be loaded: ${answer.message}`);
  }

  /**
   * @throws ServerError HOOK_FAILED, INPUT_INVALID when the hook declines the request, QUEUE_FULL, or the reason of the
   * cancellation.
   */
  call(call: HookCall, cancellation: Cancellation): Promise<readonly Tensor[]> {
    const { maxWaiting } = this.options;
    if (this.waiting.length >= maxWaiting) {
      return Promise.reject(new ServerError('QUEUE_FULL', `${maxWaiting} requests wait for the hooks of the model`));
    }
    return new Promise((resolve, reject) => {
      const waiting: WaitingCall = { call, resolve, reject };
      this.waiting.push(waiting);
      cancellation.onCancel((reason) => {
        const i = this.waiting.indexOf(waiting);
        if (i >= 0) this.waiting.splice(i, 1);
        reject(reason);
      });
      void this.pump();
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const gone = new ServerError('MODEL_NOT_READY', 'the model is being unloaded');
    for (const { reject } of this.waiting.splice(0)) reject(gone);
    await this.worker?.terminate();
  }

  private async pump(): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
        const ending = await this.run(next.call);
        if (ending.kind === 'done') next.resolve(ending.tensors);
        else next.reject(errorOf(next.call, ending));
      }
    } finally {
      this.isBusy = false;
    }
  }

  private async run(call: HookCall): Promise<Ending> {
    if (this.isClosed) return { kind: 'gone', message: 'the model is being unloaded' };
    if (this.worker === undefined) {
      const answer = await this.start();
      if (answer.kind === 'refused') return { kind: 'failed', message: answer.message };
    }
    const ending = await this.send(this.worker!, call);
    if (ending.kind === 'late' || ending.kind === 'gone') {
      this.options.log.warn({ stage: call.stage, reason: ending.message }, 'the thread of the hooks is started anew');
      const { worker } = this;
      this.worker = undefined;
      if (ending.kind === 'late') void worker?.terminate();
    }
    return ending;
  }

  private send(worker: Worker, call: HookCall): Promise<Ending> {
    const { seconds } = this.options;
    return new Promise((resolve) => {
      const end = (ending: Ending): void => {
        clearTimeout(timer);
        worker.off('message', onMessage);
        worker.off('error', onError);
        worker.off('exit', onExit);
        resolve(ending);
      };
      const onMessage = (answer: HookAnswer): void => end(answer as Ending);
      const onError = (error: Error): void => end({ kind: 'gone', message: `its thread ended: ${error.message}` });
      const onExit = (code: number): void => end({ kind: 'gone', message: `its thread ended with exit code ${code}` });
      const late = { kind: 'late', message: `it did not finish within ${seconds} s` } as const;
      const timer = setTimeout(() => end(late), seconds * 1_000);
      worker.on('message', onMessage);
      worker.on('error', onError);
      worker.on('exit', onExit);
      // Outputs may lie in memory of the runtime, which does not move.
      const { tensors, transfer } = movable(call.tensors, call.stage === 'preprocess');
      worker.postMessage({ ...call, tensors } satisfies HookCall, transfer);
    });
  }

  /** Loading the module counts as a call: it ends with the same deadline. */
  private async start(): Promise<Extract<HookAnswer, { kind: 'opened' | 'refused' }>> {
    const { start, hooks, seconds, log } = this.options;
    const worker = start(hooks);
    for (const stream of [worker.stdout, worker.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log.info({ output: chunk.toString('utf8').trimEnd().slice(0, MAX_OUTPUT_CHARACTERS) }, 'hooks wrote');
      });
    }
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Extract<HookAnswer, { kind: 'opened' | 'refused' }>>((resolve) => {
      const refuse = (message: string): void => resolve({ kind: 'refused', message });
      timer = setTimeout(() => refuse(`the module was not loaded within ${seconds} s`), seconds * 1_000);
      worker.once('message', resolve);
      worker.once('error', (error) => refuse(`its thread ended: ${error.message}`));
      worker.once('exit', (code) => refuse(`its thread ended with exit code ${code}`));
    });
    clearTimeout(timer);
    // An error between two calls has nobody to tell; the exit that follows is seen by the next one.
    worker.on('error', () => {});
    worker.once('exit', () => {
      if (this.worker === worker) this.worker = undefined;
    });
    if (answer.kind === 'opened' && !this.isClosed) this.worker = worker;
    else void worker.terminate();
    return answer;
  }
}

function errorOf({ stage }: HookCall, ending: Exclude<Ending, { kind: 'done' }>): ServerError {
  if (ending.kind === 'declined') return new ServerError('INPUT_INVALID', ending.message);
  return new ServerError('HOOK_FAILED', `${stage} of the model failed: ${ending.message}`);
}
