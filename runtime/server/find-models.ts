import { readFile } from 'node:fs/promises';
import { pathOfFileUri } from '../onnx/file-uri';
import type { ServerSettings } from '../spec/environment';
import { parseModelReferences, type ModelReference } from '../spec/model-reference';
import { MODEL_FILE } from '../spec/model-repository';
import { StartupError } from './errors';
import { shownUri, SourceError } from '../sources/model-source';
import { scanRepository, type FoundModel, type ScanOptions } from './repository/scan-repository';

/** How a model repository is asked: until the signal aborts, telling of each failure that may pass. */
export interface Asking {
  readonly signal: AbortSignal;
  readonly onRetry: (error: SourceError) => void;
}

/** Where a replica's models come from: exactly those that a deployment names, or whatever a repository holds. */
export type ModelOrigin =
  { readonly kind: 'references'; readonly models: string } | { readonly kind: 'repository'; readonly uri: string };

/** @throws StartupError NO_MODEL when the settings name none or both. */
export function modelOrigin({
  models,
  modelRepository,
}: Pick<ServerSettings, 'models' | 'modelRepository'>): ModelOrigin {
  if (models !== undefined && modelRepository !== undefined) {
    throw new StartupError('NO_MODEL', 'SLIPWAY_MODELS and SLIPWAY_MODEL_REPOSITORY are both set; unset one of them');
  }
  if (models !== undefined) return { kind: 'references', models };
  if (modelRepository !== undefined) return { kind: 'repository', uri: modelRepository };
  throw new StartupError(
    'NO_MODEL',
    'no model to serve: set SLIPWAY_MODEL_REPOSITORY to a directory or the URI of a model repository, or SLIPWAY_MODELS',
  );
}

/**
 * The model versions that `SLIPWAY_MODELS` names.
 * @throws StartupError NO_MODEL when its file cannot be read, SpecError for references that cannot be read.
 */
export async function readReferences(models: string): Promise<readonly ModelReference[]> {
  if (!models.startsWith('file://')) return parseModelReferences(models);
  let text: string;
  try {
    text = await readFile(pathOfFileUri(models), 'utf8');
  } catch (error) {
    throw new StartupError('NO_MODEL', `SLIPWAY_MODELS cannot be read: ${(error as Error).message}`);
  }
  return parseModelReferences(text, models);
}

/**
 * The models of a repository that is served as it is.
 * @throws StartupError NO_MODEL when it holds none, MODEL_REPOSITORY_UNREADABLE
 */
export async function findRepositoryModels(repository: string, options: ScanOptions): Promise<readonly FoundModel[]> {
  try {
    const models = await scanRepository(repository, options);
    if (models.length > 0) return models;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new StartupError('MODEL_REPOSITORY_UNREADABLE', `model repository ${shownUri(repository)}: ${error.message}`);
  }
  throw new StartupError(
    'NO_MODEL',
    `no model found in ${shownUri(repository)}: expected <model>/<version>/${MODEL_FILE}, as slipway model publish lays it out`,
  );
}
