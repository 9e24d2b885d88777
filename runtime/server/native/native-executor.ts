import { RunError, type Executor, type ExecutorOptions } from '../executor';
import { startThread, WorkerExecutor, type ExecutorThread } from '../worker-executor';
import type { SessionHandle } from './native-session';
import { startNativeRuntime, type NativeRuntime } from './native-runtime';
import { createRunOptions } from './session-options';
import { shareSession } from './shared-session';

/**
 * Starts a thread that runs the session which all executors of these options share, through ONNX Runtime's C interface.
 * The thread blocks in the run, as a worker's does; nothing waits in the pool of libuv, which file system and name
 * look-ups need.
 * @param workerUrl The server's bundle, which is its own worker.
 * @throws SessionError or ExecutorExit; any other error when this machine cannot run native executors at all.
 */
export async function startNativeExecutor(workerUrl: URL, options: ExecutorOptions): Promise<Executor> {
  const runtime = await startNativeRuntime(workerUrl);
  const session = await shareSession(runtime, options);
  const runOptions = createRunOptions(runtime.api, options);
  const { inputs, outputs } = session;
  const handle: SessionHandle = {
    session: session.session,
    runOptions,
    cpuMemory: runtime.cpuMemory,
    inputs,
    outputs,
  };
  const release = async (): Promise<void> => {
    runtime.api.release.ReleaseRunOptions(runOptions);
    await session.release();
  };
  try {
    const thread = await startThread(workerUrl, {
      slipwayExecutor: options,
      native: { libraryPath: runtime.libraryPath, handle },
    });
    return new NativeExecutor(runtime, runOptions, thread, release);
  } catch (error) {
    await release();
    throw error;
  }
}

export { startNativeRuntime };

class NativeExecutor extends WorkerExecutor {
  private isInterrupted = false;
  private readonly released: Promise<void>;

  /** @param release Gives up what the thread runs on, for as long as it lives and however it ends. */
  constructor(
    private readonly runtime: NativeRuntime,
    private readonly runOptions: bigint,
    thread: ExecutorThread,
    release: () => Promise<void>,
  ) {
    super('native', thread);
    // After the current run has been settled, which is the last to touch the run options.
    this.released = thread.exit.then(release);
  }

  /** While a run is being interrupted, the flag would reach the next one, too. */
  override get takesAhead(): boolean {
    return super.takesAhead && !this.isInterrupted;
  }

  /** Takes effect before the next operator of the graph, those of loop bodies included; an operator itself goes on. */
  interrupt(): void {
    if (this.runningSince === undefined || this.isInterrupted) return;
    // If the run ahead has begun, the one to interrupt is over.
    if (!this.takeBack()) return;
    this.isInterrupted = true;
    this.runtime.api.call.RunOptionsSetTerminate(this.runOptions);
  }

  override async close(): Promise<void> {
    this.isClosing = true;
    // A thread that ends within a run leaves that run's values behind.
    this.interrupt();
    await super.close();
    await this.released;
  }

  protected override errorOf(message: string): RunError {
    return this.isInterrupted ? new RunError('interrupted') : super.errorOf(message);
  }

  // The thread is between two runs here, so the flag cannot reach a run that it is not meant for.
  protected override finish(): ReturnType<WorkerExecutor['finish']> {
    if (this.isInterrupted) {
      this.runtime.api.call.RunOptionsUnsetTerminate(this.runOptions);
      this.isInterrupted = false;
    }
    return super.finish();
  }
}
