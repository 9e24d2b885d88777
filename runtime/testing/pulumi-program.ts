import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { PulumiEngine } from './pulumi-engine';
import type { OnInvoke, OnResource } from './pulumi-provider';
import type { PulumiRecording } from './pulumi-recording';
import { loadPulumiSdk, type PulumiSdk } from './pulumi-sdk';

export interface PulumiProgramOptions {
  /**
   * The project folder: where `Pulumi.yaml`, `package.json` and `tsconfig.json` are read and where the program runs.
   * @default - the folder of `program`
   */
  readonly directory?: string;
  /** The file to run, absolute or relative to `directory`. @default - what `main` of Pulumi.yaml or package.json says */
  readonly program?: string;
  /** @default - `name` in Pulumi.yaml, else `project` */
  readonly project?: string;
  /** @default 'dev' */
  readonly stack?: string;
  /** True previews: resources get no ids and no computed outputs. @default false */
  readonly preview?: boolean;
  /** Configuration; a key without a colon belongs to the project. A secret reaches the program as a secret. */
  readonly config?: Readonly<Record<string, string | { readonly secret: string }>>;
  /**
   * Plays the providers: returns the id and the computed state of a resource that is created (in an up) or read (in
   * both). What it throws fails that resource, as a cloud would.
   * @default - every id is `<name>-id`, every state the inputs
   */
  readonly onResource?: OnResource;
  /** Answers the program's function calls, `aws:index/getRegion:getRegion` and kin. @default - a call fails and names itself */
  readonly onInvoke?: OnInvoke;
  /** Whether the engine tells error hooks of failures, as that of `pulumi` does from 3.217 on. @default true */
  readonly errorHooks?: boolean;
  /** Whether Pulumi's TypeScript loader checks types, as `pulumi up` does; off is several seconds faster. @default true */
  readonly typeCheck?: boolean;
  /** Environment variables for the program, over the caller's own. `PULUMI_…` of the caller never reach it. */
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds until the program is killed. @default 120 */
  readonly timeoutSeconds?: number;
}

/**
 * Runs a Pulumi program with neither the CLI, nor a provider, nor an account, over the SDK's own wire protocol, and
 * returns all that it sent. Nothing is created; `onResource` decides what the program sees of its resources.
 *
 * @throws Error when the program cannot be started or does not end in time. A program that fails is returned with its
 * exit code and logs; `assertSucceeded` turns that into an error.
 *
 * @example
 * const preview = assertSucceeded(await runPulumiProgram({ directory: 'infra', preview: true }));
 * const up = assertSucceeded(await runPulumiProgram({ directory: 'infra' }));
 * assertSameResources(preview, up);
 */
