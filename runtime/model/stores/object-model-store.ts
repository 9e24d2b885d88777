import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import {
  MANIFEST_FILE,
  modelPrefix,
  parseVersionFolder,
  REPOSITORY_INDEX_FILE,
  SBOM_FILE,
  SIGNATURE_FILE,
  versionPrefix,
} from '../../spec/model-repository';
import {
  parseRepositoryIndex,
  serializeRepositoryIndex,
  withoutVersions,
  withVersion,
  type RepositoryIndex,
} from '../../spec/repository-index';
import { unreachable, versionExists, type ModelStore, type OnBytes, type StoredFile } from '../model-store';
import { PublishError } from '../publish-error';
import type { ObjectStore } from './object-store';

/** Publishers that write the index at the same moment; each round, one of them gets through. */
const INDEX_ATTEMPTS = 20;
const INDEX_PAUSE_MS = 100;

/**
 * A model repository in a bucket. A publish creates objects and never deletes one: another one that publishes the same files
 * at the same time may count on them. What it leaves behind without a manifest is served by nobody, is finished by the
 * next publish of the same files, and is collected by `slipway model gc`.
 */
export function objectModelStore(objects: ObjectStore): ModelStore {
  const { uri } = objects;

  return {
    uri,

    models: () => attempt(uri, async () => (await objects.list('')).folders),

    versions: (model) =>
      attempt(uri, async () => {
        const { folders } = await objects.list(modelPrefix(model));
        return folders.map(parseVersionFolder).filter((version) => version !== undefined);
      }),

    isBegun: (model, version, files) => attempt(uri, () => isBegun(objects, versionPrefix(model, version), files)),

    write: (model, version, files, manifest, onBytes = () => {}) =>
      attempt(uri, async () => {
        const folder = versionPrefix(model, version);
        const publisher = randomUUID();
        const isFree =
          (await objects.head(folder + MANIFEST_FILE)) === undefined &&
          (await createAll(objects, folder, files, publisher, onBytes)) &&
          (await createLast(objects, folder, manifest, publisher));
        if (!isFree) throw versionExists(uri, model, version);
      }),

    announce: (version) => changeIndex(objects, (index) => withVersion(index, version)),

    withdraw: (model, versions) => changeIndex(objects, (index) => index && withoutVersions(index, model, versions)),

    files: (folder) =>
      attempt(uri, async () =>
        (await objects.listAll(folder)).map(({ key, bytes, modified }) => ({
          path: key.slice(folder.length),
          bytes,
          modified,
        })),
      ),

    read: (path) => attempt(uri + path, () => objects.read(path)),
    replace: (path, content, tag) => attempt(uri + path, () => objects.replace(path, content, tag)),
    delete: (path) => attempt(uri + path, () => objects.delete(path)),
  };
}

/** @returns false when something else lies in the place of one of them. */
async function createAll(
  objects: ObjectStore,
  folder: string,
  files: readonly StoredFile[],
  publisher: string,
  onBytes: OnBytes,
): Promise<boolean> {
  for (const file of files) {
    const key = folder + file.path;
    const progress = { publisher, onBytes: (bytes: number, were: boolean) => onBytes(file.path, bytes, were) };
    if ((await objects.head(key)) === undefined && (await objects.create(key, file, progress))) continue;
    if (!(await isSame(objects, key, file))) return false;
    onBytes(file.path, file.bytes, true);
  }
  return true;
}

async function isSame(objects: ObjectStore, key: string, file: StoredFile): Promise<boolean> {
  const there = await objects.head(key);
  if (there?.sha256 === file.sha256 && there.bytes === file.bytes) return true;
  if (file.accepts === undefined || there === undefined) return false;
  const small = await objects.read(key);
  return small !== undefined && file.accepts(small.content);
}

/** The manifest decides who has published. One that is there may be our own: an answer was lost, and we asked again. */
async function createLast(
  objects: ObjectStore,
  folder: string,
  manifest: StoredFile,
  publisher: string,
): Promise<boolean> {
  const key = folder + manifest.path;
  if (await objects.create(key, manifest, { publisher, onBytes: () => {} })) return true;
  return (await objects.head(key))?.publisher === publisher;
}

async function isBegun(objects: ObjectStore, folder: string, files: readonly StoredFile[]): Promise<boolean> {
  const there = await objects.listAll(folder);
  if (there.length === 0 || there.some(({ key }) => key === folder + MANIFEST_FILE)) return false;
  for (const { key } of there) {
    const path = key.slice(folder.length);
    // These name the version, so they are made when it is known.
    if (path === SBOM_FILE || path === SIGNATURE_FILE) continue;
    const file = files.find((each) => each.path === path);
    if (file === undefined || !(await isSame(objects, key, file))) return false;
  }
  return true;
}

/** Changes the index as it is at that moment: whoever wrote it in between is read again and built upon. */
async function changeIndex(
  objects: ObjectStore,
  change: (index: RepositoryIndex | undefined) => RepositoryIndex | undefined,
): Promise<void> {
  const place = objects.uri + REPOSITORY_INDEX_FILE;
  await attempt(place, async () => {
    for (let round = 1; ; round++) {
      const there = await objects.read(REPOSITORY_INDEX_FILE);
      const index = change(there && parseRepositoryIndex(there.content.toString('utf8'), place));
      if (index === undefined) return;
      const content = Buffer.from(serializeRepositoryIndex(index));
      if (await objects.replace(REPOSITORY_INDEX_FILE, content, there?.tag)) return;
      if (round === INDEX_ATTEMPTS) throw new Error(`was changed by others ${INDEX_ATTEMPTS} times in a row`);
      await wait(INDEX_PAUSE_MS * Math.random());
    }
  });
}

async function attempt<T>(uri: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw PublishError.is(error) ? error : unreachable(uri, error);
  }
}
