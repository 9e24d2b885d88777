import type { Entry, ZipFile } from 'yauzl';
import { showJson } from '../../onnx/show-json';
import { ModelToolError } from '../tool-error';

/** Frameworks write an entry for each tensor. */
const MAX_ENTRIES = 200_000;
/** Weights hardly shrink, and those of a pruned network to a tenth; a bomb unpacks to a thousand times of itself. */
const MAX_RATIO = 100;
/** Below this, any ratio is harmless. */
const HARMLESS_BYTES = 2 ** 26;
const FILE_TYPE = 0xf000;
const SYMBOLIC_LINK = 0xa000;

/**
 * The names in a zip, which no Python has opened yet: none leaves the folder that it would be unpacked to, none is there twice,
 * and all together stay within a hundred times of the file. What an entry says about its size holds, too: everything that
 * reads zips here stops there.
 * @throws ModelToolError SOURCE_UNREADABLE, SOURCE_UNSAFE or SOURCE_TOO_LARGE
 */
export async function listArchive(file: string): Promise<readonly string[]> {
  return withArchive(file, async (zip, bytes) => {
    const names = new Set<string>();
    let unpacked = 0;
    for await (const entry of zip.eachEntry()) {
      refuseLink(entry, file);
      if (names.has(entry.fileName)) {
        throw new ModelToolError('SOURCE_UNSAFE', file, `has ${showJson(entry.fileName)} twice`);
      }
      names.add(entry.fileName);
      unpacked += entry.uncompressedSize;
      if (unpacked > Math.max(HARMLESS_BYTES, bytes * MAX_RATIO)) {
        throw new ModelToolError(
          'SOURCE_TOO_LARGE',
          file,
          `has ${bytes} bytes and would unpack to more than ${MAX_RATIO} times of that, which no saved network does`,
        );
      }
    }
    return [...names];
  });
}

/** The text of the entries whose names fit, each of at most `maxBytes`. @throws ModelToolError as `listArchive` */
export async function readTexts(file: string, name: RegExp, maxBytes: number): Promise<readonly string[]> {
  return withArchive(file, async (zip) => {
    const texts: string[] = [];
    for await (const entry of zip.eachEntry()) {
      if (!name.test(entry.fileName)) continue;
      if (entry.uncompressedSize > maxBytes) {
        throw new ModelToolError(
          'SOURCE_TOO_LARGE',
          file,
          `${showJson(entry.fileName)} may have ${maxBytes} bytes, and has ${entry.uncompressedSize}`,
        );
      }
      const parts: Buffer[] = [];
      for await (const part of await zip.openReadStreamPromise(entry)) parts.push(part as Buffer);
      texts.push(Buffer.concat(parts).toString('utf8'));
    }
    return texts;
  });
}

function refuseLink({ fileName, externalFileAttributes }: Entry, file: string): void {
  if (((externalFileAttributes >>> 16) & FILE_TYPE) === SYMBOLIC_LINK) {
    throw new ModelToolError('SOURCE_UNSAFE', file, `holds a link, ${showJson(fileName)}`);
  }
}

async function withArchive<T>(file: string, use: (zip: ZipFile, bytes: number) => Promise<T>): Promise<T> {
  const { openPromise } = await import('yauzl');
  let zip: ZipFile | undefined;
  try {
    // Names that it decodes the library refuses where they lead out of the archive: absolute ones and `..`.
    zip = await openPromise(file, {
      lazyEntries: true,
      autoClose: false,
      validateEntrySizes: true,
      decodeStrings: true,
    });
    if (zip.entryCount > MAX_ENTRIES) {
      throw new ModelToolError(
        'SOURCE_TOO_LARGE',
        file,
        `may hold ${MAX_ENTRIES} entries, and holds ${zip.entryCount}`,
      );
    }
    return await use(zip, zip.fileSize);
  } catch (error) {
    if (ModelToolError.is(error)) throw error;
    const { message } = error as Error;
    const isName = /^(absolute path|invalid relative path|invalid characters in fileName)/.test(message);
    throw isName
      ? new ModelToolError('SOURCE_UNSAFE', file, `holds a path that leads out of the archive: ${showJson(message)}`)
      : new ModelToolError('SOURCE_UNREADABLE', file, `is no whole archive: ${message.replace(/\s+/g, ' ').trim()}`);
  } finally {
    zip?.close();
  }
}
