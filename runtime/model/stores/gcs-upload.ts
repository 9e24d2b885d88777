import { createHash } from 'node:crypto';
import type { StoredFile } from '../model-store';
import { readChunks } from '../read-chunks';
import { GcsError, type AskGcs } from './gcs-request';
import { contentTypeOf, metadataOf, type UploadProgress } from './object-store';
import { forgetUpload, recallUpload, rememberUpload } from './remembered-upload';

export interface GcsObject {
  /** The model repository, for messages. */
  readonly uri: string;
  readonly bucket: string;
  readonly name: string;
  readonly chunkBytes: number;
}

/** Files as small as this one are sent again rather than remembered. */
const WORTH_REMEMBERING_BYTES = 8 * 1024 * 1024;

/**
 * Creates an object through a resumable upload, which Google keeps for a week under an address that only we know: it is
 * remembered on this machine, and what has arrived is not sent again
 * (https://cloud.google.com/storage/docs/performing-resumable-uploads).
 * @returns true; a conflict is a GcsError 412
 */
export async function createByResumableUpload(
  ask: AskGcs,
  object: GcsObject,
  file: StoredFile,
  progress: UploadProgress,
): Promise<boolean> {
  const isWorthIt = file.bytes > WORTH_REMEMBERING_BYTES;
  const identity = [object.uri, object.bucket, object.name, file.sha256];
  const begun = isWorthIt ? await goOn(ask, await recallUpload(identity), file) : undefined;
  const upload = begun ?? { session: await begin(ask, object, file, progress), arrived: 0 };
  if (isWorthIt && begun === undefined) await rememberUpload(identity, upload.session);
  let at = 0;
  for await (const chunk of readChunks(file, object.chunkBytes)) {
    const end = at + chunk.byteLength;
    const wasThere = end <= upload.arrived;
    if (!wasThere) await sendChunk(ask, upload.session, chunk, at, upload.arrived, file.bytes);
    progress.onBytes(chunk.byteLength, wasThere);
    at = end;
  }
  if (file.bytes === 0) await send(ask, upload.session, new Uint8Array(0), 0, 0);
  if (isWorthIt) await forgetUpload(identity);
  return true;
}

interface Upload {
  /** Path and query of the address. */
  readonly session: string;
  /** Bytes that Google has. */
  readonly arrived: number;
}

async function begin(
  ask: AskGcs,
  { bucket, name }: GcsObject,
  file: StoredFile,
  progress: UploadProgress,
): Promise<string> {
  const query = { uploadType: 'resumable', name, ifGenerationMatch: '0' };
  const contentType = contentTypeOf(name);
  const body = JSON.stringify({ name, contentType, md5Hash: await md5Of(file), metadata: metadataOf(file, progress) });
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'X-Upload-Content-Type': contentType,
    'X-Upload-Content-Length': file.bytes,
  };
  const response = await ask(`/upload/storage/v1/b/${bucket}/o`, query, { method: 'POST', headers, body });
  response.resume();
  const { pathname, search } = new URL(response.headers.location ?? '', 'https://storage.googleapis.com');
  return pathname + search;
}

/** Google makes no object of other bytes than these, so nobody ever finds a damaged one. */
async function md5Of(file: StoredFile): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of readChunks(file, 4 * 1024 * 1024)) hash.update(chunk);
  return hash.digest('base64');
}

/** Where a remembered upload stands; undefined when there is none any more. */
async function goOn(ask: AskGcs, session: string | undefined, file: StoredFile): Promise<Upload | undefined> {
  if (session === undefined) return undefined;
  try {
    const headers = { 'Content-Range': `bytes */${file.bytes}`, 'Content-Length': 0 };
    const response = await askSession(ask, session, { method: 'PUT', headers });
    response.resume();
    // Anything but 308 says that the object was made, and so it is not ours to make.
    if (response.statusCode !== 308) return undefined;
    return { session, arrived: arrivedOf(response) };
  } catch (error) {
    if (error instanceof GcsError) return undefined;
    throw error;
  }
}

/** Google may keep only the beginning of what it is sent, and says how far. */
async function sendChunk(
  ask: AskGcs,
  session: string,
  chunk: Uint8Array,
  chunkStart: number,
  arrived: number,
  total: number,
): Promise<void> {
  const end = chunkStart + chunk.byteLength;
  for (let from = Math.max(chunkStart, arrived); from < end;) {
    const next = await send(ask, session, chunk.subarray(from - chunkStart), from, total);
    if (next <= from) throw new Error(`Google keeps nothing of what is sent after byte ${from}`);
    from = next;
  }
}

/** @returns how many bytes from the file's start Google has by now */
async function send(ask: AskGcs, session: string, body: Uint8Array, from: number, total: number): Promise<number> {
  const range = total === 0 ? 'bytes */0' : `bytes ${from}-${from + body.byteLength - 1}/${total}`;
  const headers = { 'Content-Range': range, 'Content-Length': body.byteLength };
  const response = await askSession(ask, session, { method: 'PUT', headers, body });
  response.resume();
  return response.statusCode === 308 ? arrivedOf(response) : total;
}

function arrivedOf({ headers }: Awaited<ReturnType<AskGcs>>): number {
  const end = /^bytes=0-(\d+)$/.exec(String(headers['range'] ?? ''))?.[1];
  return end === undefined ? 0 : Number(end) + 1;
}

function askSession(ask: AskGcs, session: string, request: Parameters<AskGcs>[2]): ReturnType<AskGcs> {
  const { pathname, searchParams } = new URL(session, 'https://storage.googleapis.com');
  return ask(pathname, Object.fromEntries(searchParams), request);
}
