import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { showJson } from '../../onnx/show-json';
import { ModelToolError } from '../tool-error';
import type { LabelKind, LabelOf } from './dataset';
import { readLabel, type LabelReading } from './read-labels';
import { readPicture } from './read-picture';
import type { LabelledUserRow } from './user-rows';

const PICTURE = /\.(png|jpe?g|webp)$/i;
const MAX_PICTURES = 10_000_000;

/** The pictures of a folder, those of one class in a folder of their own. */
export interface ImageFolder {
  readonly path: string;
  /** Names of the folders, in the order of their classes. */
  readonly classNames: readonly string[];
  readonly pictures: readonly { readonly file: string; readonly classIndex: number }[];
}

/**
 * Lists the pictures of `<folder>/<class>/…`. Classes have the order of the names given, else of the folders' names as text.
 * @throws ModelToolError DATA_UNREADABLE; LABEL_INVALID where the order of the classes is not sure
 */
export async function listImageFolder(folder: string, reading: LabelReading): Promise<ImageFolder> {
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  // By code unit, as other tools sort them, and the same in every locale.
  const names = folders.sort((a, b) => (a < b ? -1 : 1));
  const classNames = orderClasses(names, folder, reading);
  const pictures: { file: string; classIndex: number }[] = [];
  for (const name of names) {
    const files = await readdir(path.join(folder, name), { recursive: true, withFileTypes: true });
    const found = files.filter((entry) => entry.isFile() && PICTURE.test(entry.name));
    const sorted = found.map((entry) => path.join(entry.parentPath, entry.name)).sort((a, b) => (a < b ? -1 : 1));
    for (const file of sorted) pictures.push({ file, classIndex: classNames.indexOf(name) });
    if (pictures.length > MAX_PICTURES) {
      throw new ModelToolError('DATA_TOO_LARGE', folder, `must have at most ${MAX_PICTURES} pictures`);
    }
  }
  return { path: folder, classNames, pictures };
}

function orderClasses(folders: readonly string[], folder: string, reading: LabelReading): readonly string[] {
  if (reading.kind === 'none') return reading.classNames ?? folders;
  const invalid = (message: string): ModelToolError => new ModelToolError('LABEL_INVALID', folder, message);
  if (reading.classNames !== undefined) {
    const stranger = folders.find((name) => !reading.classNames!.includes(name));
    if (stranger === undefined) return reading.classNames;
    throw invalid(`each of its folders must be named like a class, got ${showJson(stranger)}`);
  }
  if (folders.some((name, i) => /^\d+$/.test(name) && Number(name) !== i)) {
    throw invalid(
      'its folders have numbers for names, and as text these sort into another order: give the classes in their order (--labels)',
    );
  }
  if (reading.classes !== undefined && reading.classes !== folders.length) {
    throw invalid(
      `has ${folders.length} folders, and the model tells ${reading.classes} classes apart: give the classes in their order (--labels)`,
    );
  }
  return folders;
}

/** Each picture as what a user would send. */
export async function* imageRows<K extends LabelKind>(
  { pictures }: ImageFolder,
  field: string,
  reading: LabelReading<K>,
): AsyncGenerator<LabelledUserRow<LabelOf[K]>, void, void> {
  for (const { file, classIndex } of pictures) {
    const label = readLabel(reading.kind === 'classes' ? [classIndex] : classIndex, reading, file);
    yield { row: new Map([[field, await readPicture(file)]]), label, at: file };
  }
}
