import { assertModelVersion, MANIFEST_FILE, versionPrefix } from '../spec/model-repository';
import { versionExists, type ModelStore, type StoredFile } from './model-store';

/**
 * The version to publish as: the one that is given, or the next; where the highest one is an unfinished publish of these very
 * files, that one, so that it is finished.
 * @throws PublishError VERSION_EXISTS, REPOSITORY_UNREACHABLE
 */
export async function chooseVersion(
  store: ModelStore,
  model: string,
  given: number | undefined,
  files: readonly StoredFile[],
): Promise<number> {
  const present = await store.versions(model);
  if (given !== undefined) {
    const isFree = !present.includes(given) || (await store.isBegun(model, given, files));
    if (!isFree) throw versionExists(store.uri, model, given);
    return given;
  }
  const highest = Math.max(0, ...present);
  return highest > 0 && (await store.isBegun(model, highest, files)) ? highest : highest + 1;
}

/**
 * Refuses early what will be refused anyway: before a model is run for its proof.
 * @throws SpecError MODEL_VERSION_INVALID, PublishError VERSION_EXISTS
 */
export async function assertUnpublished(store: ModelStore, model: string, version: number | undefined): Promise<void> {
  if (version === undefined) return;
  assertModelVersion(version, 'version');
  if ((await store.read(versionPrefix(model, version) + MANIFEST_FILE)) !== undefined) {
    throw versionExists(store.uri, model, version);
  }
}
