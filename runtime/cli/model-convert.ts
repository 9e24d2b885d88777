import type { Conversion } from '../model/convert/convert-model';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { replaceFile } from './replace-file';
import { formatTable } from './text-table';

/** `slipway model convert`: a trained network of another framework as an ONNX file, held against its source. */
export const modelConvert: Command = {
  arguments: [
    {
      name: 'source',
      description:
        'net.py:build (PyTorch), .pt2 (torch.export), .pt (TorchScript), a SavedModel folder, .keras, .h5, .skops, .pkl or .joblib',
    },
  ],
  options: {
    output: { type: 'string', short: 'o', value: 'file', required: true, description: 'the ONNX file to write' },
    overwrite: { type: 'boolean', description: 'replace what is there' },
    weights: {
      type: 'string',
      value: 'file',
      description: "weights of the factory's network: a state_dict or .safetensors (those that it makes)",
    },
    input: {
      type: 'string',
      value: 'name=type[shape]',
      multiple: true,
      description:
        'what the network takes, in its order: image=float32[batch,3,224,224]; a name is a free dimension, name:16 one to try with 16',
    },
    'output-name': {
      type: 'string',
      value: 'name',
      multiple: true,
      description: "an output's name, in their order (the source's)",
    },
    signature: { type: 'string', value: 'name', description: 'signature of a SavedModel (serving_default)' },
    samples: {
      type: 'string',
      value: 'file',
      description: 'NPZ file with rows to compare on, an array for each input (made)',
    },
    opset: { type: 'string', value: 'number', description: 'version of the operators (18)' },
    tolerance: {
      type: 'string',
      value: 'number',
      description:
        "largest difference from the source, as a share of an output's largest element (0.001; 0.05 where it was trained with quantization)",
    },
    'trust-pickle': {
      type: 'boolean',
      description: 'load a pickle, which can run any code with your rights (refused)',
    },
    'trust-type': {
      type: 'string',
      value: 'name',
      multiple: true,
      description: 'a type in a .skops file that is harmless, as skops names it (those that skops knows)',
    },
    python: {
      type: 'string',
      value: 'path',
      description: 'an interpreter that has the packages (an environment of its own)',
    },
    json: { type: 'boolean', description: 'print the report as JSON' },
    report: { type: 'string', value: 'file', description: 'where to write the report as JSON, too' },
  },
  details:
    'Python 3.11 or newer must be there. The packages of each framework are installed once, with pip, into an environment of their own in the cache of the user.',
  run: async (given, terminal) => {
    const { convertModel } = await import('../model/convert/convert-model.js');
    const { parseInput } = await import('../model/convert/input-signature.js');
    const inputs = given.texts('input').map(parseInput);
    const outputNames = given.texts('output-name');
    const conversion = await convertModel({
      source: given.argument('source'),
      output: given.text('output')!,
      overwrite: given.flag('overwrite'),
      trustPickle: given.flag('trust-pickle'),
      trustedTypes: given.texts('trust-type'),
      python: given.text('python'),
      progress: (text) => terminal.err(text),
      ...textOptions(given, ['weights', 'signature', 'samples']),
      ...(inputs.length === 0 ? {} : { inputs }),
      ...(outputNames.length === 0 ? {} : { outputNames }),
      ...numberOption(given, 'opset'),
      ...numberOption(given, 'tolerance'),
    });
    const json = JSON.stringify(conversion, undefined, 2);
    const report = given.text('report');
    if (report !== undefined) await replaceFile(report, `${json}\n`);
    terminal.out(given.flag('json') ? json : render(conversion, terminal.width));
  },
};

function textOptions<Name extends string>(given: ParsedArguments, names: readonly Name[]): { [name in Name]?: string } {
  const pairs = names.flatMap((name) => {
    const text = given.text(name);
    return text === undefined ? [] : [[name, text]];
  });
  return Object.fromEntries(pairs) as { [name in Name]?: string };
}

function numberOption<Name extends string>(given: ParsedArguments, name: Name): { [name in Name]?: number } {
  const text = given.text(name);
  if (text === undefined) return {};
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new UsageError(`--${name} must be a number, got '${text}'`);
  return { [name]: number } as { [name in Name]?: number };
}

function render(conversion: Conversion, width: number): string {
  const { source, output, opset, inputs, outputs, comparison, cases, tolerance, notes } = conversion;
  const shape = (tensor: Conversion['inputs'][number]) =>
    `${tensor.name} ${tensor.datatype}[${tensor.shape.join(',')}]`;
  const batches = cases.map(({ batch }) => batch).join(', ');
  return [
    `${output.path}: ${source.kind} ${source.path} as ONNX, opset ${opset}, ${output.bytes} bytes`,
    `  takes ${inputs.map(shape).join(', ')}`,
    `  gives ${outputs.map(shape).join(', ')}`,
    `compared with the source on ${comparison.rows} rows, in batches of ${batches}; allowed ${tolerance}:`,
    formatTable(
      [
        ['output', 'largest difference', 'of its largest element', 'same class'],
        ...comparison.outputs.map(({ name, maxAbsolute, maxRelative, agreement }) => [
          name,
          maxAbsolute.toExponential(1),
          maxRelative.toExponential(1),
          agreement === undefined ? '' : `${(agreement * 100).toFixed(1)} %`,
        ]),
      ],
      width,
    ),
    ...notes.map((note) => `note: ${note}`),
    `  sha256 ${output.sha256}`,
  ].join('\n');
}
