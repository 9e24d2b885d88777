import { createReadStream } from 'node:fs';
import { parseJsonText } from '../../onnx/json-text';
import { shapeOfNested } from '../../onnx/nested-json';
import { showJson } from '../../onnx/show-json';
import { TensorEncodingError } from '../../onnx/tensor-encoding';
import { tensorDataFromJson } from '../../onnx/tensor-json';
import type { UserField } from '../../preprocess/preprocessor';
import type { TensorSignature } from '../../spec/model-facts';
import { ModelToolError } from '../tool-error';
import type { DataRow, RowInput } from './batch-rows';
import type { LabelKind, LabelOf } from './dataset';
import { readLabel, type LabelReading } from './read-labels';
import { readPictureBeside } from './read-picture';
import { fitsRow, rowDimensions, showDimensions } from './row-shape';
import type { LabelledUserRow } from './user-rows';

/** A row of a large picture as text. */
const MAX_LINE_BYTES = 64 * 2 ** 20;
const LINE_FEED = 0x0a;

export interface JsonlSource<K extends LabelKind> {
  readonly path: string;
  readonly inputs: readonly TensorSignature[];
  readonly reading: LabelReading<K>;
}

/** Rows of a file with an object on each line: `{"inputs": {"x": [1, 2]}, "label": 0}`. */
export async function* jsonlRows<K extends LabelKind>({
  path,
  inputs,
  reading,
}: JsonlSource<K>): AsyncGenerator<DataRow<LabelOf[K]>, void, void> {
  for await (const { given, label, at } of readObjects(path)) {
    const values = inputs.map((input) => readInput(valueOf(given, input.name, at), input, at));
    yield { inputs: values, label: readLabel(label, reading, at) };
  }
}

/**
 * Rows of such a file as users send them: `{"inputs": {"text": "…"}, "label": 0}`. A picture is the path of its file, which
 * starts at the folder of this one.
 */
export async function* jsonlUserRows<K extends LabelKind>(
  { path, reading }: Omit<JsonlSource<K>, 'inputs'>,
  fields: readonly UserField[],
): AsyncGenerator<LabelledUserRow<LabelOf[K]>, void, void> {
  for await (const { given, label, at } of readObjects(path)) {
    const row = new Map<string, unknown>();
    for (const { name, kind } of fields) {
      const value = valueOf(given, name, at);
      if (kind === 'image' && typeof value !== 'string') {
        throw new ModelToolError('DATA_MISFIT', at, `'${name}' must be the path of a picture, got ${showJson(value)}`);
      }
      row.set(name, kind === 'image' ? await readPictureBeside(path, value as string, at) : value);
    }
    yield { row, label: readLabel(label, reading, at), at };
  }
}

/** What the first row holds by name: what users have, or tensors. */
export async function firstJsonlInputs(path: string): Promise<Readonly<Record<string, unknown>>> {
  for await (const { given } of readObjects(path)) return given;
  return {};
}

interface RowObject {
  readonly given: Readonly<Record<string, unknown>>;
  readonly label: unknown;
  readonly at: string;
}

async function* readObjects(path: string): AsyncGenerator<RowObject, void, void> {
  for await (const { text, line } of readLines(path)) {
    if (text.trim() !== '') yield readObject(text, `line ${line} of ${path}`);
  }
}

async function* readLines(path: string): AsyncGenerator<{ readonly text: string; readonly line: number }, void, void> {
  const file = createReadStream(path, { highWaterMark: 2 ** 18 });
  let parts: Buffer[] = [];
  let bytes = 0;
  let line = 1;
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
        parts.push(chunk.subarray(from, end));
        yield { text: decode(parts, path, line), line };
        parts = [];
        bytes = 0;
        line += 1;
        from = end + 1;
      }
      parts.push(chunk.subarray(from));
      bytes += chunk.byteLength - from;
      if (bytes > MAX_LINE_BYTES) {
        throw new ModelToolError(
          'DATA_TOO_LARGE',
          `line ${line} of ${path}`,
          `must have at most ${MAX_LINE_BYTES} bytes`,
        );
      }
    }
    if (bytes > 0) yield { text: decode(parts, path, line), line };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (ModelToolError.is(error)) throw error;
    throw new ModelToolError(
      'DATA_UNREADABLE',
      path,
      code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`,
    );
  } finally {
    file.destroy();
  }
}

function decode(parts: readonly Buffer[], path: string, line: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw new ModelToolError('DATA_UNREADABLE', `line ${line} of ${path}`, 'must be UTF-8 text');
  }
}

function readObject(text: string, at: string): RowObject {
  let json: unknown;
  try {
    json = parseJsonText(text);
  } catch (error) {
    throw new ModelToolError('DATA_UNREADABLE', at, `must be JSON: ${(error as Error).message}`);
  }
  const { inputs: given, label } = (json ?? {}) as { inputs?: unknown; label?: unknown };
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    return { given: given as Record<string, unknown>, label, at };
  }
  throw new ModelToolError('DATA_UNREADABLE', at, `must be an object with "inputs" by name, got ${showJson(json)}`);
}

function valueOf(given: Readonly<Record<string, unknown>>, name: string, at: string): unknown {
  if (Object.hasOwn(given, name)) return given[name];
  throw new ModelToolError('DATA_MISFIT', at, `must have the input '${name}', got ${showJson(Object.keys(given))}`);
}

function readInput(given: unknown, input: TensorSignature, at: string): RowInput {
  const shape = shapeOf(given, input);
  if (!fitsRow(shape, input)) {
    throw new ModelToolError(
      'DATA_MISFIT',
      at,
      `a row of the input '${input.name}' must have the shape ${showDimensions(rowDimensions(input))}, got ${showDimensions(shape)}`,
    );
  }
  try {
    return { shape, data: tensorDataFromJson(input.datatype, shape, shape.length === 0 ? [given] : given) };
  } catch (error) {
    if (!TensorEncodingError.is(error)) throw error;
    throw new ModelToolError('DATA_MISFIT', at, `input '${input.name}': ${error.message}`);
  }
}

/** As the lists are nested; a flat list has the shape of the input where that leaves no choice. */
function shapeOf(given: unknown, input: TensorSignature): readonly number[] {
  const shape = shapeOfNested(given);
  const wanted = rowDimensions(input);
  const isFixed = wanted.every((size) => typeof size === 'number');
  const count = isFixed ? wanted.reduce((product, size) => product * size, 1) : NaN;
  return shape.length === 1 && isFixed && shape[0] === count ? wanted : shape;
}
