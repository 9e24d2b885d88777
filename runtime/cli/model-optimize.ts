import type { OptimizeOptions } from '../model/optimize/optimize-model';
import { CHANGE_OPTIONS, changeOptions, printChange, PYTHON_OPTION } from './change-options';
import { UsageError } from './cli-error';
import type { Command } from './command';
import { speedLine } from './speed-line';

const NAME = 'slipway model optimize';

/** `slipway model optimize`: a simpler graph, and half floats where that is asked. */
export const modelOptimize: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    ...CHANGE_OPTIONS,
    'no-simplify': { type: 'boolean', description: 'leave the graph as it is' },
    precision: {
      type: 'string',
      value: 'precision',
      description: 'fp16: half floats inside, for GPUs; inputs and outputs stay as they are (as the model has it)',
    },
    exclude: { type: 'string', value: 'node', multiple: true, description: 'a node that stays in full precision' },
    ...PYTHON_OPTION,
  },
  details:
    'Runs onnxslim and onnxconverter-common in Python 3.11 or newer; they are installed once into an environment of their own.',
  run: async (given, terminal) => {
    const { optimizeModel } = await import('../model/optimize/optimize-model.js');
    const precision = precisionOf(given.text('precision'));
    const report = await optimizeModel({
      ...(await changeOptions(given, terminal, NAME)),
      simplify: !given.flag('no-simplify'),
      exclude: given.texts('exclude'),
      python: given.text('python'),
      ...(precision === undefined ? {} : { precision }),
    });
    const { nodesBefore, nodesAfter, speed } = report.detail;
    await printChange(report, [`${nodesBefore} nodes → ${nodesAfter}`, speedLine(speed)], given, terminal);
  },
};

function precisionOf(text: string | undefined): OptimizeOptions['precision'] {
  if (text === undefined || text === 'fp16' || text === 'bf16') return text;
  throw new UsageError(`${NAME}: --precision must be fp16, got '${text}'`);
}
