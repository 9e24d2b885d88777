// Work that waits in a queue or lies in a bucket, answered by the inference server of the same image.
import { runBatch } from './batch-run.js';
import { ByteBudget } from './byte-budget.js';
import type { InferenceTools } from './infer-and-store.js';
import { openSqs } from './message-queue.js';
import { openS3 } from './object-store.js';
import { startOwnServer } from './own-server.js';
import { QueueWorker } from './queue-worker.js';
import { ServerClient } from './server-client.js';
import { workerLog } from './worker-log.js';
import { readOptions, USAGE, UsageError, type BatchOptions, type QueueOptions } from './worker-options.js';

/** More than one whole input and one whole answer fit nowhere: the container has memory for these. */
function toolsFor(options: QueueOptions | BatchOptions, stopping: AbortSignal): Promise<InferenceTools> {
  const { server: url, requestDeadlineSeconds, maxBodyBytes } = options;
  const server = new ServerClient({ url, requestDeadlineSeconds, answers: new ByteBudget(maxBodyBytes) });
  const inputPlaces = options.kind === 'queue' ? options.inputs : [options.inputs];
  return openS3(process.env).then((store) => ({
    server,
    store,
    inputs: new ByteBudget(maxBodyBytes),
    maxBodyBytes,
    inputPlaces,
    signal: stopping,
  }));
}

const log = workerLog((line) => void process.stdout.write(line));

/** Left for the last result to be stored, once the server has ended its requests. */
const STORE_SECONDS = 3;

async function workOnQueue(options: QueueOptions): Promise<number> {
  const worker = new QueueWorker({
    ...options,
    queue: await openSqs(options.queueUrl),
    tools: await toolsFor(options, new AbortController().signal),
    graceSeconds: options.requestDeadlineSeconds + STORE_SECONDS,
    log,
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => worker.stop());
  log('info', 'waiting for messages', { concurrency: options.concurrency });
  await worker.run();
  return 0;
}

async function workOnBatch(options: BatchOptions): Promise<number> {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  const tools = await toolsFor(options, stopping.signal);
  const server = await startOwnServer(new URL('server.mjs', import.meta.url), tools.server, stopping.signal);
  try {
    const summary = await Promise.race([runBatch(options, tools, log), server.ended]);
    log('info', stopping.signal.aborted ? 'interrupted' : 'done', { ...summary });
    return summary.failed === 0 && !stopping.signal.aborted ? 0 : 1;
  } finally {
    await server.stop();
  }
}

try {
  const options = readOptions(process.argv.slice(2), process.env);
  process.exit(await (options.kind === 'queue' ? workOnQueue(options) : workOnBatch(options)));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`error: ${isUsage ? `${error.message}\n${USAGE}` : String(error)}\n`);
  process.exit(isUsage ? 2 : 1);
}
