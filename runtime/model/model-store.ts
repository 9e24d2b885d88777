import type { ModelFile } from '../spec/model-facts';
import { versionPrefix } from '../spec/model-repository';
import type { IndexedVersion } from '../spec/repository-index';
import { PublishError } from './publish-error';

/** A file to store: its bytes lie in a file of this machine or in memory. */
export type StoredFile = ModelFile & ({ readonly localPath: string } | { readonly content: Uint8Array });

/** Where model versions are published to: a directory or a bucket. */
export interface ModelStore {
  /** The model repository, with a closing slash. */
  readonly uri: string;
  /** Versions of a model of which anything is there, complete or not, in no order. */
  versions(model: string): Promise<readonly number[]>;
  /**
   * Writes one model version: `files` in their order, then the manifest. Until the manifest is there, no reader takes
   * the version for published; when anything fails, what was written is taken away again.
   * @throws PublishError VERSION_EXISTS when somebody else has published, or is publishing, the same version.
   */
  write(model: string, version: number, files: readonly StoredFile[], manifest: StoredFile): Promise<void>;
  /**
   * Names a written version in the repository's index, where servers look for news. Absent where they see news without
   * one, in a directory.
   * @throws PublishError REPOSITORY_UNREACHABLE
   */
  announce?(version: IndexedVersion): Promise<void>;
}

export function versionExists(repositoryUri: string, model: string, version: number): PublishError {
  return new PublishError(
    'VERSION_EXISTS',
    `${repositoryUri}${versionPrefix(model, version)}`,
    'is there already, and a version never changes: leave the version out to publish the next one',
  );
}

export function unreachable(uri: string, error: unknown): PublishError {
  const { name, message } = error as Error;
  return new PublishError('REPOSITORY_UNREACHABLE', uri, name === 'Error' ? message : `${name}: ${message}`);
}
