import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATHS } from '../spec/endpoints';
import { RemediedError } from './remedied-error';

export interface LocalServerOptions {
  /** The server bundle, `dist/server.mjs`. */
  readonly bundle: string;
  /** Every `SLIPWAY_` variable it gets; those of this process are kept from it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly httpPort: number;
  /** Where its log goes. */
  readonly logFile: string;
}

/** The server of the image as a child process. */
export class LocalServer {
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | NodeJS.Signals>;
  readonly url: string;
  /** True once somebody asked it to stop. */
  stopping = false;

  constructor(private readonly options: LocalServerOptions) {
    this.url = `http://127.0.0.1:${options.httpPort}`;
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SLIPWAY_'));
    const log = openSync(options.logFile, 'w');
    this.child = spawn(process.execPath, [options.bundle], {
      env: { ...Object.fromEntries(inherited), ...options.environment },
      stdio: ['ignore', log, log],
      // A group of its own: Ctrl-C in the terminal reaches us alone, and the server is told to drain exactly once.
      detached: true,
    });
    closeSync(log);
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
    });
    // Somebody waits for it later; until then a failed spawn must not end this process.
    this.ended.catch(() => undefined);
    process.once('exit', () => this.child.kill('SIGKILL'));
  }

  /** Seconds from start to ready. */
  async waitUntilReady(budgetSeconds: number): Promise<number> {
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1_000;
    while (elapsed() < budgetSeconds) {
      if (await this.isReady()) return elapsed();
      const ended = await Promise.race([this.ended, sleep(100)]);
      if (ended !== undefined) throw this.failure(`the server ended with ${ended} before it was ready`);
    }
    throw this.failure(`the server was not ready within its startup budget of ${budgetSeconds} s`);
  }

  /** Asks the server to drain; a second call makes it end at once. */
  stop(): void {
    this.stopping = true;
    this.child.kill('SIGTERM');
  }

  /** Drains instead of leaving a server behind when this process is interrupted. */
  stopOnSignals(announce: () => void): void {
    let last = -Infinity;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        // One Ctrl-C may come twice: from the terminal, and passed on by npm.
        if (performance.now() - last < 500) return;
        last = performance.now();
        announce();
        this.stop();
      });
    }
  }

  /** Exit status, or the signal that ended it. */
  waitForEnd(): Promise<number | NodeJS.Signals> {
    return this.ended;
  }

  private async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}${PATHS.ready}`, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }

  private failure(message: string): RemediedError {
    const lines = readFileSync(this.options.logFile, 'utf8').trimEnd().split('\n').slice(-5);
    return new RemediedError(
      `${message}; its last lines:\n${lines.join('\n')}`,
      `the whole log is ${this.options.logFile}`,
    );
  }
}

/** The port itself when nobody listens on it, else any free one. */
export async function freePort(wanted: number): Promise<number> {
  return (await listenOnce(wanted)) ?? (await listenOnce(0))!;
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      port !== 0 && (error.code === 'EADDRINUSE' || error.code === 'EACCES') ? resolve(undefined) : reject(error),
    );
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}
