import type { Distillation } from '../model/distil/distil-model';
import { PREPROCESSING_OPTION } from './change-options';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { parseShare } from './evaluation-gates';
import { formatTable } from './text-table';

/** `slipway model distil`: teaches a small network what a large one knows, and writes it as ONNX. */
export const modelDistil: Command = {
  arguments: [
    { name: 'teacher', description: 'an ONNX file, or net.py:build, a function that makes a PyTorch network' },
    { name: 'student', description: 'student.py:build, a function that makes the PyTorch network that learns' },
  ],
  options: {
    data: {
      type: 'string',
      value: 'place',
      required: true,
      description: 'labelled rows to learn from: .npz, a folder of pictures, .csv or .jsonl',
    },
    validation: {
      type: 'string',
      value: 'place',
      required: true,
      description: 'labelled rows that nobody learns from, to measure both',
    },
    ...PREPROCESSING_OPTION,
    labels: {
      type: 'string',
      value: 'file',
      description:
        'names of the classes, one per line or a JSON list (numbers, or the folders of pictures as text sorts them)',
    },
    output: {
      type: 'string',
      short: 'o',
      value: 'folder',
      required: true,
      description: 'folder to write: student.onnx, student.pt, report.json',
    },
    overwrite: { type: 'boolean', description: 'replace what is there' },
    'teacher-weights': { type: 'string', value: 'file', description: 'weights of a PyTorch teacher (those it makes)' },
    'teacher-output': { type: 'string', value: 'name', description: 'output that has the classes (the only such one)' },
    'student-weights': { type: 'string', value: 'file', description: 'what the student begins with (what it makes)' },
    input: {
      type: 'string',
      value: 'name=type[shape]',
      multiple: true,
      description: 'what a PyTorch teacher takes: image=float32[batch,3,32,32]',
    },
    temperature: { type: 'string', value: 'number', description: "how soft the teacher's answers are made (4)" },
    alpha: {
      type: 'string',
      value: 'share',
      description: "share of the loss that is the teacher's, from 0 to 1 (0.7)",
    },
    epochs: { type: 'string', value: 'number', description: 'times through the data (10)' },
    'batch-size': { type: 'string', value: 'rows', description: 'rows of a step (64)' },
    'learning-rate': { type: 'string', value: 'number', description: 'of AdamW; it falls to 0 along a cosine (0.001)' },
    'weight-decay': { type: 'string', value: 'number', description: 'of AdamW (0.01)' },
    seed: {
      type: 'string',
      value: 'number',
      description: 'decides the order of rows, and what the student begins with (0)',
    },
    device: { type: 'string', value: 'name', description: 'cpu, cuda, or auto: a GPU where there is one (auto)' },
    limit: { type: 'string', value: 'rows', description: 'read no more rows of each data set than these (all)' },
    checkpoint: {
      type: 'string',
      value: 'folder',
      description: 'where the state is kept: the same command goes on after an interruption (<output>.checkpoint)',
    },
    'max-drop': {
      type: 'string',
      value: 'share',
      description: 'gate: on how many more of the rows the student may be wrong than its teacher, as in 1% (any)',
    },
    python: {
      type: 'string',
      value: 'path',
      description: 'an interpreter that has PyTorch (an environment of its own)',
    },
    json: { type: 'boolean', description: 'print the report as JSON' },
  },
  details:
    'Python 3.11 or newer must be there. PyTorch is installed once, with pip, into an environment in the cache of the user.',
  run: async (given, terminal) => {
    const drop = given.text('max-drop');
    const { distilModel } = await import('../model/distil/distil-model.js');
    const { parseInput } = await import('../model/convert/input-signature.js');
    const { readClassNames } = await import('../model/data/class-names.js');
    const inputs = given.texts('input').map(parseInput);
    const labels = given.text('labels');
    const device = given.text('device');
    if (device !== undefined && device !== 'auto' && device !== 'cpu' && device !== 'cuda') {
      throw new UsageError(`--device must be auto, cpu or cuda, got '${device}'`);
    }
    const distillation = await distilModel({
      teacher: given.argument('teacher'),
      student: given.argument('student'),
      data: given.text('data')!,
      validation: given.text('validation')!,
      output: given.text('output')!,
      overwrite: given.flag('overwrite'),
      python: given.text('python'),
      progress: (text) => terminal.err(text),
      ...optional('preprocessingFile', given.text('preprocessing')),
      ...optional('classNames', labels === undefined ? undefined : await readClassNames(labels)),
      ...optional('teacherWeights', given.text('teacher-weights')),
      ...optional('teacherOutput', given.text('teacher-output')),
      ...optional('studentWeights', given.text('student-weights')),
      ...optional('inputs', inputs.length === 0 ? undefined : inputs),
      ...optional('temperature', number(given, 'temperature')),
      ...optional('alpha', number(given, 'alpha')),
      ...optional('epochs', number(given, 'epochs')),
      ...optional('batchSize', number(given, 'batch-size')),
      ...optional('learningRate', number(given, 'learning-rate')),
      ...optional('weightDecay', number(given, 'weight-decay')),
      ...optional('seed', number(given, 'seed')),
      ...optional('device', device),
      ...optional('maxRows', number(given, 'limit')),
      ...optional('checkpoint', given.text('checkpoint')),
      ...optional('maxDrop', drop === undefined ? undefined : parseShare(drop, 'max-drop', 'slipway model distil')),
    });
    terminal.out(
      given.flag('json') ? JSON.stringify(distillation, undefined, 2) : render(distillation, terminal.width),
    );
  },
};

function optional<Name extends string, const Value>(name: Name, value: Value | undefined): { [name in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { [name in Name]?: Value };
}

function number(given: ParsedArguments, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`--${name} must be a number, got '${text}'`);
  return value;
}

function render(distillation: Distillation, width: number): string {
  const { teacher, student, agreement, drop, compression, trainRows, validationRows, epochs, device, resumedAt } =
    distillation;
  const bytes = (value: number | undefined) => (value === undefined ? '' : `${value}`);
  return [
    `${student.path}: learned from ${trainRows} rows in ${epochs.length} epochs on ${device}, measured on ${validationRows}`,
    formatTable(
      [
        ['', 'accuracy', 'bytes'],
        ['teacher', `${teacher.accuracy.toFixed(2)} %`, bytes(teacher.bytes)],
        ['student', `${student.accuracy.toFixed(2)} %`, bytes(student.bytes)],
        ...(student.accuracyBefore === undefined
          ? []
          : [['student before', `${student.accuracyBefore.toFixed(2)} %`, '']]),
      ],
      width,
    ),
    `${drop.toFixed(2)} points less right; both name the same class on ${agreement.toFixed(2)} % of the rows`,
    ...(compression === undefined ? [] : [`compression ${compression.toFixed(2)} %`]),
    ...(resumedAt === undefined ? [] : [`went on from a checkpoint in epoch ${resumedAt.epoch + 1}`]),
  ].join('\n');
}
