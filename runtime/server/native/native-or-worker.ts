import type { Logger } from 'pino';
import type { StartExecutor } from '../executor';
import type { ChooseExecutorKind } from '../plan-executors';
import { startWorkerExecutor } from '../worker-executor';

export interface NativeOrWorker {
  readonly executorKind: ChooseExecutorKind;
  readonly startExecutor: StartExecutor;
}

/**
 * Executors of either kind. Where this machine cannot run native ones (koffi is not installed, or ONNX Runtime does not
 * answer as it should), workers take their place; the log says so once.
 * @param workerUrl The server's bundle, which is its own worker.
 */
export function nativeOrWorker(workerUrl: URL, log: Logger): NativeOrWorker {
  let native: Promise<boolean> | undefined;
  const isNativePossible = async (): Promise<boolean> => {
    try {
      const { startNativeRuntime } = await import('./native-executor.js');
      await startNativeRuntime(workerUrl);
      return true;
    } catch (error) {
      const reason = (error as Error).message;
      log.warn({ reason }, 'native executors cannot run here, workers take their place');
      return false;
    }
  };
  return {
    executorKind: async (wanted) => {
      if (wanted === 'worker') return wanted;
      native ??= isNativePossible();
      return (await native) ? 'native' : 'worker';
    },
    startExecutor: async (options) => {
      if (options.kind !== 'native') return startWorkerExecutor(workerUrl, options);
      const { startNativeExecutor } = await import('./native-executor.js');
      return startNativeExecutor(workerUrl, options);
    },
  };
}
