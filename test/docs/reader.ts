import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { TestContext } from 'vitest';
import { canImport } from '../support/python';
import { findTool, toolOnPath } from '../support/tools';
import { isShown, type ShownCommand } from './console-blocks';

const ROOT = join(__dirname, '../..');
const BIN = join(ROOT, 'dist/runtime/cli/bin.js');
const ANY_PORTS = ['--http-port', '0', '--grpc-port', '0', '--metrics-port', '0'];
/** The ports that pages speak of, by what the log calls them. */
const PORTS: Readonly<Record<string, string>> = {
  '8080': 'httpPort',
  '8081': 'grpcPort',
  '8082': 'metricsPort',
  '8083': 'adminPort',
};
/** What a page says of a moment later is waited for. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 100;

type Addresses = Readonly<Record<string, number>>;

interface Finished {
  readonly status: number;
  /** Both streams, as a terminal shows them. */
  readonly printed: string;
}

/**
 * Somebody who types what a page shows, in the checkout, one command after the other. `.slipway/` lies in a temporary folder, a
 * server is on any free ports, and the one before it is ended first.
 */
export class Reader {
  private readonly temporary = mkdtempSync(join(tmpdir(), 'slipway-docs-'));
  /** Not there before the page makes it, as in a new clone. */
  private readonly folder = join(this.temporary, '.slipway');
  private server: ChildProcess | undefined;
  private addresses: Addresses = {};
  private hasFailed = false;

  /** @param longestMs after which a command is ended, so that none outlives its test */
  constructor(private readonly longestMs = 60_000) {}

  /** Types one command. @throws Error when it fails or prints something else than the page says, or one before it did. */
  async type(shown: ShownCommand, context: TestContext): Promise<void> {
    if (this.hasFailed) throw new Error('a command before this one failed');
    context.onTestFailed(() => {
      this.hasFailed = true;
    });
    await this.tryOut(shown, context);
  }

  async leave(): Promise<void> {
    await this.endServer();
    rmSync(this.temporary, { recursive: true });
  }

  private async tryOut({ command, output }: ShownCommand, context: TestContext): Promise<void> {
    if (/^npx slipway serve\b/.test(command)) return this.serve(this.words(command));
    const line = this.lineOf(command, context);
    const isQuestion = /^curl -s(?! .*(-X|-d|--data))/.test(command);
    const until = Date.now() + (isQuestion ? PATIENCE_MS : 0);
    for (;;) {
      const { status, printed } = await run(line, this.longestMs);
      const isRight = status === 0 && (output === '' || isShown(output, printed));
      if (isRight) return;
      if (Date.now() >= until) throw new Error(`exit status ${status}, printed:\n${printed}\nshown:\n${output}`);
      await wait(PAUSE_MS);
    }
  }

  private lineOf(command: string, context: TestContext): string {
    const [program] = command.split(' ');
    if (program === 'curl' && toolOnPath('curl') === undefined) context.skip('no curl on the PATH');
    if (program === 'openssl' && toolOnPath('openssl') === undefined) context.skip('no openssl on the PATH');
    const python = program === 'python' ? pythonWithTritonclient() : '';
    if (python === undefined) context.skip('no python3 can import tritonclient');
    return this.inFolder(command)
      .replace(/\bnpx slipway\b/g, `'${process.execPath}' '${BIN}'`)
      .replace(/^python\b/, `'${python}'`)
      .replace(/\b(localhost|127\.0\.0\.1):(808[0-3])\b/g, (_, host: string, port: string) => {
        return `${host}:${this.addresses[PORTS[port]!]}`;
      });
  }

  private words(command: string): readonly string[] {
    const words = this.inFolder(command)
      .split(/[\s\\]+/)
      .slice(3);
    return words.map((word) => (word === '8083' ? '0' : word));
  }

  private inFolder(command: string): string {
    return command.replaceAll('$PWD/.slipway/', `${this.folder}/`).replace(/(?<![\w/])\.slipway\//g, `${this.folder}/`);
  }

  private async serve(words: readonly string[]): Promise<void> {
    await this.endServer();
    const server = spawn(process.execPath, [BIN, 'serve', ...words, ...ANY_PORTS], { cwd: ROOT, env: environment() });
    this.server = server;
    let log = '';
    const ready = new Promise<void>((resolve, reject) => {
      for (const stream of [server.stdout, server.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          log += text;
          if (log.includes('"msg":"ready"')) resolve();
        });
      }
      server.once('close', () => reject(new Error(log)));
    });
    await ready;
    const listening = log.split('\n').find((line) => line.includes('"msg":"listening"'))!;
    this.addresses = JSON.parse(listening) as Addresses;
  }

  /** Ctrl-C, as the page says. */
  private async endServer(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    if (server.exitCode !== null) return;
    const closed = once(server, 'close');
    server.kill('SIGINT');
    const [status] = (await closed) as [number | null];
    if (status !== 0) throw new Error(`the server ended with ${status}`);
  }
}

function run(line: string, timeout: number): Promise<Finished> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: environment(), encoding: 'utf8', timeout } as const;
    execFile('sh', ['-c', `{ ${line}\n} 2>&1`], options, (error, printed) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, printed });
    });
  });
}

function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SLIPWAY_')));
}

let python: string | undefined | null = null;

function pythonWithTritonclient(): string | undefined {
  if (python === null) {
    const candidates = [join(ROOT, '.venv/bin/python'), findTool('python3')];
    python = candidates.find(
      (path) => path !== undefined && canImport(path, ['tritonclient.http', 'tritonclient.grpc', 'numpy']),
    );
  }
  return python;
}
