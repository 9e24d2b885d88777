import path from 'node:path';
import { COMMANDS } from '../commands';
import type { PipelineSelection } from './plan-pipeline';
import type { PipelineRun, SlipwayProgram } from './run-steps';

export interface PipelineOptions extends PipelineSelection {
  /** Told each line that a step prints, and what becomes of each step. @default - nobody is */
  readonly onLine?: (line: string) => void;
  /** Ends the step that runs, and with it the run. @default - it ends by itself */
  readonly signal?: AbortSignal;
  /** What runs `slipway`: program and first arguments. @default - the command of this very package, with this Node */
  readonly program?: SlipwayProgram;
}

/**
 * Runs the commands of a pipeline file one after the other, each as a process of its own: what `slipway model pipeline` does.
 * A step that fails, or a gate that closes, ends the run and is its `failure`; that is no rejection.
 * @throws PipelineFileError for a file that cannot be used, with its line; UsageError for `from` and `until`; CliError where
 * another run uses the folder
 *
 * @example
 * const { version, failure } = await runPipeline({ file: 'pipeline.yaml', onLine: console.error });
 * if (failure !== undefined) throw failure;
 */
export async function runPipeline(options: PipelineOptions): Promise<PipelineRun> {
  const { onLine = () => {}, signal, program = [process.execPath, path.join(__dirname, '..', 'bin.js')] } = options;
  const { planPipeline } = await import('./plan-pipeline.js');
  const { runSteps } = await import('./run-steps.js');
  const planned = await planPipeline(options, COMMANDS);
  return runSteps(planned, { program, onLine, ...(signal === undefined ? {} : { signal }) });
}
