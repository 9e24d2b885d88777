import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { bundleServer } from '../../server/harness/server-bundle';
import { until } from '../../server/harness/until';

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly stderr: () => string;
  readonly waitFor: (message: string) => Promise<Readonly<Record<string, unknown>>>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/**
 * The bundled worker in a process of its own, as the image runs it. It is killed with the test if it still runs.
 * @param name The program of the image that is started.
 */
export async function startWorker(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  name: 'worker.mjs' | 'server.mjs' = 'worker.mjs',
): Promise<WorkerProcess> {
  const program = fileURLToPath(new URL(name, await bundleServer()));
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const log: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => log.push(JSON.parse(line) as Record<string, unknown>));
  const exited = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  const waitFor = async (message: string): Promise<Record<string, unknown>> => {
    const find = (): Record<string, unknown> | undefined => log.find(({ msg }) => msg === message);
    await until(message, () => find() !== undefined);
    return find()!;
  };
  return { child, log, stderr: () => stderr, waitFor, exited };
}
