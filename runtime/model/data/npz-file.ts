import { crc32 } from 'node:zlib';
import type { Readable } from 'node:stream';
import type { Entry, ZipFile } from 'yauzl';
import {
  NPY_PREFIX_BYTES,
  npyHeaderBytes,
  readNpy,
  readNpyElements,
  readNpyHeader,
  type NpyHeader,
} from '../../onnx/npy';
import { elementCount, TensorEncodingError, type TensorData } from '../../onnx/tensor-encoding';
import { showJson } from '../../onnx/show-json';
import { ModelToolError } from '../tool-error';
import { ByteReader } from './byte-reader';

/** More arrays than anybody keeps in one file. */
const MAX_ENTRIES = 1_000;
/** NumPy's own headers are below 200 bytes. */
const MAX_HEADER_BYTES = 2 ** 16;
/** Column-major arrays are turned in memory, which takes them whole. */
const MAX_TURNED_BYTES = 2 ** 30;

/** Elements of one array from its first row on. */
export interface NpzRows {
  readonly header: NpyHeader;
  /** The elements of the next rows. */
  take(rows: number): Promise<TensorData>;
  close(): void;
}

/**
 * The arrays of an `.npz` file (NumPy's zip of `.npy` files), read row by row. Nothing in it is executed or written to a
 * disk: arrays of Python objects, names that leave a folder, and entries that are larger than they say are refused.
 */
export class NpzFile {
  private constructor(
    private readonly path: string,
    private readonly zip: ZipFile,
    private readonly entries: ReadonlyMap<string, { readonly entry: Entry; readonly header: NpyHeader }>,
  ) {}

  /**
   * @param maxBytes Most that all arrays together may take when they are unpacked.
   * @throws ModelToolError DATA_UNREADABLE, DATA_UNSAFE or DATA_TOO_LARGE
   */
  static async open(path: string, maxBytes: number): Promise<NpzFile> {
    const zip = await openZip(path);
    try {
      const entries = await listEntries(zip, path, maxBytes);
      const arrays = new Map<string, { entry: Entry; header: NpyHeader }>();
      for (const [name, entry] of entries) arrays.set(name, { entry, header: await readHead(zip, entry, path) });
      return new NpzFile(path, zip, arrays);
    } catch (error) {
      zip.close();
      throw toolError(error, path);
    }
  }

  get names(): readonly string[] {
    return [...this.entries.keys()];
  }

  header(name: string): NpyHeader | undefined {
    return this.entries.get(name)?.header;
  }

  /** Rows of an array that is there. @throws ModelToolError as `open` */
  async rows(name: string): Promise<NpzRows> {
    const { entry, header } = this.entries.get(name)!;
    const reader = new EntryReader(await this.stream(entry), entry, this.path);
    if (header.isFortran && header.shape.length > 1) return this.turned(name, header, reader);
    const [count = 1, ...rest] = header.shape;
    const rowBytes = elementCount(rest) * header.elementBytes;
    let left = count;
    await reader.take(header.dataAt);
    return {
      header,
      take: async (rows) => {
        const bytes = await reader.take(rows * rowBytes);
        left -= rows;
        if (left === 0) await reader.finish();
        return this.decode(name, header, bytes);
      },
      close: () => reader.close(),
    };
  }

  close(): void {
    this.zip.close();
  }

  private async turned(name: string, header: NpyHeader, reader: EntryReader): Promise<NpzRows> {
    const bytes = header.dataAt + elementCount(header.shape) * header.elementBytes;
    if (bytes > MAX_TURNED_BYTES) {
      reader.close();
      throw new ModelToolError(
        'DATA_TOO_LARGE',
        this.path,
        `array '${name}' lies in column-major order, which is read up to ${MAX_TURNED_BYTES} bytes, got ${bytes}: save numpy.ascontiguousarray of it`,
      );
    }
    const { data } = readNpy(await reader.take(bytes));
    await reader.finish();
    const rowElements = elementCount(header.shape.slice(1));
    let at = 0;
    const slice = (from: number, to: number): TensorData =>
      Array.isArray(data) ? (data.slice(from, to) as string[]) : (data as Float32Array).subarray(from, to);
    return {
      header,
      take: (rows) => Promise.resolve(slice(at * rowElements, (at += rows) * rowElements)),
      close: () => {},
    };
  }

  private decode(name: string, header: NpyHeader, bytes: Uint8Array): TensorData {
    try {
      return readNpyElements(header, bytes);
    } catch (error) {
      if (!TensorEncodingError.is(error)) throw error;
      throw new ModelToolError('DATA_UNREADABLE', this.path, `array '${name}': ${error.message}`);
    }
  }

  private async stream(entry: Entry): Promise<Readable> {
    try {
      return await this.zip.openReadStreamPromise(entry);
    } catch (error) {
      throw toolError(error, this.path);
    }
  }
}

/** An entry's bytes, checked against the length and the checksum that the zip has for it. */
class EntryReader {
  private readonly bytes: ByteReader;
  private checksum = 0;

  constructor(
    stream: Readable,
    private readonly entry: Entry,
    private readonly path: string,
  ) {
    this.bytes = new ByteReader(stream);
  }

