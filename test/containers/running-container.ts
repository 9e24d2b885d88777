import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { toolOnPath } from '../support/tools';

const run = promisify(execFile);

/** A container of the server image under the restrictions that every deployment puts on it. */
export interface RunningContainer {
  /** Where port 8080 of the container is reached from here: `http://127.0.0.1:…`. */
  readonly url: string;
  /** The port of 127.0.0.1 at which port 8081 of the container is reached. */
  readonly grpcPort: number;
  /** Runs JavaScript inside the container and returns what it prints: there is no shell to ask. */
  evaluate(script: string): Promise<string>;
  /** Runs the image's own HEALTHCHECK and returns its exit code. */
  healthCheck(): Promise<number>;
  signal(name: 'SIGTERM'): Promise<void>;
  /** Waits for its end and returns the exit code. */
  exitCode(): Promise<number>;
  isRunning(): Promise<boolean>;
  logs(): Promise<string>;
  remove(): Promise<void>;
}

export interface StartContainerOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** Host directory → directory in the container, read-only. */
  readonly mounts: Readonly<Record<string, string>>;
}

const RESTRICTIONS = [
  '--read-only',
  ...['--tmpfs', '/tmp'],
  ...['--cap-drop', 'all'],
  ...['--security-opt', 'no-new-privileges'],
  // Podman asks for higher limits than its own by default, and a process without CAP_SYS_RESOURCE may only lower them.
  ...['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=4096:4096'],
];

/** Runs a program of the image until it ends, with these models below /models. Another exit code than 0 is an error. */
export async function runCommand(
  image: string,
  [program, ...args]: readonly [string, ...string[]],
  models: string,
): Promise<{ stdout: string; stderr: string }> {
  const entryPoint = ['--entrypoint', program, '--volume', `${models}:/models:ro`];
  return podman(['run', '--rm', '--network', 'none', ...RESTRICTIONS, ...entryPoint, image, ...args]);
}

export async function startContainer(image: string, options: StartContainerOptions): Promise<RunningContainer> {
  const { stdout } = await podman([
    'run',
    '--detach',
    ...RESTRICTIONS,
    ...['--publish', '127.0.0.1::8080', '--publish', '127.0.0.1::8081'],
    ...Object.entries(options.environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...Object.entries(options.mounts).flatMap(([from, to]) => ['--volume', `${from}:${to}:ro`]),
    image,
  ]);
  const id = stdout.trim().split('\n').at(-1)!;
  const address = async (port: number): Promise<string> => (await podman(['port', id, `${port}/tcp`])).stdout.trim();
  return {
    url: `http://${await address(8080)}`,
    grpcPort: Number((await address(8081)).split(':').at(-1)),
    evaluate: async (script) => (await podman(['exec', id, 'node', '-e', script])).stdout,
    healthCheck: async () =>
      podman(['healthcheck', 'run', id]).then(
        () => 0,
        (error: { code: number }) => error.code,
      ),
    signal: async (name) => void (await podman(['kill', '--signal', name, id])),
    exitCode: async () => Number((await podman(['wait', id])).stdout.trim()),
    isRunning: async () =>
      (await podman(['container', 'inspect', '--format', '{{.State.Running}}', id])).stdout.trim() === 'true',
    logs: async () => {
      const { stdout: out, stderr } = await podman(['logs', id]);
      return out + stderr;
    },
    remove: async () => void (await podman(['rm', '--force', '--time', '0', id])),
  };
}

/** What an image declares about itself, in Docker's words. */
export interface ImageFacts {
  readonly Architecture: string;
  readonly Digest: string;
  /** Bytes of all layers, unpacked. */
  readonly Size: number;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Healthcheck?: unknown;
}

export async function inspectImage(image: string): Promise<ImageFacts> {
  const { stdout } = await podman(['image', 'inspect', image]);
  return (JSON.parse(stdout) as ImageFacts[])[0]!;
}

export async function podman(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  // crun, the default, needs a cgroup set-up that not every sandbox has; runc does with less.
  const runtime = toolOnPath('runc') === undefined ? [] : ['--runtime', 'runc'];
  return run('podman', [...runtime, ...args], { timeout: 120_000, maxBuffer: 64 * 1_048_576 });
}
