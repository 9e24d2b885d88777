import { readFileSync } from 'node:fs';
import path from 'node:path';
import { debuglog } from 'node:util';
import { parseArguments } from './arguments';
import { UsageError } from './cli-error';
import type { CommandEntry, Terminal } from './command';
import { exitStatusOf } from './exit-status';
import { renderCommandHelp, renderGeneralHelp } from './help';
import { packageRoot } from '../image/image-context';
import { mayBeSlip, nearest } from '../spec/nearest';

const debug = debuglog('slipway');

/**
 * Runs one command line and returns the exit status: 0, 2 for a command line that means nothing, 3 for a file or data that cannot be used,
 * 4 for a gate that said no, 5 for something that must be installed, 6 for a network, a store or a disk, 1 for what else failed, a
 * spec file among it: the commands that read one have statuses of their own.
 * @param commands those that there are here; the image has fewer than the package
 */
export async function runSlipway(
  argv: readonly string[],
  terminal: Terminal,
  commands: readonly CommandEntry[],
): Promise<number> {
  const shown: Terminal = {
    width: terminal.width,
    out: (text) => terminal.out(printable(text)),
    err: (text) => terminal.err(printable(text)),
  };
  try {
    await dispatch(argv, shown, commands);
    return 0;
  } catch (error) {
    debug('%s', (error as Error).stack);
    shown.err(`error: ${messageOf(error)}`);
    return exitStatusOf(error);
  }
}

/**
 * Names in a model are text of whoever wrote it, and must not move the cursor, colour the screen or turn the direction of writing. What
 * takes the place of such a character is JSON's way to write it, so that JSON stays what it is.
 */
function printable(text: string): string {
  const steering = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  return text.replace(steering, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

async function dispatch(argv: readonly string[], terminal: Terminal, commands: readonly CommandEntry[]): Promise<void> {
  const [first, ...others] = argv;
  if (first === 'help' && others.length > 0) return dispatch([...others, '--help'], terminal, commands);
  if (first === '--version') return terminal.out(version());
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    return terminal.out(renderGeneralHelp(commands, terminal.width));
  }
  const below = commandsBelow(first, commands);
  if (below.length > 0 && (argv[1] === '--help' || argv[1] === '-h')) {
    return terminal.out(renderGeneralHelp(below, terminal.width));
  }
  const entry = findCommand(argv, commands);
  const rest = argv.slice(entry.name.split(' ').length);
  const command = await entry.load();
  if (rest.includes('--help') || rest.includes('-h'))
    return terminal.out(renderCommandHelp(entry, command, terminal.width));
  await command.run(parseArguments(entry.name, command, rest), terminal);
}

function findCommand(argv: readonly string[], commands: readonly CommandEntry[]): CommandEntry {
  const exact = commands.find(({ name }) => name.split(' ').every((word, i) => argv[i] === word));
  if (exact !== undefined) return exact;

  const [word] = argv as [string];
  const below = commandsBelow(word, commands);
  if (below.length > 0) {
    const second = argv[1];
    const names = below.map(({ name }) => name);
    throw new UsageError(
      second === undefined || second.startsWith('-')
        ? `slipway ${word}: which one? ${names.map((name) => `slipway ${name}`).join(', ')}`
        : `no command '${word} ${second}', the nearest one is slipway ${nearest(`${word} ${second}`, names)}`,
    );
  }
  if (word.startsWith('-')) throw new UsageError(`no flag ${word} before a command; slipway --help lists the commands`);
  const names = commands.map(({ name }) => name);
  const closest = closestCommand(argv.slice(0, 2), names);
  const near = mayBeSlip(word, closest.split(' ')[0]!) ? `, the nearest one is slipway ${closest}` : '';
  throw new UsageError(`no command '${word}'${near}; slipway --help lists them all`);
}

function commandsBelow(word: string, commands: readonly CommandEntry[]): readonly CommandEntry[] {
  return commands.filter(({ name }) => name.startsWith(`${word} `));
}

// `modle publish` is nearer to `model publish` than to anything of one word, and `srve --port` is not about `--port`.
function closestCommand(words: readonly string[], names: readonly string[]): string {
  const firstWords = [...new Set(names.map((name) => name.split(' ')[0]!))];
  const first = nearest(words[0]!, firstWords);
  const below = names.filter((name) => name === first || name.startsWith(`${first} `));
  return nearest([first, ...words.slice(1)].join(' '), below);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error);
}
