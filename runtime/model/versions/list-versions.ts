import { parseManifest, type ModelManifest } from '../../spec/model-manifest';
import { MANIFEST_FILE, SBOM_FILE, SIGNATURE_FILE, versionPrefix } from '../../spec/model-repository';
import { SpecError } from '../../spec/errors';
import type { ListedFile, ModelStore } from '../model-store';
import { readLabels } from './version-labels';

/** What a model repository holds of one version. */
export interface ListedVersion {
  readonly model: string;
  readonly version: number;
  /** `unfinished`: no manifest yet, so nobody serves it; `unreadable`: a manifest that is none. */
  readonly state: 'published' | 'unfinished' | 'unreadable';
  /** Labels that name it, sorted. */
  readonly labels: readonly string[];
  /** Of all its files. */
  readonly bytes: number;
  /** When its last file was written, ISO 8601 in UTC. */
  readonly modified: string;
  readonly isSigned: boolean;
  readonly hasSbom: boolean;
  readonly hasGoldenProof: boolean;
  /** @default - nobody has measured it */
  readonly evaluation?: Pick<NonNullable<ModelManifest['evaluation']>, 'task' | 'metrics' | 'passed'>;
  readonly licence?: string;
}

/** Folders of a repository that are no models', such as what a disk keeps at its top. */
const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Every version of a model repository, or of one model, sorted by model and version.
 * @throws PublishError REPOSITORY_UNREACHABLE, LABELS_INVALID
 */
export async function listVersions(store: ModelStore, model?: string): Promise<readonly ListedVersion[]> {
  const models = model === undefined ? await modelsOf(store) : [model];
  const listed: ListedVersion[] = [];
  for (const name of models) {
    const versions = (await store.versions(name)).toSorted((a, b) => a - b);
    if (versions.length === 0) continue;
    const { labels } = (await readLabels(store, name)).file;
    for (const version of versions) listed.push(await describe(store, name, version, labels));
  }
  return listed;
}

export async function modelsOf(store: ModelStore): Promise<readonly string[]> {
  return (await store.models()).filter((name) => MODEL_NAME.test(name)).sort();
}

async function describe(
  store: ModelStore,
  model: string,
  version: number,
  labels: Readonly<Record<string, number>>,
): Promise<ListedVersion> {
  const folder = versionPrefix(model, version);
  const files = await store.files(folder);
  const has = (path: string): boolean => files.some((file) => file.path === path);
  const manifest = await readManifest(store, folder);
  const evaluation = manifest === 'unreadable' ? undefined : manifest?.evaluation;
  return {
    model,
    version,
    state: manifest === undefined ? 'unfinished' : manifest === 'unreadable' ? manifest : 'published',
    labels: Object.keys(labels)
      .filter((label) => labels[label] === version)
      .sort(),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    modified: lastModified(files).toISOString(),
    isSigned: has(SIGNATURE_FILE),
    hasSbom: has(SBOM_FILE),
    hasGoldenProof: typeof manifest === 'object' && manifest.golden !== undefined,
    ...(evaluation === undefined
      ? {}
      : { evaluation: { task: evaluation.task, metrics: evaluation.metrics, passed: evaluation.passed } }),
    ...(typeof manifest === 'object' && manifest.licence !== undefined ? { licence: manifest.licence } : {}),
  };
}

/** When the newest of some files was written; long ago where there are none. */
export function lastModified(files: readonly ListedFile[]): Date {
  return new Date(Math.max(0, ...files.map(({ modified }) => modified.getTime())));
}

async function readManifest(store: ModelStore, folder: string): Promise<ModelManifest | 'unreadable' | undefined> {
  const there = await store.read(folder + MANIFEST_FILE);
  if (there === undefined) return undefined;
  try {
    return parseManifest(there.content.toString('utf8'), store.uri + folder + MANIFEST_FILE);
  } catch (error) {
    if (SpecError.is(error)) return 'unreadable';
    throw error;
  }
}
