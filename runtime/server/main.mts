// The process in the container, and what `slipway serve` imports. The bundle of this file is its own worker: a thread that
// is started with an executor's data runs an executor, and loads nothing of the server.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { isExecutorWorkerData } from './executor-messages.js';
import { turnTelemetryOff } from './settings.js';

turnTelemetryOff();
if (!isMainThread && isExecutorWorkerData(workerData)) {
  const { runExecutorWorker } = await import('./executor-worker.js');
  await runExecutorWorker(parentPort!, workerData);
} else {
  const { serve } = await import('./serve.mjs');
  await serve(new URL(import.meta.url));
}
