import type { Command, CommandEntry } from './command';
import { formatTable, wrapText } from './text-table';

/** What `slipway --help` prints. */
export function renderGeneralHelp(entries: readonly CommandEntry[], width: number): string {
  return [
    'slipway: from an ONNX model to a private, autoscaled inference endpoint',
    '',
    'usage: slipway <command> [flags]',
    '',
    formatTable(
      entries.map(({ name, summary }) => [`  ${name}`, summary]),
      width,
    ),
    '',
    wrapText('slipway <command> --help says more about one command; slipway --version prints the version.', width),
  ].join('\n');
}

/** What `slipway <command> --help` prints. */
export function renderCommandHelp({ name, summary }: CommandEntry, command: Command, width: number): string {
  const options = Object.entries(command.options);
  const usage = ['slipway', name, ...command.arguments.map(usageOf)];
  const rows = [
    ...command.arguments.map(({ name: argument, description }) => [`  <${argument}>`, description]),
    ...options.map(([option, { type, short, value, multiple, required, description }]) => [
      `  ${short === undefined ? '' : `-${short}, `}--${option}${type === 'string' ? ` <${value ?? 'value'}>` : ''}`,
      `${description}${required === true ? '; required' : ''}${multiple === true ? '; may be repeated' : ''}`,
    ]),
  ];
  return [
    `usage: ${usage.join(' ')}${options.length > 0 ? ' [flags]' : ''}`,
    '',
    `${summary[0]!.toUpperCase()}${summary.slice(1)}.`,
    ...(command.details === undefined ? [] : ['', wrapText(command.details, width)]),
    ...(rows.length === 0 ? [] : ['', formatTable(rows, width)]),
  ].join('\n');
}

function usageOf({ name, optional }: Command['arguments'][number]): string {
  return optional === true ? `[<${name}>]` : `<${name}>`;
}
