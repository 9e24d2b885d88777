import path from 'node:path';
import { nearest } from '../../spec/nearest';
import { UsageError } from '../cli-error';
import type { CommandEntry } from '../command';
import { readPipeline, type PipelineFile } from './read-pipeline';
import { stepCommands, type StepCommand } from './step-command';

/** Which steps of a pipeline file are run, and where. */
export interface PipelineSelection {
  /** The pipeline file, in YAML. Steps run in its folder, and what it names lies relative to it. */
  readonly file: string;
  /** Model repository for steps that take one: a directory, or the URI of a store. @default - the file's `repository` */
  readonly repository?: string;
  /** Where steps leave models, reports and what they printed. @default `.slipway/pipelines/<model>` beside the file */
  readonly work?: string;
  /** Run again from this step on, whatever is recorded; what comes before must be. @default - what is recorded is not run again */
  readonly from?: string;
  /** Stop after this step. @default - the last one */
  readonly until?: string;
}

export interface PlannedPipeline {
  readonly pipeline: PipelineFile;
  readonly steps: readonly StepCommand[];
  /** Folder for what steps leave, absolute. */
  readonly work: string;
  readonly from?: string;
}

/**
 * Reads a pipeline file, and says which commands it comes to. Nothing is run.
 * @param commands those that there are here
 * @throws PipelineFileError for the file, UsageError for `from` and `until`
 */
export async function planPipeline(
  { file, repository, work, from, until }: PipelineSelection,
  commands: readonly CommandEntry[],
): Promise<PlannedPipeline> {
  const whole = await readPipeline(file, commands);
  const names = whole.steps.map(({ name }) => name);
  assertStep('from', from, names);
  assertStep('until', until, names);
  const end = until === undefined ? names.length : names.indexOf(until) + 1;
  if (from !== undefined && names.indexOf(from) >= end) {
    throw new UsageError(`slipway model pipeline: --from ${from} comes after --until ${until!}`);
  }
  // A branch that only evaluates needs no repository.
  const pipeline = { ...whole, steps: whole.steps.slice(0, end) };
  const folder = path.resolve(work ?? path.join(pipeline.folder, '.slipway', 'pipelines', pipeline.model));
  const steps = stepCommands(pipeline, folder, repository);
  return { pipeline, steps, work: folder, ...(from === undefined ? {} : { from }) };
}

function assertStep(option: string, name: string | undefined, names: readonly string[]): void {
  if (name === undefined || names.includes(name)) return;
  throw new UsageError(
    `slipway model pipeline: --${option}: no step '${name}', the nearest one is ${nearest(name, names)}`,
  );
}
