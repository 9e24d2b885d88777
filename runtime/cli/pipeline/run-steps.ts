import { spawn } from 'node:child_process';
import { closeSync, createWriteStream, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CliError } from '../cli-error';
import { EXIT_STATUS } from '../exit-status';
import type { PlannedPipeline } from './plan-pipeline';
import { VERSION, type StepCommand } from './step-command';
import { isRecorded, keyOfStep, makeRoom, recordStep } from './step-record';

/** `closed`: a gate said no. `unchanged`: run before with the same bytes and options. `skipped`: not run, for one before it failed. */
export type StepStatus = 'passed' | 'unchanged' | 'failed' | 'closed' | 'skipped';

export interface StepOutcome {
  readonly name: string;
  readonly status: StepStatus;
  readonly seconds: number;
  /** The command line as somebody would type it in the folder of the file. */
  readonly command: string;
  /** Of what was run. */
  readonly exitStatus?: number;
  /** The sentence that a failed command ended with. @default - it said none */
  readonly error?: string;
}

export interface PipelineRun {
  readonly outcomes: readonly StepOutcome[];
  /** The version that was published. */
  readonly version?: number;
  /** Why it ended before its last step. */
  readonly failure?: CliError;
}

/** What runs `slipway`: program and first arguments. */
export type SlipwayProgram = readonly [string, ...string[]];

export interface RunStepsOptions {
  readonly program: SlipwayProgram;
  readonly onLine: (line: string) => void;
  /** Ends the step that runs, and with it the run. */
  readonly signal?: AbortSignal;
}

/** What the last line of a command that failed begins with. */
const ERROR = 'error: ';

/** A step that failed, with the exit status of its command. */
class StepFailure extends CliError {
  constructor(
    message: string,
    override readonly exitCode: number,
  ) {
    super(message);
  }
}

/**
 * Runs the steps one after the other, each as a process of its own, which gives its memory back. A step that fails ends the run:
 * nothing after it is run.
 * @throws CliError where another run uses the folder
 */
export async function runSteps(planned: PlannedPipeline, options: RunStepsOptions): Promise<PipelineRun> {
  const release = takeFolder(planned.work);
  try {
    return await runEach(planned, options);
  } finally {
    release();
  }
}

async function runEach(
  { pipeline, steps, from }: PlannedPipeline,
  { program, onLine, signal }: RunStepsOptions,
): Promise<PipelineRun> {
  const outcomes: StepOutcome[] = [];
  let version: number | undefined;
  let failure: CliError | undefined;
  let isAgain = false;
  for (const step of steps) {
    const { name, rule, line } = step.step;
    isAgain ||= name === from;
    const argv = step.argv.map((word) => (word === VERSION && version !== undefined ? String(version) : word));
    const command = commandLine(argv);
    if (failure !== undefined) {
      outcomes.push({ name, status: 'skipped', seconds: 0, command });
      continue;
    }
    const began = process.hrtime.bigint();
    const done = (status: StepStatus, ended: Pick<StepOutcome, 'exitStatus' | 'error'> = {}) => {
      const seconds = Number(process.hrtime.bigint() - began) / 1e9;
      outcomes.push({ name, status, seconds, command, ...ended });
      onLine(`${name}: ${status}, ${seconds.toFixed(1)} s`);
    };
    const where = `${pipeline.file}:${line}: step ${name}`;
    const key = await keyOfStep(step, argv, pipeline.folder);
    if (!isAgain && (rule.always !== true || from !== undefined) && (await isRecorded(step, key, pipeline.folder))) {
      done('unchanged');
    } else if (from !== undefined && !isAgain) {
      failure = new StepFailure(`${where} comes before ${from} and is not recorded as it is now: leave --from out`, 1);
      done('failed');
    } else if (signal?.aborted === true) {
      failure = new StepFailure(`${where} was not begun: the run was ended`, 1);
      done('failed');
    } else {
      onLine(`${name}: ${command}`);
      makeRoom(step, key);
      const { exitStatus: status, error } = await runStep(step, [...program, ...argv], pipeline.folder, {
        onLine,
        signal,
      });
      if (status === 0) await recordStep(step, key);
      else if (status === EXIT_STATUS.verdict) failure = new StepFailure(`${where} closed the gate`, status);
      else failure = new StepFailure(`${where} ended with exit status ${status}`, status);
      done(status === 0 ? 'passed' : status === EXIT_STATUS.verdict ? 'closed' : 'failed', {
        exitStatus: status,
        ...(status === 0 || error === undefined ? {} : { error }),
      });
    }
    if (failure === undefined && step.manifest !== undefined) version = versionOf(step.manifest);
  }
  return {
    outcomes,
    ...(version === undefined ? {} : { version }),
    ...(failure === undefined ? {} : { failure: explained(failure, version, outcomes) }),
  };
}

/** Where it ended, what that leaves, and the sentence of the command itself: one line that a log may end with. */
function explained(failure: CliError, version: number | undefined, outcomes: readonly StepOutcome[]): CliError {
  const left = version === undefined ? 'nothing was published' : `version ${version} is published`;
  const reason = outcomes.find(({ error }) => error !== undefined)?.error;
  return new StepFailure(`${failure.message}; ${left}${reason === undefined ? '' : `: ${reason}`}`, failure.exitCode);
}

/** Runs one command, its output told line by line and kept beside what it leaves. */
async function runStep(
  { folder }: StepCommand,
  [program, ...args]: readonly string[],
  cwd: string,
  { onLine, signal }: Pick<RunStepsOptions, 'onLine' | 'signal'>,
): Promise<{ readonly exitStatus: number; readonly error: string | undefined }> {
  let error: string | undefined;
  const log = createWriteStream(path.join(folder, 'output.txt'));
  const { SLIPWAY_SOURCE: _fetched, SLIPWAY_RESULTS: _kept, ...env } = process.env;
  const child = spawn(program!, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = (): void => void child.kill('SIGTERM');
  signal?.addEventListener('abort', end);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      if (stream === child.stderr && line.startsWith(ERROR)) error = line.slice(ERROR.length);
      onLine(`  ${line}`);
    });
  }
  try {
    const exitStatus = await new Promise<number>((resolve, reject) => {
      child.on('error', ({ message }) => reject(new CliError(`${program!} cannot be started: ${message}`)));
      child.on('close', (code, endedBy) => {
        if (endedBy !== null) onLine(`  ended by ${endedBy}`);
        resolve(code ?? 1);
      });
    });
    return { exitStatus, error };
  } finally {
    signal?.removeEventListener('abort', end);
    await new Promise((resolve) => log.end(resolve));
  }
}

/** One run for a folder: two would hand each other half-written files. @returns what gives it back */
function takeFolder(work: string): () => void {
  mkdirSync(work, { recursive: true });
  const file = path.join(work, 'running');
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(readFileSync(file, 'utf8'));
      if (attempt > 0 || isAlive(owner)) {
        throw new CliError(`${work} is used by another run (process ${owner}): wait for it, or give --work`);
      }
      // Whoever wrote it was killed.
      rmSync(file, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function versionOf(manifest: string): number {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: number }).version;
}

/** As a shell would take it. */
export function commandLine(argv: readonly string[]): string {
  const quote = (word: string) => (/^[\w@%+=:,./$-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  return ['slipway', ...argv].map(quote).join(' ');
}
