import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODEL_TOOL_ERROR_CODES, ModelToolError, type ModelToolErrorCode } from '../tool-error';
import { pythonFor, type PythonEnvironment, type PythonOptions } from './environment';
import { pythonProcessEnvironment } from './process-environment';
import { pythonFolder, type PythonSet, type PythonSetName } from './python-sets';
import { runChild } from './run-child';

export interface RunPythonOptions extends PythonOptions {
  /** @default - an hour */
  readonly timeoutSeconds?: number;
}

export interface PythonRun<Result> {
  readonly result: Result;
  /** What it ran in. */
  readonly environment: PythonEnvironment;
}

type Message = Readonly<
  Partial<{ progress: string; result: unknown; error: { code: string; where: string; message: string } }>
>;

const DEFAULT_SECONDS = 3_600;

/**
 * Runs one of the tools' Python files, `<script>.py`, in a process of its own: without the user's PYTHONPATH and site
 * packages, without this process's credentials, in an empty working directory (so the request names files by whole paths),
 * ended with all that it started when `signal` fires or this process ends.
 * @param request what the file's `run(request)` gets, as JSON
 * @throws ModelToolError what the tool says; PYTHON_CRASHED with its last lines; PYTHON_TIMEOUT; what `pythonFor` throws; the
 * reason of `signal`
 */
export async function runPython<Result>(
  set: PythonSetName | PythonSet,
  script: string,
  request: unknown,
  options: RunPythonOptions = {},
): Promise<PythonRun<Result>> {
  const environment = await pythonFor(set, options);
  const timeoutSeconds = options.timeoutSeconds ?? DEFAULT_SECONDS;
  const directory = await mkdtemp(join(tmpdir(), 'slipway-python-'));
  let answer: Message | undefined;
  try {
    const { exitCode, killedBy, timedOut, lastLines } = await runChild(
      environment.python,
      ['-I', join(pythonFolder(), 'slipway_tool.py'), script],
      {
        environment: pythonProcessEnvironment(options.environment ?? process.env),
        directory,
        request: JSON.stringify(request),
        onLine: (line) => {
          const message = JSON.parse(line) as Message;
          if (message.progress === undefined) answer = message;
          else options.progress?.(message.progress);
        },
        signal: options.signal,
        timeoutSeconds,
      },
    );
    if (answer?.error !== undefined) throw toolError(answer.error);
    if (answer?.result !== undefined && exitCode === 0) return { result: answer.result as Result, environment };
    if (timedOut) throw new ModelToolError('PYTHON_TIMEOUT', script, `did not end within ${timeoutSeconds} seconds`);
    const ending =
      killedBy === null
        ? `ended with exit status ${exitCode}`
        : `was ended by ${killedBy}${killedBy === 'SIGKILL' ? ', which is what the system does where memory runs out' : ''}`;
    // What it said to us is no news to whoever reads this.
    const said = lastLines.filter((line) => !line.startsWith('{"progress"'));
    throw new ModelToolError(
      'PYTHON_CRASHED',
      script,
      `the Python tool ${ending}, and said ${said.length === 0 ? 'nothing' : `last:\n${said.join('\n')}`}`,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function toolError({ code, where, message }: { code: string; where: string; message: string }): ModelToolError {
  const isKnown = (MODEL_TOOL_ERROR_CODES as readonly string[]).includes(code);
  return isKnown
    ? new ModelToolError(code as ModelToolErrorCode, where, message)
    : new ModelToolError('PYTHON_CRASHED', where, `${code}: ${message}`);
}
