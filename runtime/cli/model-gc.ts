import { formatBytes } from '../model/quantities';
import { UsageError } from './cli-error';
import type { Command } from './command';
import { formatTable } from './text-table';
import { countOption, REPOSITORY_ARGUMENT } from './version-arguments';

/** `slipway model gc`: versions that nobody needs. Deletes nothing unless it is told to. */
export const modelGc: Command = {
  arguments: [REPOSITORY_ARGUMENT],
  options: {
    model: { type: 'string', value: 'name', description: 'only versions of this model (every model)' },
    keep: { type: 'string', value: 'number', description: 'newest published versions that stay, at least one (3)' },
    days: { type: 'string', value: 'number', description: 'versions written in the last days stay (30)' },
    protect: {
      type: 'string',
      value: 'model/version',
      multiple: true,
      description: 'a version that stays: one that a deployment names (none)',
    },
    delete: { type: 'boolean', description: 'delete; without it, it is only said what would be deleted' },
    json: { type: 'boolean', description: 'print the verdict on each version as JSON' },
  },
  details:
    'A version that a label or a configuration names always stays, and so do the last ones that a label has named, as many as --keep says. Nobody but you knows what deployments name: give these with ' +
    '--protect. Manifests go first, so no reader takes what is left of a version for one.',
  run: async (given, terminal) => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const { collectGarbage } = await import('../model/versions/collect-garbage.js');
    const [keep, days] = [countOption(given, 'keep', 1), countOption(given, 'days', 0)];
    const protect = given.texts('protect');
    const strange = protect.find((each) => !/^[A-Za-z0-9._-]+\/[1-9]\d*$/.test(each));
    if (strange !== undefined) throw new UsageError(`--protect must be <model>/<version>, got '${strange}'`);
    const model = given.text('model');
    const store = await openModelStore(given.argument('model repository'));
    const verdicts = await collectGarbage(store, {
      ...(model === undefined ? {} : { model }),
      ...(keep === undefined ? {} : { keep }),
      ...(days === undefined ? {} : { days }),
      protect,
      delete: given.flag('delete'),
    });
    if (given.flag('json')) return terminal.out(JSON.stringify(verdicts, undefined, 2));
    const isGone = ({ verdict }: (typeof verdicts)[number]): boolean => verdict === 'old' || verdict === 'deleted';
    const rows = verdicts.map((each) => [
      each.verdict === 'deleted' ? 'deleted' : isGone(each) ? 'would be deleted' : 'stays',
      `${each.model}/${each.version}`,
      formatBytes(each.bytes),
      each.reason,
    ]);
    if (rows.length > 0) terminal.out(formatTable(rows, terminal.width));
    const gone = verdicts.filter(isGone);
    const bytes = formatBytes(gone.reduce((sum, each) => sum + each.bytes, 0));
    terminal.err(
      given.flag('delete')
        ? `${gone.length} versions deleted, ${bytes}`
        : `${gone.length} versions would be deleted, ${bytes}; --delete deletes them`,
    );
  },
};
