import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ImageError } from './image-error';

/** A program and its arguments, as data: what a test compares and `runCommand` executes. Never a shell line. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** Added to the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default - the current directory */
  readonly directory?: string;
}

export interface RunOptions {
  /** Receives each line that the program writes, to either stream. @default - the lines are dropped */
  readonly log?: (line: string) => void;
  /** Past it the program is killed. */
  readonly timeoutSeconds: number;
}

// An inspect prints kilobytes; a program that prints more than this on its standard output is not answering us.
const MAX_OUTPUT_CHARACTERS = 4 * 1_048_576;
const LINES_IN_ERROR = 12;

/**
 * Runs a command to its end and returns its standard output.
 * @throws ImageError COMMAND_FAILED with the exit code and the last lines it wrote.
 */
export async function runCommand(command: Command, options: RunOptions): Promise<string> {
  const { program, args, environment, directory } = command;
  const written: string[] = [];
  let output = '';
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
    env: { ...process.env, ...environment },
    timeout: options.timeoutSeconds * 1_000,
    killSignal: 'SIGKILL',
  });
  const onLine = (line: string): void => {
    options.log?.(line);
    written.push(line);
    if (written.length > LINES_IN_ERROR) written.shift();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < MAX_OUTPUT_CHARACTERS) output += text;
  });
  // A grandchild may outlive a killed program and hold its pipes open: nothing it says is waited for.
  child.on('exit', (_code, signal) => {
    if (signal !== null) [child.stdout, child.stderr].forEach((stream) => stream.destroy());
  });
  const lines = [child.stdout, child.stderr].map((input) => createInterface({ input }).on('line', onLine));
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'ENOENT' ? 'is not on the PATH' : error.message;
      reject(new ImageError('COMMAND_FAILED', program, reason));
    });
    child.on('close', (...ended) => resolve(ended));
  }).finally(() => lines.forEach((reader) => reader.close()));
  if (exitCode !== 0) {
    const ending = signal === null ? `ended with exit code ${exitCode}` : `was stopped by ${signal}`;
    const limit = signal === 'SIGKILL' ? ` (its limit is ${options.timeoutSeconds} seconds)` : '';
    throw new ImageError(
      'COMMAND_FAILED',
      formatCommand(command),
      `${ending}${limit}\n${written.join('\n')}`.trimEnd(),
    );
  }
  return output;
}

/** For reading and pasting, not for executing: quoted where a shell would need it. */
export function formatCommand({ program, args }: Command): string {
  return [program, ...args]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
