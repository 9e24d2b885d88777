// The process in the container, and what `slipway serve` imports. The bundle of this file is its own worker: a thread that
// is started with an executor's data runs an executor, one with a model's hooks runs those, and neither loads the server.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { isExecutorWorkerData } from './executor-messages.js';
import { isHookWorkerData } from './hooks/hook-messages.js';
import { turnTelemetryOff } from './settings.js';

turnTelemetryOff();
if (!isMainThread && isExecutorWorkerData(workerData)) {
  const { runExecutorWorker } = await import('./executor-worker.js');
  await runExecutorWorker(parentPort!, workerData);
} else if (!isMainThread && isHookWorkerData(workerData)) {
  const { runHookWorker } = await import('./hooks/hook-worker.js');
  await runHookWorker(parentPort!, workerData);
} else if (process.argv[2] === 'batch') {
  // AWS Batch takes a command for a container and no entry point, so the image's own begins here for a job as well: its
  // worker, which starts the server by itself. Other arguments mean nothing; SageMaker gives some.
  await import(new URL('worker.mjs', import.meta.url).href);
} else {
  const { serve } = await import('./serve.mjs');
  await serve(new URL(import.meta.url));
}
