import type { Logger } from 'pino';
import type { StartExecutor } from '../executor';
import { startWorkerExecutor } from '../worker-executor';

/**
 * Starts executors of either kind. Where this machine cannot run native ones (koffi is not installed, or ONNX Runtime
 * does not answer as it should), a worker takes their place; the log says so once.
 * @param workerUrl The server's bundle, which is its own worker.
 */
export function startNativeOrWorker(workerUrl: URL, log: Logger): StartExecutor {
  let hasWarned = false;
  return async (options) => {
    if (options.kind !== 'native') return startWorkerExecutor(workerUrl, options);
    const { startNativeExecutor, startNativeRuntime } = await import('./native-executor.js');
    const failure = await startNativeRuntime(workerUrl).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (failure === undefined) return startNativeExecutor(workerUrl, options);
    if (!hasWarned) log.warn({ reason: failure }, 'native executors cannot run here, workers take their place');
    hasWarned = true;
    return startWorkerExecutor(workerUrl, { ...options, kind: 'worker' });
  };
}
