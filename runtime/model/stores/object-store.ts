import type { StoredFile } from '../model-store';

/** What is known of an object without reading it. */
export interface ObjectFacts {
  readonly bytes: number;
  /** SHA-256 that its publisher wrote beside it. @default - it was not published by us */
  readonly sha256?: string;
  /** Which run of `slipway model publish` has created it. @default - none of ours */
  readonly publisher?: string;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly modified: Date;
}

export interface SmallObject {
  readonly content: Buffer;
  /** Another one means other bytes. */
  readonly tag: string;
}

/** What a model repository needs of a bucket. Keys are relative to the repository. */
export interface ObjectStore {
  /** The model repository, with a closing slash. */
  readonly uri: string;
  /** What lies directly below a prefix: folders by their names, without slash, and objects. */
  list(prefix: string): Promise<{ readonly folders: readonly string[]; readonly objects: readonly ListedObject[] }>;
  /** Every object below a prefix. */
  listAll(prefix: string): Promise<readonly ListedObject[]>;
  head(key: string): Promise<ObjectFacts | undefined>;
  read(key: string): Promise<SmallObject | undefined>;
  /**
   * Creates an object that must not be there. What an earlier run has sent of a large one is not sent again.
   * @returns false when there is one by now: of two who create it, one does
   */
  create(key: string, file: StoredFile, progress: UploadProgress): Promise<boolean>;
  /**
   * Replaces the object that has this tag, or creates it where the tag is undefined.
   * @returns false when it is another one by now
   */
  replace(key: string, content: Uint8Array, tag: string | undefined): Promise<boolean>;
  /** Deletes an object; one that is not there is as good as deleted. */
  delete(key: string): Promise<void>;
}

export interface UploadProgress {
  /** Which publish this is: written beside each object that it creates. */
  readonly publisher: string;
  /** Told of bytes that are there now, and whether they had to be sent. */
  readonly onBytes: (bytes: number, wereThere: boolean) => void;
}

/** Names of what is written beside each object; Azure takes nothing but letters, digits and underscores. */
export const SHA256_METADATA = 'slipwaysha256';
export const PUBLISHER_METADATA = 'slipwaypublisher';

export function factsOf(bytes: number, metadata: Readonly<Record<string, string>> = {}): ObjectFacts {
  const sha256 = metadata[SHA256_METADATA];
  const publisher = metadata[PUBLISHER_METADATA];
  return {
    bytes,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(publisher === undefined ? {} : { publisher }),
  };
}

export function metadataOf({ sha256 }: StoredFile, { publisher }: UploadProgress): Record<string, string> {
  return { [SHA256_METADATA]: sha256, [PUBLISHER_METADATA]: publisher };
}

/** What an object of a version is served as, where somebody looks with a browser. */
export function contentTypeOf(key: string): string {
  return key.endsWith('.json') ? 'application/json' : 'application/octet-stream';
}

/** A path inside a bucket as a prefix of keys: without empty parts, empty or with a closing slash. */
export function toPrefix(path: string): string {
  return path
    .split('/')
    .filter(Boolean)
    .map((part) => `${part}/`)
    .join('');
}
