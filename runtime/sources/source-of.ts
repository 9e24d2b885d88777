import { azureSource, isAzureBlobUrl } from './azure-source';
import { cosSource } from './cos-source';
import { directorySource } from './directory-source';
import { gcsSource } from './gcs-source';
import { httpsSource } from './https-source';
import { ossSource } from './oss-source';
import { s3Source } from './s3-source';
import { shownUri, SourceError, type ModelSource } from './model-source';

const SOURCES: Readonly<Record<string, ModelSource>> = {
  file: directorySource,
  s3: s3Source,
  gs: gcsSource,
  az: azureSource,
  oss: ossSource,
  cos: cosSource,
  https: httpsSource,
  http: httpsSource,
};

/** @throws SourceError for a scheme that is not supported. */
export function sourceOf(uri: string): ModelSource {
  if (isAzureBlobUrl(uri)) return azureSource;
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1]?.toLowerCase() ?? '';
  const source = Object.hasOwn(SOURCES, scheme) ? SOURCES[scheme] : undefined;
  if (source !== undefined) return source;
  throw new SourceError(
    'permanent',
    `${shownUri(uri)} must begin with file://, s3://, gs://, az://, oss://, cos:// or https://`,
  );
}

/** The URI of a file inside a folder. File URIs and URLs are percent-encoded, object keys are not. */
export function childUri(folderUri: string, name: string): string {
  const isEncoded = /^(file|https?):/i.test(folderUri);
  return folderUri + (isEncoded ? name.split('/').map(encodeURIComponent).join('/') : name);
}
