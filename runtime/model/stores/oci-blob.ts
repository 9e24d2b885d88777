import { createHash } from 'node:crypto';
import type { OciRegistry } from './oci-registry';
import { RegistryError } from './oci-registry';
import { forgetUpload, recallUpload, rememberUpload } from './remembered-upload';

// One chunk is held in memory, so that it can be sent again.
const CHUNK_BYTES = 32 * 1024 * 1024;
/** Uploads of one blob: a registry may give one up whose connection broke. */
const ATTEMPTS = 3;

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Size and digest of what a stream gives. */
export async function measure(bytes: AsyncIterable<Uint8Array>): Promise<Blob> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.byteLength;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

/**
 * Puts a blob into a repository, in chunks; one that is there is not sent. What an ended process has sent is not sent again, where
 * the registry still has it.
 */
export async function putBlob(
  registry: OciRegistry,
  blob: Blob,
  bytes: () => AsyncIterable<Uint8Array>,
  onBytes: (bytes: number, wereThere: boolean) => void,
  chunkBytes = CHUNK_BYTES,
): Promise<void> {
  const there = await registry.ask(`blobs/${blob.digest}`, { method: 'HEAD', accepted: [404] });
  if (there.ok) return onBytes(blob.size, true);
  const identity = [registry.host, registry.repository, blob.digest];
  for (let attempt = 1; ; attempt++) {
    const location = await sendChunks(registry, identity, inChunks(bytes(), chunkBytes), onBytes);
    if (location !== undefined && (await close(registry, location, blob))) break;
    await forgetUpload(identity);
    if (attempt === ATTEMPTS) throw new RegistryError(0, `the registry has lost what was sent to it ${attempt} times`);
  }
  await forgetUpload(identity);
}

/** @returns the upload that has all of them; undefined where the registry has given it up, and another one must be begun */
async function sendChunks(
  registry: OciRegistry,
  identity: readonly string[],
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number, wereThere: boolean) => void,
): Promise<URL | undefined> {
  const begun = await goOn(registry, await recallUpload(identity));
  let { location, arrived } = begun ?? { location: await begin(registry), arrived: 0 };
  if (arrived > 0) onBytes(arrived, true);
  let position = 0;
  for await (const chunk of chunks) {
    const start = Math.max(position, arrived);
    position += chunk.byteLength;
    if (start >= position) continue;
    const body = chunk.subarray(chunk.byteLength - (position - start));
    const next = await sendChunk(registry, location, body, start);
    if (next === undefined) return undefined;
    location = next;
    arrived = position;
    await rememberUpload(identity, location.pathname + location.search);
    onBytes(body.byteLength, false);
  }
  return location;
}

/** @returns false where the upload is gone, and no twin of ours has closed it */
async function close(registry: OciRegistry, location: URL, { digest }: Blob): Promise<boolean> {
  location.searchParams.set('digest', digest);
  const headers = { 'Content-Type': 'application/octet-stream' };
  const closed = await registry.ask(location, { method: 'PUT', headers, body: new Uint8Array(0), accepted: [404] });
  return closed.ok || (await registry.ask(`blobs/${digest}`, { method: 'HEAD', accepted: [404] })).ok;
}

/**
 * @returns where the next one goes. Undefined where the registry says that this chunk does not begin where the last one ended:
 * a connection broke, a part of it has arrived, and it was sent again. By the specification that is 416; others say 400 or 404, and
 * have thrown away what there was.
 */
async function sendChunk(
  registry: OciRegistry,
  location: URL,
  body: Uint8Array,
  start: number,
): Promise<URL | undefined> {
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Content-Range': `${start}-${start + body.byteLength - 1}`,
  };
  try {
    const response = await registry.ask(location, { method: 'PATCH', headers, body });
    return registry.locate(response.headers.get('location'));
  } catch (error) {
    if (error instanceof RegistryError && [400, 404, 416].includes(error.status)) return undefined;
    throw error;
  }
}

async function begin(registry: OciRegistry): Promise<URL> {
  const response = await registry.ask('blobs/uploads/', { method: 'POST', body: new Uint8Array(0) });
  return registry.locate(response.headers.get('location'));
}

async function goOn(
  registry: OciRegistry,
  address: string | undefined,
): Promise<{ readonly location: URL; readonly arrived: number } | undefined> {
  if (address === undefined) return undefined;
  try {
    const response = await registry.ask(registry.locate(address));
    const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1];
    if (end === undefined) return undefined;
    return { location: registry.locate(response.headers.get('location') ?? address), arrived: Number(end) + 1 };
  } catch (error) {
    if (error instanceof RegistryError && error.status >= 400 && error.status < 500) return undefined;
    throw error;
  }
}

/** The same bytes in pieces of one size, only the last one shorter. */
async function* inChunks(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.byteLength;) {
      const taken = Math.min(size - filled, chunk.byteLength - at);
      buffer.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < size) continue;
      yield buffer;
      buffer = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}
