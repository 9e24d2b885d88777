import type { QuantizeDetail, QuantizeOptions } from '../model/optimize/quantize-model';
import { CHANGE_OPTIONS, changeOptions, numberOption, printChange, PYTHON_OPTION } from './change-options';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { speedLine } from './speed-line';

const NAME = 'slipway model quantize';
const SHOWN_NODES = 10;

/** `slipway model quantize`: weights, and with calibration data values in between, as 8-bit numbers. */
export const modelQuantize: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    ...CHANGE_OPTIONS,
    mode: {
      type: 'string',
      value: 'mode',
      description: 'static (convolutions) or dynamic (transformers, recurrent nets) (static)',
    },
    calibration: {
      type: 'string',
      value: 'path',
      description: 'rows as users send them, for static: .npz, .csv, .jsonl or a folder of pictures',
    },
    'calibration-rows': { type: 'string', value: 'number', description: 'most rows of it (128)' },
    method: {
      type: 'string',
      value: 'method',
      description: 'how a range is found: min-max, entropy or percentile (min-max)',
    },
    percentile: {
      type: 'string',
      value: 'per cent',
      description: 'for percentile: values that lie in the range (99.999)',
    },
    'per-tensor': { type: 'boolean', description: 'one scale for a whole weight (one for each of its channels)' },
    'reduce-range': {
      type: 'boolean',
      description: '7-bit weights, for processors with AVX2 or AVX-512 but without VNNI',
    },
    exclude: { type: 'string', value: 'node', multiple: true, description: 'a node that stays as it is' },
    'exclude-most': {
      type: 'string',
      value: 'number',
      description:
        'how many of the nodes that change outputs most stay as they are, measured one by one; auto: as few as it takes (0)',
    },
    ...PYTHON_OPTION,
  },
  details:
    'Runs the quantizer of ONNX Runtime in Python 3.11 or newer; its packages are installed once into an environment of their own.',
  run: async (given, terminal) => {
    const { quantizeModel } = await import('../model/optimize/quantize-model.js');
    const report = await quantizeModel({ ...(await changeOptions(given, terminal, NAME)), ...readOptions(given) });
    await printChange(report, describe(report.detail), given, terminal);
  },
};

function readOptions(given: ParsedArguments): Partial<QuantizeOptions> {
  const calibration = given.text('calibration');
  const method = oneOf(given, 'method', ['min-max', 'entropy', 'percentile']);
  const rows = numberOption(given, 'calibration-rows', NAME);
  const percentile = numberOption(given, 'percentile', NAME);
  return {
    mode: oneOf(given, 'mode', ['static', 'dynamic']) ?? 'static',
    perChannel: !given.flag('per-tensor'),
    reduceRange: given.flag('reduce-range'),
    exclude: given.texts('exclude'),
    python: given.text('python'),
    excludeMost: given.text('exclude-most') === 'auto' ? 'auto' : (numberOption(given, 'exclude-most', NAME) ?? 0),
    ...(calibration === undefined ? {} : { calibration }),
    ...(method === undefined ? {} : { method }),
    ...(rows === undefined ? {} : { calibrationRows: rows }),
    ...(percentile === undefined ? {} : { percentile }),
  };
}

function oneOf<const Word extends string>(
  given: ParsedArguments,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = given.text(name);
  const word = words.find((each) => each === text);
  if (text === undefined || word !== undefined) return word;
  throw new UsageError(`${NAME}: --${name} must be ${words.join(' or ')}, got '${text}'`);
}

function describe({
  mode,
  calibrationRows,
  excluded,
  sensitivity,
  sizeRatio,
  speed,
  int8Instructions,
}: QuantizeDetail): readonly string[] {
  const found = mode === 'static' ? `ranges found on ${calibrationRows} rows` : 'ranges are found in each run';
  const worst = sensitivity
    .slice(0, SHOWN_NODES)
    .map(({ node, change }) => `  ${(change * 100).toFixed(2)} %  ${node}`);
  return [
    `${mode} INT8, ${found}; ${sizeRatio.toFixed(3)} of the size`,
    ...(excluded.length === 0 ? [] : [`left as they were: ${excluded.join(', ')}`]),
    ...(worst.length === 0 ? [] : ['change of the outputs when one node alone is quantized:', ...worst]),
    speedLine(speed),
    ...(int8Instructions?.length === 0
      ? ['this processor has no instructions for 8-bit products (VNNI): elsewhere it may well be faster']
      : []),
  ];
}
