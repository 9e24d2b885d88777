import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { bundleServer } from './server-bundle';
import { temporaryFolder } from './model-repository';
import type { LogLine } from './running-server';

export interface ServerProcess {
  readonly child: ChildProcess;
  readonly log: readonly LogLine[];
  /** Everything on standard error so far. */
  readonly stderr: () => string;
  /** Resolves with the first log line with this message, past or future; rejects when the process ends before it. */
  readonly waitFor: (message: string) => Promise<LogLine>;
  readonly waitForLine: (matches: (line: LogLine) => boolean) => Promise<LogLine>;
  /** Resolves with the URL of the HTTP port. */
  readonly url: () => Promise<string>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/**
 * The bundle in a process of its own. It is killed with the test if it still runs.
 * @param wrapper A command that runs the command that follows it, in its own place: signals must reach the server.
 */
export async function startServerProcess(
  environment: Readonly<Record<string, string>>,
  bundleUrl?: URL,
  wrapper: readonly string[] = [],
): Promise<ServerProcess> {
  const bundle = fileURLToPath(bundleUrl ?? (await bundleServer()));
  const command = [...wrapper, process.execPath, bundle];
  const child = spawn(command[0]!, command.slice(1), {
    env: {
      PATH: process.env['PATH'],
      HOME: temporaryFolder(),
      SLIPWAY_HTTP_PORT: '0',
      SLIPWAY_GRPC_PORT: '0',
      SLIPWAY_METRICS_PORT: '0',
      SLIPWAY_INTRA_OP_THREADS: '1',
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      SLIPWAY_CACHE_DIRECTORY: temporaryFolder(),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const log: LogLine[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const waiting = new Set<(line: LogLine | undefined) => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    for (const take of waiting) take(line);
  });
  const exited = once(child, 'close').then(([code, signal]) => {
    for (const take of waiting) take(undefined);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  const waitForLine = (matches: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const past = log.find(matches);
      if (past !== undefined) return resolve(past);
      const fail = (): void => reject(new Error(`the server ended before it wrote the line: ${stderr}`));
      if (child.exitCode !== null) return fail();
      const take = (line: LogLine | undefined): void => {
        if (line !== undefined && !matches(line)) return;
        waiting.delete(take);
        if (line === undefined) fail();
        else resolve(line);
      };
      waiting.add(take);
    });
  const waitFor = (message: string): Promise<LogLine> => waitForLine(({ msg }) => msg === message);
  return {
    child,
    log,
    stderr: () => stderr,
    waitFor,
    waitForLine,
    url: async () => `http://127.0.0.1:${String((await waitFor('listening'))['httpPort'])}`,
    exited,
  };
}
