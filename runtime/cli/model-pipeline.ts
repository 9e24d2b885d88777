import path from 'node:path';
import { nearest } from '../spec/nearest';
import { UsageError } from './cli-error';
import type { Command, CommandEntry, ParsedArguments } from './command';
import { formatTable } from './text-table';
import type { PipelineRun } from './pipeline/run-pipeline';

/**
 * `slipway model pipeline`: several commands after each other, as a file lists them.
 * @param commands those that there are here; the image has fewer than the package
 */
export function modelPipelineOf(commands: () => readonly CommandEntry[]): Command {
  return {
    arguments: [{ name: 'file', description: 'what is done in which order, in YAML' }],
    options: {
      repository: {
        type: 'string',
        value: 'uri',
        description: "model repository for steps that take one (the file's)",
      },
      work: {
        type: 'string',
        value: 'folder',
        description:
          'where steps leave models, reports and what they printed (.slipway/pipelines/<model> beside the file)',
      },
      from: {
        type: 'string',
        value: 'step',
        description: 'run again from this step on; what comes before must be recorded (the first that changed)',
      },
      until: { type: 'string', value: 'step', description: 'stop after this step (the last one)' },
      'dry-run': { type: 'boolean', description: 'print the commands and run none' },
      json: { type: 'boolean', description: 'print what became of the steps as JSON' },
    },
    details:
      'A step is the command of the same name with the same options, run in the folder of the file; each hands its model to the next. ' +
      'A step whose files and options are as they were is not run again. Exit status that of the step that failed; 4 for a closed gate, and nothing after it is run.',
    run: async (given, terminal) => {
      const { readPipeline } = await import('./pipeline/read-pipeline.js');
      const { stepCommands } = await import('./pipeline/step-command.js');
      const { commandLine, runPipeline } = await import('./pipeline/run-pipeline.js');
      const whole = await readPipeline(given.argument('file'), commands());
      const names = whole.steps.map(({ name }) => name);
      const from = stepOption(given, 'from', names);
      const until = stepOption(given, 'until', names);
      const end = until === undefined ? names.length : names.indexOf(until) + 1;
      if (from !== undefined && names.indexOf(from) >= end) {
        throw new UsageError(`slipway model pipeline: --from ${from} comes after --until ${until!}`);
      }
      // A branch that only evaluates needs no repository.
      const pipeline = { ...whole, steps: whole.steps.slice(0, end) };
      const work = path.resolve(
        given.text('work') ?? path.join(pipeline.folder, '.slipway', 'pipelines', pipeline.model),
      );
      const steps = stepCommands(pipeline, work, given.text('repository'));
      if (given.flag('dry-run')) {
        terminal.out([`cd ${pipeline.folder}`, ...steps.map(({ argv }) => commandLine(argv))].join('\n'));
        return;
      }
      const run = await runPipeline({
        pipeline,
        steps,
        work,
        // This very program, as it was started: the image's, the package's or a checkout's.
        program: [process.execPath, ...process.execArgv, process.argv[1]!],
        onLine: (line) => terminal.err(line),
        ...(from === undefined ? {} : { from }),
      });
      terminal.out(given.flag('json') ? asJson(pipeline.model, run) : render(run, terminal.width));
      if (run.failure !== undefined) throw run.failure;
    },
  };
}

function stepOption(given: ParsedArguments, option: string, names: readonly string[]): string | undefined {
  const text = given.text(option);
  if (text === undefined || names.includes(text)) return text;
  throw new UsageError(
    `slipway model pipeline: --${option}: no step '${text}', the nearest one is ${nearest(text, names)}`,
  );
}

function asJson(model: string, { outcomes, version, failure }: PipelineRun): string {
  const report = {
    model,
    ...(version === undefined ? {} : { version }),
    passed: failure === undefined,
    steps: outcomes,
  };
  return JSON.stringify(report, undefined, 2);
}

function render({ outcomes, version }: PipelineRun, width: number): string {
  const rows = outcomes.map(({ name, status, seconds }) => [
    `  ${name}`,
    status,
    status === 'skipped' ? '' : `${seconds.toFixed(1)} s`,
  ]);
  return [formatTable(rows, width), ...(version === undefined ? [] : [`version ${version}`])].join('\n');
}
