import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { pathOfFileUri } from '../onnx/file-uri';
import type { ServerSettings } from '../spec/environment';
import { parseModelReferences, type ModelReference } from '../spec/model-reference';
import { assertModelName, MANIFEST_FILE, MODEL_FILE, parseVersionFolder } from '../spec/model-repository';
import { StartupError } from './errors';
import { SourceError, type ModelSource } from './model-source';
import { retry } from './retry';
import { sourceOf } from './source-of';

/** How a model repository is asked: until the signal aborts, telling of each failure that may pass. */
export interface Asking {
  readonly signal: AbortSignal;
  readonly onRetry: (error: SourceError) => void;
}

/**
 * Which model versions this replica serves: those named by `SLIPWAY_MODELS`, or the newest version of every model of
 * `SLIPWAY_MODEL_REPOSITORY`.
 * @throws StartupError NO_MODEL or MODEL_REPOSITORY_UNREADABLE, SpecError for references that cannot be read.
 */
export async function findModels(
  settings: Pick<ServerSettings, 'models' | 'modelRepository'>,
  asking: Asking,
): Promise<readonly ModelReference[]> {
  const { models, modelRepository } = settings;
  if (models !== undefined && modelRepository !== undefined) {
    throw new StartupError('NO_MODEL', 'SLIPWAY_MODELS and SLIPWAY_MODEL_REPOSITORY are both set; unset one of them');
  }
  if (models !== undefined) return readReferences(models);
  if (modelRepository !== undefined) return findNewestVersions(modelRepository, asking);
  throw new StartupError(
    'NO_MODEL',
    'no model to serve: set SLIPWAY_MODEL_REPOSITORY to a directory or s3:// URI, or SLIPWAY_MODELS',
  );
}

async function readReferences(models: string): Promise<readonly ModelReference[]> {
  if (!models.startsWith('file://')) return parseModelReferences(models);
  let text: string;
  try {
    text = await readFile(pathOfFileUri(models), 'utf8');
  } catch (error) {
    throw new StartupError('NO_MODEL', `SLIPWAY_MODELS cannot be read: ${(error as Error).message}`);
  }
  return parseModelReferences(text, models);
}

async function findNewestVersions(repository: string, asking: Asking): Promise<readonly ModelReference[]> {
  const uri = folderUri(repository);
  try {
    const source = sourceOf(uri);
    const models = await foldersIn(source, uri, asking);
    const found = await Promise.all(
      models.map((name) => findNewestVersion(source, `${uri}${encode(uri, name)}/`, name, asking)),
    );
    const references = found.filter((reference) => reference !== undefined);
    if (references.length === 0) {
      throw new StartupError(
        'NO_MODEL',
        `no model found in ${repository}: expected <model>/<version>/${MODEL_FILE}, as slipway model publish lays it out`,
      );
    }
    return references;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new StartupError('MODEL_REPOSITORY_UNREADABLE', `model repository ${repository}: ${error.message}`);
  }
}

/** A plain path is a directory, taken from where the server was started. */
function folderUri(repository: string): string {
  const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(repository) ? repository : pathToFileURL(path.resolve(repository)).href;
  return uri.endsWith('/') ? uri : `${uri}/`;
}

/** File URIs are percent-encoded, S3's are object keys as they are. */
function encode(uri: string, name: string): string {
  return uri.startsWith('file:') ? encodeURIComponent(name) : name;
}

async function findNewestVersion(
  source: ModelSource,
  modelUri: string,
  name: string,
  asking: Asking,
): Promise<ModelReference | undefined> {
  const versions = (await foldersIn(source, modelUri, asking)).flatMap((folder) => parseVersionFolder(folder) ?? []);
  versions.sort((a, b) => b - a);
  const candidates = await Promise.all(
    versions.map(async (version) => {
      const folder = `${modelUri}${version}/`;
      const files = (await list(source, folder, asking)).map((entry) => entry.name);
      return { version, folder, hasModel: files.includes(MODEL_FILE), hasManifest: files.includes(MANIFEST_FILE) };
    }),
  );
  // The manifest is written last: beside published versions, one without it is still being written.
  const isPublished = candidates.some(({ hasManifest }) => hasManifest);
  const newest = candidates.find(({ hasModel, hasManifest }) => hasModel && (hasManifest || !isPublished));
  if (newest === undefined) return undefined;
  assertModelName(name, modelUri);
  return { name, version: newest.version, folder: newest.folder };
}

async function foldersIn(source: ModelSource, uri: string, asking: Asking): Promise<readonly string[]> {
  const entries = await list(source, uri, asking);
  const isOurs = (name: string): boolean => !name.startsWith('.') && name !== LOST_AND_FOUND;
  return entries.filter(({ name, isFolder }) => isFolder && isOurs(name)).map(({ name }) => name);
}

function list(source: ModelSource, uri: string, { signal, onRetry }: Asking): ReturnType<ModelSource['list']> {
  return retry(() => source.list(uri, signal), signal, onRetry);
}

/** At the top of every ext4 volume, for root alone to read. */
const LOST_AND_FOUND = 'lost+found';
