import type { Command, CommandEntry, ParsedArguments } from './command';
import { formatTable } from './text-table';
import type { PipelineSelection } from './pipeline/plan-pipeline';
import type { PipelineRun } from './pipeline/run-steps';

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
      const { planPipeline } = await import('./pipeline/plan-pipeline.js');
      const { commandLine, runSteps } = await import('./pipeline/run-steps.js');
      const planned = await planPipeline(selectionOf(given), commands());
      const { pipeline, steps } = planned;
      if (given.flag('dry-run')) {
        if (given.flag('json')) {
          const { model, folder } = pipeline;
          const commands = steps.map(({ step, argv }) => ({ step: step.name, command: ['slipway', ...argv] }));
          return terminal.out(JSON.stringify({ model, folder, steps: commands }, undefined, 2));
        }
        terminal.out([`cd ${pipeline.folder}`, ...steps.map(({ argv }) => commandLine(argv))].join('\n'));
        return;
      }
      const signal = signalOfProcess();
      const run = await runSteps(planned, {
        // This very program, as it was started: the image's, the package's or a checkout's.
        program: [process.execPath, ...process.execArgv, process.argv[1]!],
        onLine: (line) => terminal.err(line),
        signal,
      });
      terminal.out(given.flag('json') ? asJson(pipeline.model, run) : render(run, terminal.width));
      if (run.failure !== undefined) throw run.failure;
    },
  };
}

function selectionOf(given: ParsedArguments): PipelineSelection {
  const [repository, work, from, until] = ['repository', 'work', 'from', 'until'].map((option) => given.text(option));
  return {
    file: given.argument('file'),
    ...(repository === undefined ? {} : { repository }),
    ...(work === undefined ? {} : { work }),
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
  };
}

/** Ends steps when this process is told to end. Told twice, it ends at once. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
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
