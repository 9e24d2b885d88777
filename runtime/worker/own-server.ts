import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServerClient } from './server-client';

export interface OwnServer {
  /** Rejects when the server ends by itself. */
  readonly ended: Promise<never>;
  stop(): Promise<void>;
}

/** Longer than a server may take to say why it cannot start. */
const STOP_MS = 30_000;

/**
 * Starts the inference server in a process of its own, where no other container runs it. It has this process's environment
 * and writes into its log.
 * @throws Error when it ends before it is ready.
 */
export async function startOwnServer(bundle: URL, client: ServerClient, signal: AbortSignal): Promise<OwnServer> {
  const child = spawn(process.execPath, [fileURLToPath(bundle)], { stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = once(child, 'exit');
  const ended = exited.then(([code]) => {
    throw new Error(`the server ended with code ${String(code)}`);
  });
  // Whoever waits for it hears of it; after a stop nobody does.
  ended.catch(() => {});
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const patience = new AbortController();
    const late = wait(STOP_MS, undefined, { signal: patience.signal }).then(
      () => void child.kill('SIGKILL'),
      () => {},
    );
    await exited;
    patience.abort();
    await late;
  };
  try {
    await Promise.race([client.waitUntilReady(signal), ended]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return { ended, stop };
}
