import { SourceError } from '../../sources/model-source';
import { sourceOf } from '../../sources/source-of';

/**
 * A file that is read into memory whole.
 * @returns undefined when it is not there.
 * @throws SourceError, also when it has more than `maxBytes`.
 */
export async function readSmallFile(uri: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    const stream = await sourceOf(uri).open(uri, signal);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    // Leaving the loop early destroys the stream.
    for await (const chunk of stream) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > maxBytes) throw new SourceError('permanent', `${uri} has more than ${maxBytes} bytes`);
      chunks.push(chunk as Uint8Array);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (!(error instanceof SourceError)) throw new SourceError('transient', `${uri}: ${(error as Error).message}`);
    if (error.failure === 'missing') return undefined;
    throw error;
  }
}
