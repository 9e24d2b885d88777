import { directorySource } from './directory-source';
import { SourceError, type ModelSource } from './model-source';
import { s3Source } from './s3-source';

/** @throws SourceError for a scheme that is not supported. */
export function sourceOf(uri: string): ModelSource {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === 'file') return directorySource;
  if (scheme === 's3') return s3Source;
  throw new SourceError('permanent', `${uri} must begin with file:// or s3://`);
}
