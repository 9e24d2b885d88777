import { createReadStream } from 'node:fs';
import { tensorDataFromCells } from '../../onnx/csv-cells';
import { elementCount, TensorEncodingError } from '../../onnx/tensor-encoding';
import { showJson } from '../../onnx/show-json';
import type { TensorSignature } from '../../spec/model-facts';
import { importPackage } from '../import-package';
import { ModelToolError } from '../tool-error';
import type { DataRow } from './batch-rows';
import type { LabelKind, LabelOf } from './dataset';
import { readLabel, type LabelReading } from './read-labels';
import { rowDimensions, showDimensions } from './row-shape';
import type { LabelledUserRow } from './user-rows';

/** What a column of labels is called. */
const LABEL_COLUMNS = ['label', 'labels', 'y', 'target', 'class'];
/** No row of a table that people make is longer. */
const MAX_ROW_BYTES = 16 * 2 ** 20;

export interface CsvSource<K extends LabelKind> {
  readonly path: string;
  readonly inputs: readonly TensorSignature[];
  readonly reading: LabelReading<K>;
  /**
   * Columns of each input, in the order of its elements.
   * @default - the columns named like the input, or like it with a number in brackets (`x[0]`, `x[1]`); of a model's only
   * input all columns but the label's
   */
  readonly columns?: Readonly<Record<string, readonly string[]>>;
  /** @default - `label`, `labels`, `y`, `target` or `class` */
  readonly labelColumns?: readonly string[];
}

/** Rows of a CSV file (RFC 4180) whose first line names the columns. */
export async function* csvRows<K extends LabelKind>(
  source: CsvSource<K>,
): AsyncGenerator<DataRow<LabelOf[K]>, void, void> {
  let row = -1;
  let columns: ColumnPlaces | undefined;
  for await (const record of readRecords(source.path)) {
    if (columns === undefined) columns = placeColumns(record, source);
    else yield readRow(record, columns, source, row);
    row += 1;
  }
}

/** Rows of a CSV file as users send them: the columns that preprocessing asks for, by their names. */
export async function* csvUserRows<K extends LabelKind>(
  source: CsvSource<K>,
  fields: readonly string[],
): AsyncGenerator<LabelledUserRow<LabelOf[K]>, void, void> {
  const { path, reading } = source;
  let row = -1;
  let header: readonly string[] | undefined;
  let labels: readonly number[] = [];
  for await (const record of readRecords(path)) {
    if (header === undefined) {
      header = record;
      labels = placeLabels(record, source, fields);
      const missing = fields.find((field) => !record.includes(field));
      if (missing !== undefined) throw noColumn(missing, record, path);
    } else {
      const places = header;
      const cells = labels.map((i) => record[i]!);
      const at = `row ${row} of ${path}`;
      yield {
        row: new Map(fields.map((field) => [field, record[places.indexOf(field)]])),
        label: readLabel(cells.length === 1 ? cells[0] : cells, reading, at),
        at,
      };
    }
    row += 1;
  }
}

