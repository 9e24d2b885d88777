import { isAzureBlobUrl } from '../../sources/azure-source';
import { SourceError } from '../../sources/model-source';
import type { ModelStore } from '../model-store';
import { PublishError } from '../publish-error';
import { azureObjectStore } from './azure-object-store';
import { gcsObjectStore } from './gcs-object-store';
import { objectModelStore } from './object-model-store';
import type { ObjectStore } from './object-store';
import { ociModelStore } from './oci-model-store';
import { s3ObjectStore } from './s3-object-store';

/**
 * The model repository in a bucket: `s3://`, `gs://`, `az://`, `oss://` or `cos://`, a
 * container by its own address; or in a registry, `oci://`.
 * @throws PublishError REPOSITORY_INVALID, REPOSITORY_UNREACHABLE
 */
export async function openRemoteStore(uri: string): Promise<ModelStore> {
  try {
    return uri.startsWith('oci://') ? ociModelStore(uri) : objectModelStore(await openObjects(uri));
  } catch (error) {
    if (PublishError.is(error)) throw error;
    const code =
      error instanceof SourceError && error.failure === 'permanent' ? 'REPOSITORY_INVALID' : 'REPOSITORY_UNREACHABLE';
    throw new PublishError(code, uri, (error as Error).message);
  }
}

function openObjects(uri: string): Promise<ObjectStore> | ObjectStore {
  if (isAzureBlobUrl(uri)) return azureObjectStore(uri);
  const scheme = /^([a-z0-9]+):\/\//.exec(uri)?.[1];
  switch (scheme) {
    case 's3':
    case 'oss':
    case 'cos':
      return s3ObjectStore(scheme, uri);
    case 'gs':
      return gcsObjectStore(uri);
    case 'az':
      return azureObjectStore(uri);
    case undefined:
    default:
      throw new PublishError(
        'REPOSITORY_INVALID',
        uri,
        `must be a directory, file://, s3://, gs://, az://, oss://, cos:// or oci://, got the scheme '${scheme}'`,
      );
  }
}
