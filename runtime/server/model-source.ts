import type { Readable } from 'node:stream';

/** One thing directly inside a folder. */
export interface SourceEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** Where model files come from. URIs name files and, with a closing slash, folders. */
export interface ModelSource {
  /** @throws SourceError */
  list(folderUri: string, signal: AbortSignal): Promise<readonly SourceEntry[]>;
  /** @throws SourceError */
  open(uri: string, signal: AbortSignal): Promise<Readable>;
  /** The path of a file or folder that can be used where it lies. */
  localPath?(uri: string): string;
}

export type SourceFailure =
  /** There is nothing at the URI, or nothing that we are allowed to know of. */
  | 'missing'
  /** Trying again may help. */
  | 'transient'
  | 'permanent';

export class SourceError extends Error {
  override readonly name = 'SourceError';

  constructor(
    readonly failure: SourceFailure,
    message: string,
  ) {
    super(message);
  }
}
