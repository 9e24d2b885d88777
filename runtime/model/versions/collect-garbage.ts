import { readModelConfiguration } from '../../spec/model-configuration';
import { CONFIGURATION_FILES, MANIFEST_FILE, modelPrefix, versionPrefix } from '../../spec/model-repository';
import type { ModelStore } from '../model-store';
import { lastModified, modelsOf } from './list-versions';
import { pathOf, readLabels } from './version-labels';

export interface GarbageOptions {
  /** Only this model's versions. @default - every model's */
  readonly model?: string;
  /** Newest published versions that stay, and last ones that each label has named, at least one. @default 3 */
  readonly keep?: number;
  /** Versions that were written in the last days stay, unfinished ones among them. @default 30 */
  readonly days?: number;
  /** Versions that stay whatever else: those that deployments name, as `digits/3`. @default - none */
  readonly protect?: readonly string[];
  /** Deletes; else it is only said what would be. @default false */
  readonly delete?: boolean;
  /** @default - now */
  readonly now?: Date;
}

export interface CollectedVersion {
  readonly model: string;
  readonly version: number;
  readonly bytes: number;
  /** `deleted` and `old` are what is or would be deleted; the others say why a version stays. */
  readonly verdict: 'old' | 'deleted' | 'labelled' | 'newest' | 'young' | 'protected' | 'unsure';
  readonly reason: string;
}

const DAY_MS = 86_400_000;

/**
 * Finds versions that nobody needs, and deletes them when asked to: the manifest first, so that no reader takes the rest for a
 * version. What a label, a configuration or the caller names stays, and what a rollback would take a label back to, and so does every version of a model whose labels or
 * configuration cannot be read.
 * @throws PublishError REPOSITORY_UNREACHABLE
 */
export async function collectGarbage(store: ModelStore, options: GarbageOptions): Promise<readonly CollectedVersion[]> {
  const models = options.model === undefined ? await modelsOf(store) : [options.model];
  const collected: CollectedVersion[] = [];
  for (const model of models) collected.push(...(await collectModel(store, model, options)));
  return collected;
}

async function collectModel(store: ModelStore, model: string, options: GarbageOptions): Promise<CollectedVersion[]> {
  const { keep = 3, days = 30, protect = [], now = new Date() } = options;
  const newestFirst = (await store.versions(model)).toSorted((a, b) => b - a);
  const named = await namedVersions(store, model, keep).catch((error: Error) => error);
  const verdicts: CollectedVersion[] = [];
  const deleted: number[] = [];
  let published = 0;
  for (const version of newestFirst) {
    const files = await store.files(versionPrefix(model, version));
    const isPublished = files.some(({ path }) => path === MANIFEST_FILE);
    if (isPublished) published += 1;
    const facts = { model, version, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
    const age = (now.getTime() - lastModified(files).getTime()) / DAY_MS;
    const say = (verdict: CollectedVersion['verdict'], reason: string) => verdicts.push({ ...facts, verdict, reason });
    if (named instanceof Error) say('unsure', `its labels cannot be read: ${named.message}`);
    else if (named.has(version)) say('labelled', `named by ${named.get(version)!}`);
    else if (protect.includes(`${model}/${version}`)) say('protected', 'named by the caller');
    else if (isPublished && published <= Math.max(1, keep)) say('newest', `one of the newest ${Math.max(1, keep)}`);
    else if (age < days) say('young', `written ${Math.floor(age)} days ago`);
    else if (options.delete !== true) say('old', isPublished ? 'no label names it' : 'its publish was never finished');
    else if (
      await deleteVersion(
        store,
        model,
        version,
        keep,
        files.map(({ path }) => path),
      )
    ) {
      deleted.push(version);
      say('deleted', isPublished ? 'no label named it' : 'its publish was never finished');
    } else say('labelled', 'named by a label since a moment ago');
  }
  if (deleted.length > 0) await store.withdraw?.(model, deleted);
  if (options.delete === true) await store.tidy?.(model);
  return verdicts.sort((a, b) => a.version - b.version);
}

/** Versions that labels and the model's configuration name, and those that labels would go back to, with what names them. */
async function namedVersions(store: ModelStore, model: string, keep: number): Promise<ReadonlyMap<number, string>> {
  const named = new Map<number, string>();
  const { file: labelFile } = await readLabels(store, model);
  const { labels } = labelFile;
  for (const label of Object.keys(labels)) {
    const before = pathOf(label, labelFile).slice(-Math.max(1, keep), -1);
    for (const version of before) named.set(version, `label '${label}', which a rollback takes back to it`);
  }
  for (const [label, version] of Object.entries(labels)) named.set(version, `label '${label}'`);
  for (const file of CONFIGURATION_FILES) {
    const there = await store.read(modelPrefix(model) + file);
    if (there === undefined) continue;
    const { versionLabels, versionPolicy } = readModelConfiguration(there.content.toString('utf8'), file);
    for (const [label, version] of versionLabels) named.set(version, `label '${label}' of ${file}`);
    if (versionPolicy?.kind !== 'specific') continue;
    for (const version of versionPolicy.versions) named.set(version, `version_policy of ${file}`);
  }
  return named;
}

/**
 * Deletes a version that no label names, looking once more before and after its manifest is gone: a label that was set in
 * between gets the manifest back, and who set it looks after us.
 * @returns false when a label names it by now
 */
async function deleteVersion(
  store: ModelStore,
  model: string,
  version: number,
  keep: number,
  paths: readonly string[],
): Promise<boolean> {
  const folder = versionPrefix(model, version);
  const manifest = await store.read(folder + MANIFEST_FILE);
  if ((await namedVersions(store, model, keep)).has(version)) return false;
  await store.delete(folder + MANIFEST_FILE);
  if ((await namedVersions(store, model, keep)).has(version)) {
    if (manifest !== undefined) await store.replace(folder + MANIFEST_FILE, manifest.content, undefined);
    return false;
  }
  for (const path of paths) if (path !== MANIFEST_FILE) await store.delete(folder + path);
  return true;
}
