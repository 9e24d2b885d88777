import { createHash } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob' with { 'resolution-mode': 'import' };
import { azureClientOf, parseAzureUri } from '../../sources/azure-source';
import type { StoredFile } from '../model-store';
import { PublishError } from '../publish-error';
import { readChunks } from '../read-chunks';
import {
  contentTypeOf,
  factsOf,
  metadataOf,
  toPrefix,
  type ListedObject,
  type ObjectStore,
  type UploadProgress,
} from './object-store';

// One block is held in memory. 50,000 of them, Azure's limit, make 1.5 TiB.
const BLOCK_BYTES = 32 * 1024 * 1024;

/**
 * A container of Azure Storage, with the identity and the endpoint that the server reads it with. Needs the role Storage Blob
 * Data Contributor.
 * @throws PublishError REPOSITORY_INVALID; SourceError or Error when no identity opens the account
 */
export async function azureObjectStore(uri: string, { blockBytes = BLOCK_BYTES } = {}): Promise<ObjectStore> {
  const place = placeOf(uri);
  const { account, container } = place;
  const prefix = toPrefix(place.blob);
  const service = await azureClientOf(place);
  const client: ContainerClient = service.getContainerClient(container);
  const blobAt = (key: string): BlockBlobClient => client.getBlockBlobClient(prefix + key);
  const root = place.endpoint === undefined ? `az://${account}/${container}` : `${place.endpoint}/${container}`;
  const object = (name: string, properties: { contentLength?: number; lastModified: Date }): ListedObject => ({
    key: name.slice(prefix.length),
    bytes: properties.contentLength ?? 0,
    modified: properties.lastModified,
  });

  return {
    uri: `${root}/${prefix}`,

    list: (below) =>
      plainly(async () => {
        const folders: string[] = [];
        const objects: ListedObject[] = [];
        for await (const item of client.listBlobsByHierarchy('/', { prefix: prefix + below })) {
          if (item.kind === 'prefix') folders.push(item.name.slice(prefix.length + below.length, -1));
          else objects.push(object(item.name, item.properties));
        }
        return { folders, objects };
      }),

    listAll: (below) =>
      plainly(async () => {
        const objects: ListedObject[] = [];
        for await (const { name, properties } of client.listBlobsFlat({ prefix: prefix + below })) {
          objects.push(object(name, properties));
        }
        return objects;
      }),

    head: (key) =>
      unlessMissing(async () => {
        const { contentLength = 0, metadata } = await blobAt(key).getProperties();
        return factsOf(contentLength, metadata);
      }),

    read: (key) =>
      unlessMissing(async () => {
        const { readableStreamBody, etag } = await blobAt(key).download();
        const chunks: Buffer[] = [];
        for await (const chunk of readableStreamBody!) chunks.push(Buffer.from(chunk));
        return { content: Buffer.concat(chunks), tag: etag! };
      }),

    create: (key, file, progress) =>
      file.bytes > blockBytes
        ? createInBlocks(blobAt(key), key, file, progress, blockBytes)
        : createAtOnce(blobAt(key), key, file, progress),

    replace: (key, content, tag) =>
      unlessConflict(() =>
        blobAt(key).upload(content, content.byteLength, {
          conditions: tag === undefined ? { ifNoneMatch: '*' } : { ifMatch: tag },
          blobHTTPHeaders: { blobContentType: contentTypeOf(key) },
        }),
      ),

    delete: (key) => plainly(async () => void (await blobAt(key).deleteIfExists())),
  };
}

/** @throws PublishError REPOSITORY_INVALID */
function placeOf(uri: string): ReturnType<typeof parseAzureUri> {
  try {
    // A container without a path is written with or without its slash.
    return parseAzureUri(/^az:\/\/[^/]+\/[^/]+$/.test(uri) ? `${uri}/` : uri);
  } catch {
    throw new PublishError(
      'REPOSITORY_INVALID',
      uri,
      'must be az://<account>/<container> or az://<account>/<container>/<prefix>',
    );
  }
}

async function createAtOnce(
  blob: BlockBlobClient,
  key: string,
  file: StoredFile,
  progress: UploadProgress,
): Promise<boolean> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(file, Math.max(1, file.bytes))) chunks.push(chunk);
  const body = chunks[0] ?? new Uint8Array(0);
  const isOurs = await unlessConflict(() =>
    blob.upload(body, body.byteLength, {
      conditions: { ifNoneMatch: '*' },
      metadata: metadataOf(file, progress),
      blobHTTPHeaders: { blobContentType: contentTypeOf(key), blobContentMD5: md5(body) },
      transactionalContentMD5: md5(body),
    } as Parameters<BlockBlobClient['upload']>[2]),
  );
  if (isOurs) progress.onBytes(file.bytes, false);
  return isOurs;
}

/**
 * Blocks wait for a week before anybody commits them, and are named after their bytes: what an ended process has sent is known
 * by its names.
 */
async function createInBlocks(
  blob: BlockBlobClient,
  key: string,
  file: StoredFile,
  progress: UploadProgress,
  blockBytes: number,
): Promise<boolean> {
  const there = await unlessMissing(() => blob.getBlockList('uncommitted'));
  const known = new Map(there?.uncommittedBlocks?.map(({ name, size }) => [name, size]));
  const names: string[] = [];
  for await (const body of readChunks(file, blockBytes)) {
    const name = blockName(names.length, body);
    const wasThere = known.get(name) === body.byteLength;
    if (!wasThere) {
      await plainly(() => blob.stageBlock(name, body, body.byteLength, { transactionalContentMD5: md5(body) }));
    }
    names.push(name);
    progress.onBytes(body.byteLength, wasThere);
  }
  return unlessConflict(() =>
    blob.commitBlockList(names, {
      conditions: { ifNoneMatch: '*' },
      metadata: metadataOf(file, progress),
      blobHTTPHeaders: { blobContentType: contentTypeOf(key) },
    }),
  );
}

/** All names of a blob's blocks have one length. */
function blockName(index: number, body: Uint8Array): string {
  const digest = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${String(index).padStart(6, '0')}-${digest.slice(0, 40)}`).toString('base64');
}

function md5(body: Uint8Array): Uint8Array {
  return createHash('md5').update(body).digest();
}

/** Messages of the library may quote the address with its signature, so a failure is told by its name alone. */
async function plainly<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const { code = '', statusCode, message } = error as { code?: string; statusCode?: number; message: string };
    if (statusCode === undefined && !/signature|sig=/i.test(message)) throw error;
    throw Object.assign(new Error(`Azure answers ${code || statusCode}`), { code, statusCode });
  }
}

async function unlessConflict(send: () => Promise<unknown>): Promise<boolean> {
  try {
    await plainly(send);
    return true;
  } catch (error) {
    const { code = '', statusCode } = error as { code?: string; statusCode?: number };
    if (statusCode === 412 || (statusCode === 409 && code === 'BlobAlreadyExists')) return false;
    throw error;
  }
}

async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await plainly(ask);
  } catch (error) {
    const { code, statusCode } = error as { code?: string; statusCode?: number };
    if (statusCode === 404 && code !== 'ContainerNotFound') return undefined;
    throw error;
  }
}