export async function runPulumiProgram(options: PulumiProgramOptions): Promise<PulumiRecording> {
  const directory = projectDirectory(options);
  const sdk = loadPulumiSdk(directory);
  const projectFile = readProjectFile(directory, sdk);
  const project = options.project ?? projectFile.name ?? 'project';
  const stack = options.stack ?? 'dev';
  const preview = options.preview ?? false;

  const engine = new PulumiEngine(sdk, {
    project,
    stack,
    preview,
    config: configOf(options, project),
    onResource: options.onResource,
    onInvoke: options.onInvoke,
    ...(options.errorHooks === undefined ? {} : { errorHooks: options.errorHooks }),
  });
  const address = await engine.listen();
  try {
    const child = spawn(
      process.execPath,
      [
        PLAIN_INSPECT,
        ...projectFile.nodeArguments,
        sdk.runScript,
        `--monitor=${address}`,
        `--engine=${address}`,
        `--project=${project}`,
        `--stack=${stack}`,
        `--pwd=${directory}`,
        `--root-directory=${directory}`,
        '--parallel=16',
        ...(preview ? ['--dry-run'] : []),
        options.program === undefined ? (projectFile.main ?? '.') : path.resolve(directory, options.program),
      ],
      { cwd: directory, env: programEnvironment(options, project, projectFile), stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const ended = await waitForEnd(child, options.timeoutSeconds ?? 120);
    return { ...engine.recording(), ...ended };
  } finally {
    engine.close();
  }
}

// The SDK prints errors in colour, and in colour Node 20's `util.inspect` does not end on a stack line such as
// `…/node_modules/@pulumi/resource.ts:1:1`, which the SDK's source maps produce: it looks for a slash behind the package's
// name and starts over until the string is too long, half a minute later. A failing program should say so at once.
const PLAIN_INSPECT = `--import=data:text/javascript,${encodeURIComponent(`
  import util from 'node:util';
  const { inspect } = util;
  util.inspect = Object.assign((value, options) => inspect(value, { ...options, colors: false }), inspect);
`)}`;

interface ProjectFile {
  readonly name?: string | undefined;
  readonly main?: string | undefined;
  readonly nodeArguments: readonly string[];
  readonly typescript: boolean;
}

function projectDirectory({ directory, program }: PulumiProgramOptions): string {
  if (directory === undefined && program === undefined) throw new Error('give the directory or the program to run');
  const resolved = directory === undefined ? path.dirname(path.resolve(program!)) : path.resolve(directory);
  if (!existsSync(resolved) || !statSync(resolved).isDirectory()) throw new Error(`there is no folder ${resolved}`);
  return resolved;
}

function readProjectFile(directory: string, sdk: PulumiSdk): ProjectFile {
  const file = ['Pulumi.yaml', 'Pulumi.yml'].map((name) => path.join(directory, name)).find((name) => existsSync(name));
  const content = (file === undefined ? {} : sdk.parseYaml(readFileSync(file, 'utf8'))) as {
    name?: string;
    main?: string;
    runtime?: string | { options?: { nodeargs?: string; typescript?: boolean } };
  };
  const runtimeOptions = typeof content.runtime === 'object' ? content.runtime.options : undefined;
  return {
    name: content.name,
    main: content.main,
    nodeArguments: runtimeOptions?.nodeargs?.split(/\s+/).filter((argument) => argument !== '') ?? [],
    typescript: runtimeOptions?.typescript ?? true,
  };
}

/** Secrets in the clear: whoever plays a provider gets them so, as a provider does. */
function configOf({ config = {} }: PulumiProgramOptions, project: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      wholeKey(key, project),
      typeof value === 'string' ? value : value.secret,
    ]),
  );
}

function wholeKey(key: string, project: string): string {
  return key.includes(':') ? key : `${project}:${key}`;
}

function programEnvironment(
  options: PulumiProgramOptions,
  project: string,
  projectFile: ProjectFile,
): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PULUMI_')));
  const config = options.config ?? {};
  const secrets = Object.keys(config).filter((key) => typeof config[key] !== 'string');
  return {
    ...inherited,
    PULUMI_CONFIG: JSON.stringify(configOf(options, project)),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(secrets.map((key) => wholeKey(key, project))),
    PULUMI_NODEJS_TYPESCRIPT: String(projectFile.typescript),
    ...(options.typeCheck === false ? { PULUMI_NODEJS_TRANSPILE_ONLY: 'true' } : {}),
    ...options.env,
  };
}

const KEPT_OUTPUT_BYTES = 64 * 1024;

async function waitForEnd(
  child: ChildProcess,
  timeoutSeconds: number,
): Promise<Pick<PulumiRecording, 'exitCode' | 'stdout' | 'stderr'>> {
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      printed[stream] = (printed[stream] + text).slice(-KEPT_OUTPUT_BYTES);
    });
  }
  let timedOut = false;
  // SIGKILL: a program that hangs inside its own exit handlers would survive anything gentler.
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutSeconds * 1000);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (timedOut)
          reject(new Error(`the program did not end within ${timeoutSeconds} s and was killed\n${printed.stderr}`));
        else if (code === null) reject(new Error(`the program was ended by ${String(signal)}\n${printed.stderr}`));
        else resolve(code);
      });
    });
    return { exitCode, ...printed };
  } finally {
    clearTimeout(timer);
  }
}
