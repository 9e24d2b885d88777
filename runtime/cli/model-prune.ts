import type { PruneDetail, PruneMethod } from '../model/prune/prune-model';
import { percent } from '../model/compare/acceptance';
import { CHANGE_OPTIONS, changeOptions, numberOption, printChange } from './change-options';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { speedLine } from './speed-line';
import { formatTable } from './text-table';

const NAME = 'slipway model prune';

/** `slipway model prune`: a model with fewer channels, or with weights that are zero. */
export const modelPrune: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    ...CHANGE_OPTIONS,
    method: {
      type: 'string',
      value: 'method',
      required: true,
      description: 'channels (smaller tensors), magnitude (zeros), or n:m such as 2:4 (zeros in a pattern)',
    },
    ratio: { type: 'string', value: 'share', description: 'for channels: share of the channels that go (0.3)' },
    sparsity: { type: 'string', value: 'share', description: 'for magnitude: share of weights that are zero (0.5)' },
    scope: {
      type: 'string',
      value: 'scope',
      description: 'what competes: layer or global (layer for channels, global for magnitude)',
    },
    norm: { type: 'string', value: 'norm', description: 'for channels: what ranks them, l1 or l2 (l2)' },
    'round-to': {
      type: 'string',
      value: 'number',
      description: 'for channels: as many are left as a multiple of this, such as 8 (1)',
    },
    exclude: {
      type: 'string',
      value: 'name',
      multiple: true,
      description: 'a weight or a node that is left whole; * stands for any characters',
    },
  },
  details:
    'Without training afterwards a network forgets: unless you say otherwise, nine of ten rows must keep their class. Give --samples, rows as users send them: made ones say little.',
  run: async (given, terminal) => {
    const { pruneModel } = await import('../model/prune/prune-model.js');
    const method = methodOf(given);
    const options = await changeOptions(given, terminal, NAME);
    const report = await pruneModel({ ...options, method, exclude: given.texts('exclude') });
    await printChange(report, describe(report.detail, terminal.width), given, terminal);
  },
};

/** The flags that each method knows. */
const FLAGS: Readonly<Record<PruneMethod['kind'], readonly string[]>> = {
  channels: ['ratio', 'scope', 'norm', 'round-to'],
  magnitude: ['sparsity', 'scope'],
  'n:m': [],
};

function methodOf(given: ParsedArguments): PruneMethod {
  const text = given.text('method')!;
  const pattern = /^(\d{1,4}):(\d{1,4})$/.exec(text);
  const kind = pattern === null ? text : 'n:m';
  if (!Object.hasOwn(FLAGS, kind) || (kind === 'n:m' && pattern === null)) {
    throw new UsageError(`${NAME}: --method must be channels, magnitude or a pattern such as 2:4, got '${text}'`);
  }
  const known = FLAGS[kind as PruneMethod['kind']];
  const stranger = Object.values(FLAGS)
    .flat()
    .find((flag) => !known.includes(flag) && given.text(flag) !== undefined);
  if (stranger !== undefined) throw new UsageError(`${NAME}: --${stranger} means nothing to --method ${text}`);
  if (pattern !== null) return { kind: 'n:m', keep: Number(pattern[1]), of: Number(pattern[2]) };
  const scope = oneOf(given, 'scope', ['layer', 'global']);
  const scoped = scope === undefined ? {} : { scope };
  if (kind === 'magnitude') {
    return { kind, sparsity: numberOption(given, 'sparsity', NAME) ?? 0.5, ...scoped };
  }
  const norm = oneOf(given, 'norm', ['l1', 'l2']);
  const roundTo = numberOption(given, 'round-to', NAME);
  return {
    kind: 'channels',
    ratio: numberOption(given, 'ratio', NAME) ?? 0.3,
    ...scoped,
    ...(norm === undefined ? {} : { norm }),
    ...(roundTo === undefined ? {} : { roundTo }),
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

function describe(detail: PruneDetail, width: number): readonly string[] {
  const left = detail.left.map(({ name, reason }) => [`  ${name}`, reason]);
  const isWhole = detail.kind !== 'channels';
  const leftLines = isWhole ? ['left as they were:'] : ['layers that keep all or some of the channels that they make:'];
  if (left.length === 0) leftLines.pop();
  else leftLines.push(formatTable(left, width));
  if (detail.kind !== 'channels') {
    const zeros = `${percent(detail.sparsity)} of ${detail.weights.length} weights are zero`;
    return [`${zeros}; slipway model sparsify stores them smaller where that pays`, ...leftLines];
  }
  const rows = detail.weights
    .filter(({ before }) => before.length > 1)
    .map(({ name, before, after }) => [`  ${name}`, `${before.join('×')} → ${after.join('×')}`]);
  return [
    `${percent(detail.removedShare)} of all channels are gone:`,
    formatTable(rows, width),
    ...leftLines,
    speedLine(detail.speed),
  ];
}
