import { execFile } from 'node:child_process';
import { CliError } from '../cli-error';

export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** One question; kubectl itself gives up a little before it is ended. */
const REQUEST_SECONDS = 15;
const MAX_ANSWER_BYTES = 64 * 2 ** 20;

/** kubectl could not do it; the message is its own, in one line. */
export class KubectlError extends CliError {}

/** kubectl, against the one cluster that somebody named. */
export class Kubectl {
  readonly #choice: readonly string[];

  constructor({ kubeconfig, context }: ClusterChoice) {
    this.#choice = [
      ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
      ...(context === undefined ? [] : [`--context=${context}`]),
      `--request-timeout=${REQUEST_SECONDS}s`,
    ];
  }

  /** @throws KubectlError */
  run(
    args: readonly string[],
    { input, seconds = 2 * REQUEST_SECONDS }: { input?: string; seconds?: number } = {},
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        'kubectl',
        [...this.#choice, ...args],
        { timeout: seconds * 1_000, killSignal: 'SIGKILL', maxBuffer: MAX_ANSWER_BYTES },
        (error, stdout, stderr) => {
          if (error === null) return resolve(stdout);
          const said = stderr.trim().split('\n').at(-1) || error.message.split('\n')[0]!;
          reject(new KubectlError(said.replace(/^error: /i, '')));
        },
      );
      // It may be gone before it has read anything.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input ?? '');
    });
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as T;
  }

  /** An answer of the API server as it is. @throws KubectlError */
  async raw<T>(path: string): Promise<T> {
    return JSON.parse(await this.run(['get', '--raw', path])) as T;
  }
}