interface ColumnPlaces {
  /** By input. */
  readonly inputs: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

async function* readRecords(path: string): AsyncGenerator<readonly string[], void, void> {
  const { parse } = await importPackage('csv-parse', 'to read CSV', () => import('csv-parse'));
  const file = createReadStream(path);
  const parser = parse({ bom: true, skip_empty_lines: true, trim: true, max_record_size: MAX_ROW_BYTES });
  // The parser is what is read from, so a file that cannot be read must fail there.
  file.on('error', (error) => parser.destroy(error));
  file.pipe(parser);
  try {
    for await (const record of parser) yield record as string[];
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist' : `is no CSV that can be read: ${message}`;
    throw ModelToolError.is(error) ? error : new ModelToolError('DATA_UNREADABLE', path, reason);
  } finally {
    file.destroy();
    parser.destroy();
  }
}

function placeColumns<K extends LabelKind>(header: readonly string[], source: CsvSource<K>): ColumnPlaces {
  const { path, inputs } = source;
  const labels = placeLabels(
    header,
    source,
    inputs.map(({ name }) => name),
  );
  const place = (name: string): number => placeOf(name, header, path);
  return {
    labels,
    inputs: inputs.map((input) => {
      const places = columnsOf(input, header, source, labels, place);
      const wanted = rowDimensions(input);
      if (places.length > 0 && shapeOfRow(wanted, places.length) !== undefined) return places;
      const message = `input '${input.name}' takes rows of the shape ${showDimensions(wanted)}, which ${places.length} columns do not make`;
      throw new ModelToolError('DATA_MISFIT', path, message);
    }),
  };
}

/** @param taken Columns that a label is not looked for in. */
function placeLabels<K extends LabelKind>(
  header: readonly string[],
  { path, reading, labelColumns }: CsvSource<K>,
  taken: readonly string[],
): readonly number[] {
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  const misfit = (message: string): ModelToolError => new ModelToolError('DATA_MISFIT', path, message);
  if (twice !== undefined) throw misfit(`must name each column once, got ${showJson(twice)} twice`);
  if (labelColumns !== undefined) return labelColumns.map((name) => placeOf(name, header, path));
  const found = LABEL_COLUMNS.find((name) => header.includes(name) && !taken.includes(name));
  if (found !== undefined) return [header.indexOf(found)];
  if (reading.kind === 'none') return [];
  throw misfit(`must have a column of labels (${LABEL_COLUMNS.join(', ')}), got ${showJson(header)}`);
}

function placeOf(name: string, header: readonly string[], path: string): number {
  const i = header.indexOf(name);
  if (i < 0) throw noColumn(name, header, path);
  return i;
}

function noColumn(name: string, header: readonly string[], path: string): ModelToolError {
  return new ModelToolError('DATA_MISFIT', path, `must have the column ${showJson(name)}, got ${showJson(header)}`);
}

function columnsOf<K extends LabelKind>(
  { name }: TensorSignature,
  header: readonly string[],
  { columns, inputs }: CsvSource<K>,
  labels: readonly number[],
  place: (name: string) => number,
): readonly number[] {
  const chosen = columns !== undefined && Object.hasOwn(columns, name) ? columns[name] : undefined;
  if (chosen !== undefined) return chosen.map(place);
  if (header.includes(name)) return [header.indexOf(name)];
  const numbered = header.filter(
    (column) => column.startsWith(`${name}[`) && /^\[\d+\]$/.test(column.slice(name.length)),
  );
  if (numbered.length > 0) return numbered.map((_, i) => place(`${name}[${i}]`));
  if (inputs.length > 1) return [place(name)];
  return header.map((_, i) => i).filter((i) => !labels.includes(i));
}

/** The shape of a row of so many elements; one free dimension takes what the others leave. */
function shapeOfRow(dimensions: readonly (number | string)[], count: number): readonly number[] | undefined {
  const fixed = dimensions.reduce<number>((product, size) => (typeof size === 'number' ? product * size : product), 1);
  const free = dimensions.filter((size) => typeof size === 'string').length;
  if (free > 1 || fixed === 0) return undefined;
  const shape = dimensions.map((size) => (typeof size === 'number' ? size : count / fixed));
  return shape.every(Number.isInteger) && elementCount(shape) === count ? shape : undefined;
}

function readRow<K extends LabelKind>(
  record: readonly string[],
  columns: ColumnPlaces,
  { path, inputs, reading }: CsvSource<K>,
  row: number,
): DataRow<LabelOf[K]> {
  const at = `row ${row} of ${path}`;
  const cells = columns.labels.map((i) => record[i]!);
  return {
    inputs: inputs.map((input, k) => {
      const places = columns.inputs[k]!;
      const shape = shapeOfRow(rowDimensions(input), places.length)!;
      try {
        return { shape, data: tensorDataFromCells(input.datatype, places.length, (i) => record[places[i]!]!) };
      } catch (error) {
        if (!TensorEncodingError.is(error)) throw error;
        throw new ModelToolError('DATA_MISFIT', at, `input '${input.name}': ${error.message}`);
      }
    }),
    label: readLabel(cells.length === 1 ? cells[0] : cells, reading, at),
  };
}
