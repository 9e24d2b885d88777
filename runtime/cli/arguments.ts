import { parseArgs } from 'node:util';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { nearest } from '../spec/nearest';

/**
 * Reads the command line of one command.
 * @throws UsageError for an unknown flag (naming the nearest one), a flag without its value, or a missing argument.
 */
export function parseArguments(name: string, command: Command, argv: readonly string[]): ParsedArguments {
  assertKnownOptions(name, command, argv);
  const { values, positionals } = parseStrictly(name, command, argv);

  const missing = command.arguments[positionals.length];
  if (missing !== undefined && missing.optional !== true)
    throw new UsageError(`slipway ${name}: <${missing.name}> is missing: ${missing.description}`);
  const superfluous = positionals[command.arguments.length];
  if (superfluous !== undefined) throw new UsageError(`slipway ${name}: unexpected argument '${superfluous}'`);
  for (const [option, { required, description }] of Object.entries(command.options)) {
    if (required === true && values[option] === undefined) {
      throw new UsageError(`slipway ${name}: --${option} is missing: ${description}`);
    }
  }

  const byName = new Map(command.arguments.map((argument, i) => [argument.name, positionals[i] ?? '']));
  return {
    text: (option) => values[option] as string | undefined,
    texts: (option) => (values[option] as string[] | undefined) ?? [],
    flag: (option) => values[option] === true,
    argument: (argument) => byName.get(argument)!,
  };
}

function assertKnownOptions(name: string, command: Command, argv: readonly string[]): void {
  const { tokens } = parseArgs({
    args: [...argv],
    options: parserOptions(command),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name in command.options) continue;
    const refusal = command.refusedOptions?.[token.name];
    if (refusal !== undefined) throw new UsageError(`${token.rawName}: ${refusal}`);
    const known = Object.keys(command.options).map((option) => `--${option}`);
    throw new UsageError(
      `slipway ${name}: no flag ${token.rawName}` +
        (known.length === 0 ? '' : `, the nearest one is ${nearest(token.rawName, known)}`),
    );
  }
}

function parseStrictly(name: string, command: Command, argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: parserOptions(command), strict: true, allowPositionals: true });
  } catch (error) {
    // parseArgs explains itself over several lines; the first one says what is wrong.
    throw new UsageError(`slipway ${name}: ${(error as Error).message.split('\n')[0]!}`);
  }
}

function parserOptions(command: Command) {
  return Object.fromEntries(
    Object.entries(command.options).map(([option, { type, short, multiple }]) => [
      option,
      { type, multiple: multiple ?? false, ...(short === undefined ? {} : { short }) },
    ]),
  );
}
