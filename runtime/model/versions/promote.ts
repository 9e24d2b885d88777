import { setTimeout as wait } from 'node:timers/promises';
import { assertModelName, assertModelVersion, MANIFEST_FILE, versionPrefix } from '../../spec/model-repository';
import type { ModelStore } from '../model-store';
import { PublishError } from '../publish-error';
import { assertLabel, pathOf, readLabels, writeLabels, type LabelChange, type VersionLabels } from './version-labels';

/** Others who change labels of the same model at the same moment; each round one gets through. */
const ATTEMPTS = 20;
const PAUSE_MS = 100;

/**
 * Points a label of a model to a published version, by one conditional write that keeps what was before. Servers by hand follow
 * it at their next look; a deployment serves what its plan names.
 * @throws SpecError for name and version, PublishError VERSION_UNKNOWN, LABELS_INVALID, LABELS_CONTESTED, REPOSITORY_UNREACHABLE
 */
export async function promoteVersion(
  store: ModelStore,
  model: string,
  version: number,
  label: string,
  now = new Date(),
): Promise<LabelChange> {
  assertModelName(model, 'model');
  assertModelVersion(version, 'version');
  assertLabel(label);
  return moveLabel(store, model, label, now, () => ({ version }));
}

/**
 * Points a label back to the version that it named before; again, to the one before that.
 * @throws SpecError for the name, PublishError LABEL_UNKNOWN, VERSION_UNKNOWN, LABELS_INVALID, LABELS_CONTESTED, REPOSITORY_UNREACHABLE
 */
export async function rollBackLabel(
  store: ModelStore,
  model: string,
  label: string,
  now = new Date(),
): Promise<LabelChange> {
  assertModelName(model, 'model');
  assertLabel(label);
  return moveLabel(store, model, label, now, (file) => {
    const before = pathOf(label, file).at(-2);
    if (before !== undefined) return { version: before, rollback: true };
    throw new PublishError(
      'LABEL_UNKNOWN',
      `${store.uri}${model}/`,
      Object.hasOwn(file.labels, label)
        ? `label '${label}' has named no version before ${file.labels[label]}; promote the one that you mean`
        : `has no label '${label}'; its labels are: ${Object.keys(file.labels).join(', ') || 'none'}`,
    );
  });
}

async function moveLabel(
  store: ModelStore,
  model: string,
  label: string,
  now: Date,
  decide: (file: VersionLabels) => Pick<LabelChange, 'version' | 'rollback'>,
): Promise<LabelChange> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { file, tag } = await readLabels(store, model);
    const from = Object.hasOwn(file.labels, label) ? file.labels[label] : undefined;
    const { version, rollback } = decide(file);
    await assertPublished(store, model, version);
    const change: LabelChange = {
      label,
      version,
      ...(from === undefined ? {} : { from }),
      ...(rollback === true ? { rollback } : {}),
      at: now.toISOString(),
    };
    if (from === version) return change;
    const changed = { ...file, labels: { ...file.labels, [label]: version }, history: [...file.history, change] };
    if (await writeLabels(store, model, changed, tag)) {
      await confirm(store, model, change);
      return change;
    }
    await wait(PAUSE_MS * Math.random());
  }
  throw new PublishError(
    'LABELS_CONTESTED',
    `${store.uri}${model}/`,
    `labels were changed by others ${ATTEMPTS} times in a row; try again`,
  );
}

async function assertPublished(store: ModelStore, model: string, version: number): Promise<void> {
  const folder = versionPrefix(model, version);
  if ((await store.read(folder + MANIFEST_FILE)) !== undefined) return;
  const present = (await store.versions(model)).toSorted((a, b) => a - b);
  throw new PublishError(
    'VERSION_UNKNOWN',
    store.uri + folder,
    present.includes(version)
      ? 'is not published: its manifest is missing; publish the same model again to finish it'
      : `is not there; versions of ${model} are: ${present.join(', ') || 'none'}`,
  );
}

/** A collection of old versions may have taken this one while nothing named it; the one of us who looks last sees the other. */
async function confirm(store: ModelStore, model: string, { label, version, from }: LabelChange): Promise<void> {
  try {
    await assertPublished(store, model, version);
  } catch (error) {
    const { file, tag } = await readLabels(store, model);
    const { [label]: current, ...others } = file.labels;
    if (current === version) {
      await writeLabels(
        store,
        model,
        { ...file, labels: from === undefined ? others : { ...others, [label]: from } },
        tag,
      );
    }
    throw error;
  }
}
