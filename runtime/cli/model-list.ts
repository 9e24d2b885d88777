import { formatBytes } from '../model/quantities';
import type { ListedVersion } from '../model/versions/list-versions';
import type { Command } from './command';
import { formatTable } from './text-table';
import { REPOSITORY_ARGUMENT } from './version-arguments';

/** `slipway model list`: what a model repository holds. */
export const modelList: Command = {
  arguments: [REPOSITORY_ARGUMENT],
  options: {
    model: { type: 'string', value: 'name', description: 'only versions of this model (every model)' },
    json: { type: 'boolean', description: 'print everything that is known of each version as JSON' },
  },
  run: async (given, terminal) => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const { listVersions } = await import('../model/versions/list-versions.js');
    const store = await openModelStore(given.argument('model repository'));
    const versions = await listVersions(store, given.text('model'));
    if (given.flag('json')) return terminal.out(JSON.stringify(versions, undefined, 2));
    if (versions.length === 0) return terminal.out(`no versions in ${store.uri}`);
    const heading = ['model', 'version', 'labels', 'size', 'written', 'evidence'];
    terminal.out(formatTable([heading, ...versions.map(rowOf)], terminal.width));
  },
};

function rowOf(listed: ListedVersion): string[] {
  const { model, version, labels, bytes, modified } = listed;
  return [
    model,
    String(version),
    labels.join(', ') || '-',
    formatBytes(bytes),
    modified.slice(0, 16),
    evidenceOf(listed),
  ];
}

function evidenceOf({ state, isSigned, hasSbom, hasGoldenProof, evaluation }: ListedVersion): string {
  if (state !== 'published') return state;
  const [metric] = Object.entries(evaluation?.metrics ?? {});
  const parts = [
    hasGoldenProof ? 'golden' : undefined,
    metric && `${metric[0]} ${metric[1]}${evaluation?.passed === true ? '' : ' (no gate passed)'}`,
    isSigned ? 'signed' : undefined,
    hasSbom ? 'sbom' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(', ') || '-';
}
