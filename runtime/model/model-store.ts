import type { ModelFile } from '../spec/model-facts';
import { versionPrefix } from '../spec/model-repository';
import type { IndexedVersion } from '../spec/repository-index';
import { PublishError } from './publish-error';

/** A file to store: its bytes lie in a file of this machine or in memory. */
export type StoredFile = ModelFile &
  ({ readonly localPath: string } | { readonly content: Uint8Array }) & {
    /**
     * Whether bytes that an interrupted publish has left do as well: a signature is another one each time.
     * @default - only the same bytes do
     */
    readonly accepts?: (content: Uint8Array) => boolean;
  };

/** A file of a version as it lies in the store. */
export interface ListedFile {
  /** Relative to the folder that was listed. */
  readonly path: string;
  readonly bytes: number;
  readonly modified: Date;
}

/** A small file, and what tells it from others that had its name. */
export interface TaggedFile {
  readonly content: Buffer;
  readonly tag: string;
}

/** Told of bytes of a file that are in the store now, and whether they had been there before. */
export type OnBytes = (path: string, bytes: number, wereThere: boolean) => void;

/** Where model versions are published to, and kept: a directory or a bucket. */
export interface ModelStore {
  /** The model repository, with a closing slash. */
  readonly uri: string;
  /** Names of folders that may be models', in no order. */
  models(): Promise<readonly string[]>;
  /** Versions of a model of which anything is there, complete or not, in no order. */
  versions(model: string): Promise<readonly number[]>;
  /** Whether a version without a manifest holds nothing but some of these files: it was begun and can be finished. */
  isBegun(model: string, version: number, files: readonly StoredFile[]): Promise<boolean>;
  /**
   * Writes one model version: `files` in their order, then the manifest. Until the manifest is there, no reader takes
   * the version for published. What an interrupted publish of the same files has left is not sent again.
   * @throws PublishError VERSION_EXISTS when somebody else has published, or is publishing, the same version.
   */
  write(
    model: string,
    version: number,
    files: readonly StoredFile[],
    manifest: StoredFile,
    onBytes?: OnBytes,
  ): Promise<void>;
  /**
   * Names a written version in the repository's index, where servers look for news. Absent where they see news without
   * one, in a directory.
   * @throws PublishError REPOSITORY_UNREACHABLE
   */
  announce?(version: IndexedVersion): Promise<void>;
  /**
   * Signs what holds a version that this store has just written, as tools for images look for it. Absent where the signature of
   * the manifest says everything.
   */
  sign?(model: string, version: number, sign: (bytes: Uint8Array) => Promise<string>): Promise<void>;
  /** What names a version that this store has just written, where it is no folder. */
  placeOf?(model: string, version: number): string;
  /** Takes versions out of the index. */
  withdraw?(model: string, versions: readonly number[]): Promise<void>;
  /**
   * Removes what killed publishes of a model have left, a day later. Absent where that is a version without a manifest, which is
   * collected like any other.
   */
  tidy?(model: string): Promise<void>;
  /** Everything below a folder, given by its path in the repository with a closing slash. */
  files(folder: string): Promise<readonly ListedFile[]>;
  /** A small file by its path in the repository; undefined where there is none. */
  read(path: string): Promise<TaggedFile | undefined>;
  /**
   * Replaces the file that has this tag, or creates it where the tag is undefined, as one step that no reader sees half of.
   * @returns false when somebody else was faster
   */
  replace(path: string, content: Uint8Array, tag: string | undefined): Promise<boolean>;
  /** Deletes a file; one that is not there is as good as deleted. */
  delete(path: string): Promise<void>;
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
  const isPlain = name === 'Error' || name === 'SourceError';
  return new PublishError('REPOSITORY_UNREACHABLE', uri, oneSentence(isPlain ? message : `${name}: ${message}`));
}

/** Messages of SDKs run over several lines. */
function oneSentence(message: string): string {
  return message.replace(/\s+/g, ' ').trim();
}
