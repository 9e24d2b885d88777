import type { Command } from './command';
import { formatTable } from './text-table';
import { REPOSITORY_ARGUMENT, versionArgument } from './version-arguments';

/** `slipway model diff`: what tells two versions apart. Differences are no failure. */
export const modelDiff: Command = {
  arguments: [
    REPOSITORY_ARGUMENT,
    { name: 'model', description: 'name of the model' },
    { name: 'first', description: 'a published version' },
    { name: 'second', description: 'another one' },
  ],
  options: { json: { type: 'boolean', description: 'print the differences as JSON' } },
  details:
    'By their manifests: signature, operators, sizes, evaluation, preprocessing, classes, licence and files. Exits 0 either way.',
  run: async (given, terminal) => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const { diffVersions } = await import('../model/versions/diff-versions.js');
    const [first, second] = [versionArgument(given, 'first'), versionArgument(given, 'second')];
    const store = await openModelStore(given.argument('model repository'));
    const differences = await diffVersions(store, given.argument('model'), first, second);
    if (given.flag('json')) return terminal.out(JSON.stringify(differences, undefined, 2));
    if (differences.length === 0) return terminal.out('no differences');
    const rows = differences.map(({ what, first, second }) => [what, ...shorten(first, second)]);
    terminal.out(formatTable([['', String(first), String(second)], ...rows], terminal.width));
  },
};

const MAX_CELL = 60;

/** Digests by their beginning, and of long texts the part where they come apart. */
function shorten(...cells: readonly (string | number | undefined)[]): readonly string[] {
  const texts = cells.map((cell) => String(cell ?? '-').replace(/\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b/g, '$1…'));
  const [first = '', second = ''] = texts;
  if (Math.max(first.length, second.length) <= MAX_CELL) return texts;
  let apart = 0;
  while (apart < first.length && first[apart] === second[apart]) apart++;
  const from = Math.max(0, apart - MAX_CELL / 4);
  return texts.map((text) => {
    const part = text.slice(from, from + MAX_CELL);
    return `${from > 0 && part !== '' ? '…' : ''}${part}${from + MAX_CELL < text.length ? '…' : ''}` || '-';
  });
}
