import { performance } from 'node:perf_hooks';
import { SpecError } from '../spec/errors.js';
import { StartupError } from './errors.js';
import { startHookWorker } from './hooks/hook-thread.js';
import { createOutput } from './log.js';
import { nativeOrWorker } from './native/native-or-worker.js';
import { buildServer, type InferenceServer } from './server.js';
import { readSettings } from './settings.js';

/**
 * Serves until a signal ends it.
 * @param workerUrl The module that executors' threads run.
 */
export async function serve(workerUrl: URL): Promise<void> {
  await start(workerUrl).catch(fail);
}

async function start(workerUrl: URL): Promise<void> {
  const settings = readSettings();
  const output = createOutput(settings);
  const server = buildServer({
    settings,
    ...output,
    ...nativeOrWorker(workerUrl, output.log),
    startHooks: (options) => startHookWorker(workerUrl, options),
  });
  drainOnSignals(server);
  await server.listen();
  await server.load().catch((error: unknown) => {
    // A drain that begins during the start ends it; what it ends with is the drain's to say.
    if (server.isDraining) return;
    fail(error, server);
  });
}

/** The same Ctrl-C may come twice: from the terminal, and from npm or a shell that passes it on. */
const SAME_SIGNAL_MS = 300;

function drainOnSignals(server: InferenceServer): void {
  let firstAt: number | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        void drain(server);
      } else if (now - firstAt > SAME_SIGNAL_MS) {
        void abandon(server);
      }
    });
  }
}

/** Set by the first that gives up: what it ends, a drain that still waits must not call its own success. */
let isAbandoned = false;

async function drain(server: InferenceServer): Promise<void> {
  const isDone = await server.drain();
  if (isAbandoned) return;
  if (!isDone) return abandon(server);
  await server.close();
  process.exit(0);
}

/** `process.exit` waits for a run that cannot be interrupted: only SIGKILL ends the process for certain. */
async function abandon(server: InferenceServer): Promise<void> {
  isAbandoned = true;
  if (await server.abandon()) process.exit(1);
  process.kill(process.pid, 'SIGKILL');
}

function fail(error: unknown, server?: InferenceServer): void {
  const isExpected = error instanceof StartupError || SpecError.is(error);
  const line = isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`error: ${line}\n`);
  // As in `abandon`: a model that is being opened holds `process.exit` up.
  if (server?.isIdle === false) process.kill(process.pid, 'SIGKILL');
  process.exit(1);
}
