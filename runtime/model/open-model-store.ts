import { resolve } from 'node:path';
import { pathOfFileUri } from '../onnx/file-uri';
import { directoryModelStore } from './directory-model-store';
import type { ModelStore } from './model-store';
import { PublishError } from './publish-error';
import { s3ModelStore } from './s3-model-store';

/**
 * The model repository at a URI: `s3://bucket/prefix`, `file:///path`, or the path of a directory.
 * @throws PublishError REPOSITORY_INVALID, PACKAGE_MISSING
 */
export async function openModelStore(repository: string): Promise<ModelStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(repository)?.[1];
  switch (scheme) {
    case undefined:
      return directoryModelStore(resolve(repository));
    case 's3':
      return s3ModelStore(repository);
    case 'file':
      return directoryModelStore(pathOf(repository));
    default:
      throw new PublishError(
        'REPOSITORY_INVALID',
        repository,
        `must be a directory, file:// or s3://, got the scheme '${scheme}'`,
      );
  }
}

function pathOf(uri: string): string {
  try {
    return resolve(pathOfFileUri(uri));
  } catch (error) {
    throw new PublishError('REPOSITORY_INVALID', uri, `must be file:///<absolute path>: ${(error as Error).message}`);
  }
}
