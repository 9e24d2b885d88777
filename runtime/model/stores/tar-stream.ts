import type { StoredFile } from '../model-store';
import { readChunks } from '../read-chunks';

const BLOCK = 512;
const READ_BYTES = 4 * 1024 * 1024;
/** What the size field of the oldest format holds. */
const MAX_PLAIN_SIZE = 8 * 1024 ** 3 - 1;

/**
 * Files as a tar archive, the same bytes for the same files: no owner, no time, in the order they are given, and folders before
 * what lies in them. Names that are long, and files of 8 GiB and more, have a POSIX extended header.
 */
export async function* tarStream(folder: string, files: readonly StoredFile[]): AsyncGenerator<Uint8Array> {
  const made = new Set<string>();
  for (const file of files) {
    const name = folder + file.path;
    const parts = name.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const above = `${parts.slice(0, depth).join('/')}/`;
      if (made.has(above)) continue;
      made.add(above);
      yield header(above, 0, '5');
    }
    yield header(name, file.bytes, '0');
    for await (const chunk of readChunks(file, READ_BYTES)) yield chunk;
    yield Buffer.alloc((BLOCK - (file.bytes % BLOCK)) % BLOCK);
  }
  yield Buffer.alloc(2 * BLOCK);
}

function header(name: string, size: number, type: '0' | '5' | 'x'): Uint8Array {
  const isPlain = Buffer.byteLength(name) <= 100 && size <= MAX_PLAIN_SIZE;
  if (isPlain) return plainHeader(name, size, type);
  const records = Buffer.from(record('path', name) + (size <= MAX_PLAIN_SIZE ? '' : record('size', String(size))));
  const padding = Buffer.alloc((BLOCK - (records.byteLength % BLOCK)) % BLOCK);
  const short = Buffer.from(name).subarray(0, 100).toString('latin1');
  return Buffer.concat([
    plainHeader('PaxHeader', records.byteLength, 'x'),
    records,
    padding,
    plainHeader(short, Math.min(size, MAX_PLAIN_SIZE), type),
  ]);
}

/** `<length> key=value\n`, whose length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length) {
    length = String(length).length + Buffer.byteLength(rest);
  }
  return `${length}${rest}`;
}

function plainHeader(name: string, size: number, type: '0' | '5' | 'x'): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  block.write(name, 0, 100, 'latin1');
  octal(type === '5' ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  block.write('\0 ', 154, 'latin1');
  return block;
}
