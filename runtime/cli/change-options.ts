import type { EditOptions, EditReport, ModelSize } from '../model/edit/edit-model';
import { percent } from '../model/compare/acceptance';
import { formatBytes, formatQuantity } from '../model/quantities';
import { UsageError } from './cli-error';
import type { CommandOption, ParsedArguments, Terminal } from './command';
import { replaceFile } from './replace-file';
import { formatTable } from './text-table';

/** The flag of commands that read rows as users send them. */
export const PREPROCESSING_OPTION = {
  preprocessing: {
    type: 'string',
    value: 'file',
    description: "how pictures, text and records become inputs (the manifest's beside the model)",
  },
} as const satisfies Readonly<Record<string, CommandOption>>;

/** Flags of every command that makes another model of a model. */
export const CHANGE_OPTIONS = {
  output: { type: 'string', short: 'o', value: 'file', required: true, description: 'the ONNX file to write' },
  overwrite: { type: 'boolean', description: 'replace what is there' },
  samples: {
    type: 'string',
    value: 'path',
    description: 'rows to compare the new model with its source on: .npz, .csv, .jsonl or a folder of pictures (made)',
  },
  ...PREPROCESSING_OPTION,
  tolerance: {
    type: 'string',
    value: 'share',
    description: "largest difference from the source, as a share of an output's largest element",
  },
  'min-agreement': {
    type: 'string',
    value: 'share',
    description: 'least share of rows whose class stays the same, from 0 to 1',
  },
  json: { type: 'boolean', description: 'print the report as JSON' },
  report: { type: 'string', value: 'file', description: 'where to write the report as JSON, too' },
} as const satisfies Readonly<Record<string, CommandOption>>;

/** The flag of commands that run Python. */
export const PYTHON_OPTION = {
  python: {
    type: 'string',
    value: 'path',
    description: 'an interpreter that has the packages (an environment of its own)',
  },
} as const satisfies Readonly<Record<string, CommandOption>>;

/** What these flags say. @param command for messages: `slipway model prune` */
export async function changeOptions(given: ParsedArguments, terminal: Terminal, command: string): Promise<EditOptions> {
  const { preprocessingOf } = await import('../model/published-manifest.js');
  const samples = given.text('samples');
  const tolerance = numberOption(given, 'tolerance', command);
  const minAgreement = numberOption(given, 'min-agreement', command);
  const source = given.argument('file');
  const preprocessing = await preprocessingOf(source, given.text('preprocessing'));
  return {
    source,
    output: given.text('output')!,
    overwrite: given.flag('overwrite'),
    onProgress: (line) => terminal.err(line),
    ...(samples === undefined ? {} : { samples }),
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(tolerance === undefined ? {} : { tolerance }),
    ...(minAgreement === undefined ? {} : { minAgreement }),
  };
}

/** @throws UsageError for what is no number */
export function numberOption(given: ParsedArguments, name: string, command: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new UsageError(`${command}: --${name} must be a number, got '${text}'`);
}

/** Prints what was made, as a table or as JSON. @param detail lines of this command alone */
export async function printChange<D>(
  report: EditReport<D>,
  detail: readonly string[],
  given: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const json = JSON.stringify(report, undefined, 2);
  const file = given.text('report');
  if (file !== undefined) await replaceFile(file, `${json}\n`);
  terminal.out(given.flag('json') ? json : render(report, detail, terminal.width));
}

function render<D>(
  { files, before, after, compressionPercent, comparison, accepted }: EditReport<D>,
  detail: readonly string[],
  width: number,
): string {
  const size = (label: string, { parameters, operations, bytes }: ModelSize): readonly string[] => [
    `  ${label}`,
    formatBytes(bytes),
    formatQuantity(parameters),
    formatQuantity(operations),
  ];
  const allowed = [
    ...(accepted.tolerance === undefined ? [] : [`a difference of ${percent(accepted.tolerance)}`]),
    ...(accepted.minAgreement === undefined ? [] : [`${percent(1 - accepted.minAgreement)} of rows in another class`]),
  ];
  return [
    files.join(', '),
    formatTable([['', 'bytes', 'parameters', 'operations'], size('source', before), size('result', after)], width),
    `compression ${compressionPercent.toFixed(2)} %`,
    ...detail,
    `compared with the source on ${comparison.rows} rows; allowed: ${allowed.join(', ')}`,
    formatTable(
      [
        ['  output', 'largest difference', 'of its largest element', 'same class'],
        ...comparison.outputs.map(({ name, maxAbsolute, maxRelative, agreement }) => [
          `  ${name}`,
          maxAbsolute.toExponential(1),
          percent(maxRelative),
          agreement === undefined ? '' : percent(agreement),
        ]),
      ],
      width,
    ),
  ].join('\n');
}
