import type { LabelChange } from '../model/versions/version-labels';
import type { Command } from './command';
import { REPOSITORY_ARGUMENT, versionArgument } from './version-arguments';

const WHO_FOLLOWS =
  'Requests that name the label follow; those that name neither label nor version go by the weights in version-labels.json, else to ' +
  'the newest version. Servers that were started by hand with hot reload follow at their next look. A deployment serves the ' +
  'versions that its plan names: change the version there, and deploy.';

/** `slipway model promote`: one label to one version. */
export const modelPromote: Command = {
  arguments: [
    REPOSITORY_ARGUMENT,
    { name: 'model', description: 'name of the model' },
    { name: 'version', description: 'a published version' },
    { name: 'label', description: "what the version is called from now on: 'production', 'stable', 'canary'" },
  ],
  options: { json: { type: 'boolean', description: 'print what was changed as JSON' } },
  details: `Writes version-labels.json beside the versions, in one step that keeps its history. ${WHO_FOLLOWS}`,
  run: async (given, terminal) => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const { promoteVersion } = await import('../model/versions/promote.js');
    const model = given.argument('model');
    const version = versionArgument(given, 'version');
    const store = await openModelStore(given.argument('model repository'));
    const change = await promoteVersion(store, model, version, given.argument('label'));
    terminal.out(given.flag('json') ? JSON.stringify({ model, ...change }, undefined, 2) : sentence(model, change));
  },
};

/** `slipway model rollback`: a label back to the version that it named before. */
export const modelRollback: Command = {
  arguments: [
    REPOSITORY_ARGUMENT,
    { name: 'model', description: 'name of the model' },
    { name: 'label', description: 'the label that goes back' },
  ],
  options: { json: { type: 'boolean', description: 'print what was changed as JSON' } },
  details: `Again, it goes back to the version before that. ${WHO_FOLLOWS}`,
  run: async (given, terminal) => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const { rollBackLabel } = await import('../model/versions/promote.js');
    const model = given.argument('model');
    const store = await openModelStore(given.argument('model repository'));
    const change = await rollBackLabel(store, model, given.argument('label'));
    terminal.out(given.flag('json') ? JSON.stringify({ model, ...change }, undefined, 2) : sentence(model, change));
  },
};

function sentence(model: string, { label, version, from }: LabelChange): string {
  const before = from === undefined ? '' : from === version ? ', as before' : `, was ${from}`;
  return `${model} ${label}: ${version}${before}`;
}
