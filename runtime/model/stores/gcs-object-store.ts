import { PublishError } from '../publish-error';
import { gcsAsker, GcsError, json } from './gcs-request';
import { createByResumableUpload } from './gcs-upload';
import { contentTypeOf, factsOf, toPrefix, type ListedObject, type ObjectStore } from './object-store';

interface Resource {
  readonly name: string;
  readonly size?: string;
  readonly generation?: string;
  readonly updated?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

// A multiple of 256 KiB, as the protocol wants; one chunk is held in memory.
const CHUNK_BYTES = 32 * 1024 * 1024;

/**
 * A bucket of Google Cloud Storage, with the identity and the endpoint that the server reads it with. Needs
 * `storage.objects.create`, `get` and `list`; `delete` for `gc`, and for labels and the index, which are replaced.
 * @throws PublishError REPOSITORY_INVALID
 */
export function gcsObjectStore(uri: string, { chunkBytes = CHUNK_BYTES } = {}): ObjectStore {
  const match = /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:\/(.*))?$/.exec(uri);
  if (match === null) {
    throw new PublishError('REPOSITORY_INVALID', uri, 'must be gs://<bucket> or gs://<bucket>/<prefix>');
  }
  const bucket = match[1]!;
  const prefix = toPrefix(match[2] ?? '');
  const ask = gcsAsker(uri);
  const pathOf = (key: string): string => `/storage/v1/b/${bucket}/o/${encodeURIComponent(prefix + key)}`;

  async function list(below: string, delimiter?: string): ReturnType<ObjectStore['list']> {
    const folders: string[] = [];
    const objects: ListedObject[] = [];
    for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
      const page: Page = await json<Page>(
        await ask(`/storage/v1/b/${bucket}/o`, {
          prefix: prefix + below,
          fields: 'prefixes,items(name,size,updated),nextPageToken',
          ...(delimiter === undefined ? {} : { delimiter }),
          ...(pageToken === '' ? {} : { pageToken }),
        }),
      );
      folders.push(...(page.prefixes ?? []).map((name) => name.slice(prefix.length + below.length, -1)));
      for (const { name, size = '0', updated = '' } of page.items ?? []) {
        objects.push({ key: name.slice(prefix.length), bytes: Number(size), modified: new Date(updated) });
      }
      pageToken = page.nextPageToken;
    }
    return { folders, objects };
  }

  return {
    uri: `gs://${bucket}/${prefix}`,
    list: (below) => list(below, '/'),
    listAll: async (below) => (await list(below)).objects,

    head: (key) =>
      unlessHidden(async () => {
        const { size, metadata } = await json<Resource>(await ask(pathOf(key), { fields: 'size,metadata' }));
        return factsOf(Number(size), metadata);
      }),

    read: (key) =>
      unlessMissing(async () => {
        const response = await ask(pathOf(key), { alt: 'media' });
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        return { content: Buffer.concat(chunks), tag: String(response.headers['x-goog-generation']) };
      }),

    create: (key, file, progress) =>
      unlessConflict(() =>
        createByResumableUpload(ask, { uri, bucket, name: prefix + key, chunkBytes }, file, progress),
      ),

    // Zero is the generation of what is not there.
    replace: (key, content, tag = '0') =>
      unlessConflict(async () => {
        const query = { uploadType: 'media', name: prefix + key, ifGenerationMatch: tag };
        const headers = { 'Content-Type': contentTypeOf(key), 'Content-Length': content.byteLength };
        const request = { method: 'POST', headers, body: content } as const;
        (await ask(`/upload/storage/v1/b/${bucket}/o`, query, request)).resume();
        return true;
      }),

    async delete(key) {
      await unlessMissing(async () => (await ask(pathOf(key), {}, { method: 'DELETE' })).resume());
    },
  };
}

interface Page {
  readonly prefixes?: readonly string[];
  readonly items?: readonly Resource[];
  readonly nextPageToken?: string;
}

async function unlessConflict(send: () => Promise<boolean>): Promise<boolean> {
  try {
    return await send();
  } catch (error) {
    if (error instanceof GcsError && error.status === 412) return false;
    throw error;
  }
}

/** Whoever may not list gets 403 for what is missing. If it is there and may not be read, creating it says so. */
async function unlessHidden<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await unlessMissing(ask);
  } catch (error) {
    if (error instanceof GcsError && error.status === 403) return undefined;
    throw error;
  }
}

async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof GcsError && error.status === 404) return undefined;
    throw error;
  }
}