  async take(length: number): Promise<Uint8Array> {
    let taken: Uint8Array;
    try {
      taken = await this.bytes.take(length);
    } catch (error) {
      throw toolError(error, this.path);
    }
    if (taken.byteLength < length) {
      throw new ModelToolError('DATA_UNREADABLE', this.path, `${showJson(this.entry.fileName)} ends too early`);
    }
    this.checksum = crc32(taken, this.checksum);
    return taken;
  }

  /** Behind the last byte. */
  async finish(): Promise<void> {
    const more = await this.takeMore();
    if (more.byteLength === 0 && this.checksum === this.entry.crc32) return;
    throw new ModelToolError(
      'DATA_UNREADABLE',
      this.path,
      `${showJson(this.entry.fileName)} is damaged: its bytes do not have the checksum that the zip gives`,
    );
  }

  /** The library says that bytes were too many when it is asked for one of them. */
  private async takeMore(): Promise<Uint8Array> {
    try {
      return await this.bytes.take(1);
    } catch (error) {
      throw toolError(error, this.path);
    }
  }

  close(): void {
    this.bytes.close();
  }
}

async function openZip(path: string): Promise<ZipFile> {
  const { openPromise } = await import('yauzl');
  try {
    return await openPromise(path, { lazyEntries: true, autoClose: false, validateEntrySizes: true });
  } catch (error) {
    throw toolError(error, path);
  }
}

async function listEntries(zip: ZipFile, path: string, maxBytes: number): Promise<ReadonlyMap<string, Entry>> {
  if (zip.entryCount > MAX_ENTRIES) {
    throw new ModelToolError('DATA_TOO_LARGE', path, `must hold at most ${MAX_ENTRIES} arrays, got ${zip.entryCount}`);
  }
  const entries = new Map<string, Entry>();
  let bytes = 0;
  for await (const entry of zip.eachEntry()) {
    const { fileName } = entry;
    // TensorFlow's and Caffe2's inputs have names like 'serving/x:0': nothing is unpacked to a disk, so a slash does no harm.
    if (/^\/|(^|\/)\.\.?(\/|$)|[\\\0]/.test(fileName)) {
      throw new ModelToolError('DATA_UNSAFE', path, `an array's name must leave no folder, got ${showJson(fileName)}`);
    }
    if (!fileName.endsWith('.npy') || !entry.canDecodeFileData()) {
      const what = entry.isEncrypted() ? 'encrypted' : 'no .npy file, stored or deflated';
      throw new ModelToolError('DATA_UNREADABLE', path, `the entry ${showJson(fileName)} is ${what}`);
    }
    const name = fileName.slice(0, -'.npy'.length);
    if (entries.has(name)) {
      throw new ModelToolError('DATA_UNREADABLE', path, `has two arrays with the name ${showJson(name)}`);
    }
    bytes += entry.uncompressedSize;
    if (bytes > maxBytes) {
      throw new ModelToolError(
        'DATA_TOO_LARGE',
        path,
        `may unpack to ${maxBytes} bytes, and its arrays up to ${showJson(name)} have ${bytes} already: raise the limit if they are meant`,
      );
    }
    entries.set(name, entry);
  }
  return entries;
}

/** Inflates no more than the head of an array, and holds the length of the whole against what the head says. */
async function readHead(zip: ZipFile, entry: Entry, path: string): Promise<NpyHeader> {
  const reader = new ByteReader(await zip.openReadStreamPromise(entry));
  const refuse = (message: string): ModelToolError =>
    new ModelToolError('DATA_UNREADABLE', path, `${showJson(entry.fileName)}: ${message}`);
  try {
    const prefix = await reader.take(NPY_PREFIX_BYTES);
    const length = npyHeaderBytes(prefix);
    if (length > MAX_HEADER_BYTES) throw refuse(`a header must have at most ${MAX_HEADER_BYTES} bytes, got ${length}`);
    const rest = await reader.take(Math.max(0, length - NPY_PREFIX_BYTES));
    const head = Buffer.concat([prefix, rest]);
    if (/'descr'\s*:\s*'[|<>=]?O/.test(head.toString('latin1'))) {
      throw new ModelToolError(
        'DATA_UNSAFE',
        path,
        `${showJson(entry.fileName)} holds Python objects, which only running a pickle could read: save numbers or text`,
      );
    }
    const header = readNpyHeader(head);
    const bytes = header.dataAt + elementCount(header.shape) * header.elementBytes;
    if (bytes !== entry.uncompressedSize) {
      throw refuse(`its shape [${header.shape.join(', ')}] takes ${bytes} bytes, and it has ${entry.uncompressedSize}`);
    }
    return header;
  } catch (error) {
    throw TensorEncodingError.is(error) ? refuse(error.message) : error;
  } finally {
    reader.close();
  }
}

function toolError(error: unknown, path: string): ModelToolError {
  if (ModelToolError.is(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (/^(absolute path|invalid relative path)/.test(message)) {
    return new ModelToolError('DATA_UNSAFE', path, `an array's name must leave no folder: ${message}`);
  }
  const reason =
    code === 'ENOENT' ? 'does not exist' : `cannot be read as .npz: ${message.replace(/\s+/g, ' ').trim()}`;
  return new ModelToolError('DATA_UNREADABLE', path, reason);
}
