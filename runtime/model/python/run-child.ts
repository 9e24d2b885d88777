import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { clearAwayAtEnd } from '../clear-away';

export interface ChildOptions {
  /** The whole environment of the child: nothing of this process's is added. */
  readonly environment: NodeJS.ProcessEnv;
  /** @default - the current directory */
  readonly directory?: string;
  /** One line of text. Standard input stays open behind it until the child ends. @default - standard input is empty */
  readonly request?: string;
  /** Each line of standard output. */
  readonly onLine?: (line: string) => void;
  /** Each line of standard error. */
  readonly onErrorLine?: (line: string) => void;
  /** Ends the child and all that it started. */
  readonly signal?: AbortSignal | undefined;
  /** Past it the child and all that it started are killed. */
  readonly timeoutSeconds: number;
}

export interface ChildEnd {
  readonly exitCode: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** What it said last, on either stream. */
  readonly lastLines: readonly string[];
}

const LAST_LINES = 15;
/** A result is a few kilobytes, tensors travel in files. */
const MAX_LINE_CHARACTERS = 8 * 1_048_576;
/** A grandchild that left the group may hold the pipes open for ever. */
const PIPE_SECONDS_AFTER_EXIT = 2;

/**
 * Runs a program in a group of processes of its own, so that what it started ends with it.
 * @throws what the system says where it cannot be started, and the reason of `signal` where that came first
 */
export async function runChild(program: string, args: readonly string[], options: ChildOptions): Promise<ChildEnd> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    cwd: options.directory,
    env: options.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended, and so has everything that it started.
    }
  };
  // In a group of its own, a signal to ours does not reach it, and not every program watches who reads what it writes.
  const ended = clearAwayAtEnd(killGroup);
  const lastLines: string[] = [];
  const hear = (onLine?: (line: string) => void) => (line: string) => {
    onLine?.(line);
    lastLines.push(line);
    if (lastLines.length > LAST_LINES) lastLines.shift();
  };
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    killGroup();
  };
  splitLines(child.stdout, hear(options.onLine), fail);
  splitLines(child.stderr, hear(options.onErrorLine), fail);
  // A child that ends without reading is told apart by its exit code.
  child.stdin.on('error', () => {});
  if (options.request === undefined) child.stdin.end();
  else child.stdin.write(`${options.request}\n`);

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, options.timeoutSeconds * 1_000);
  const onAbort = (): void => fail(options.signal!.reason as Error);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  child.once('exit', () => {
    child.stdin.destroy();
    killGroup();
    const streams = setTimeout(
      () => [child.stdout, child.stderr].forEach((stream) => stream.destroy()),
      PIPE_SECONDS_AFTER_EXIT * 1_000,
    );
    child.once('close', () => clearTimeout(streams));
  });
  try {
    const [exitCode, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...end) => resolve(end));
    });
    if (failure !== undefined) throw failure;
    return { exitCode, killedBy, timedOut, lastLines };
  } finally {
    ended();
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void, fail: (error: Error) => void): void {
  const decoder = new StringDecoder('utf8');
  const guarded = (line: string): void => {
    try {
      onLine(line);
    } catch (error) {
      fail(error as Error);
    }
  };
  let rest: string[] = [];
  let restLength = 0;
  stream.on('data', (bytes: Buffer) => {
    const lines = decoder.write(bytes).split('\n');
    const last = lines.pop()!;
    if (lines.length > 0) {
      [rest.join('') + lines.shift()!, ...lines].forEach(guarded);
      rest = [];
      restLength = 0;
    }
    rest.push(last);
    restLength += last.length;
    if (restLength > MAX_LINE_CHARACTERS) {
      fail(new Error(`wrote a line of more than ${MAX_LINE_CHARACTERS} characters`));
    }
  });
  stream.on('end', () => {
    const line = rest.join('');
    if (line !== '') guarded(line);
  });
}
