import type { Readable } from 'node:stream';

/** One thing directly inside a folder. */
export interface SourceEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** What a source says of a file without sending it. */
export interface SourceStat {
  /** Size, where the source tells it. */
  readonly bytes?: number;
  /** ETag or generation: another one means other bytes. Undefined where the source has nothing of the kind. */
  readonly tag?: string;
  /** Whether parts of the file can be asked for. */
  readonly hasRanges: boolean;
}

/** A part of a file: from `start` up to, but not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OpenOptions {
  /** Only this part. By default the whole file. */
  readonly range?: ByteRange;
  /** Refuses, as 'changed', a file that is not the one with this tag any more. */
  readonly tag?: string;
}

/** Where model files come from. URIs name files and, with a closing slash, folders. */
export interface ModelSource {
  /** @throws SourceError */
  list(folderUri: string, signal: AbortSignal): Promise<readonly SourceEntry[]>;
  /** @throws SourceError */
  stat(uri: string, signal: AbortSignal): Promise<SourceStat>;
  /** @throws SourceError */
  open(uri: string, signal: AbortSignal, options?: OpenOptions): Promise<Readable>;
  /** The path of a file or folder that can be used where it lies. */
  localPath?(uri: string): string;
}

export type SourceFailure =
  /** There is nothing at the URI, or nothing that we are allowed to know of. */
  | 'missing'
  /** Trying again may help. */
  | 'transient'
  /** The file is not the one any more of which a part was asked for: begin again with what is there now. */
  | 'changed'
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

/** A URI as messages and logs may show it: without the user, the password and the query, which may be a signature. */
export function shownUri(uri: string): string {
  return uri
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
    .replace(/[?#].*$/, (rest) => (/^https?:/i.test(uri) ? '' : rest));
}
