import { isNumberCell, tensorDataFromCells } from '../../onnx/csv-cells';
import { showJson } from '../../onnx/show-json';
import { elementCount, type Tensor } from '../../onnx/tensor-encoding';
import type { UserRow } from '../../preprocess/preprocessor';
import type { TensorSignature } from '../../spec/model-facts';
import { checkInput, readInput } from '../check-inputs';
import type { InferTarget } from '../infer-request';
import { malformed } from '../json-body';
import type { UserTarget } from './user-input';

type Rows = readonly (readonly string[])[];

/**
 * Reads the inputs of a model from CSV (RFC 4180), a row for each line. The columns are the inputs' elements, in the model's
 * order; or those that a header row names, where the model has several inputs.
 * @param header Whether there is a header row, as the media type's parameter says it. @default - a first row that no data
 * can be: the names of the inputs, or text where numbers belong
 * @throws ServerError MALFORMED_REQUEST, INPUT_INVALID
 */
export async function readCsv(
  body: Uint8Array,
  header: string | undefined,
  target: InferTarget,
): Promise<readonly Tensor[]> {
  const records = await parseRecords(body);
  const [first] = records;
  if (first === undefined) throw malformed('a CSV body must have at least one row');
  const isHeader = header === undefined ? looksLikeHeader(first, target) : header === 'present';
  const rows = isHeader ? records.slice(1) : records;
  if (rows.length === 0) throw malformed('a CSV body must have at least one row besides its header');
  const columns = columnsOf(target, isHeader ? first : undefined, first.length);
  return target.inputs.map((signature, i) => readColumns(signature, rows, columns[i]!, target));
}

/**
 * Reads rows of users' data from CSV: columns by the names of a header row, or else the model's fields in their order.
 * @throws ServerError MALFORMED_REQUEST
 */
export async function readCsvRows(
  body: Uint8Array,
  header: string | undefined,
  { name, preprocessor }: UserTarget,
): Promise<readonly UserRow[]> {
  const records = await parseRecords(body);
  const [first] = records;
  if (first === undefined) throw malformed('a CSV body must have at least one row');
  const fields = preprocessor.fields.map((field) => field.name);
  const picture = preprocessor.fields.find(({ kind }) => kind === 'image');
  if (picture !== undefined) throw malformed(`CSV cannot hold '${picture.name}', a picture: send JSON`);
  const isHeader = header === undefined ? fields.every((field) => first.includes(field)) : header === 'present';
  const places = isHeader ? fields.map((field) => first.indexOf(field)) : [...fields.keys()];
  const missing = places.indexOf(-1);
  if (missing >= 0) throw malformed(`the header must have the column ${showJson(fields[missing])}`);
  if (!isHeader && first.length !== fields.length) {
    throw malformed(
      `a row of model '${name}' must have ${fields.length} columns, or the first one the names of all, got ${first.length}`,
    );
  }
  const rows = isHeader ? records.slice(1) : records;
  return rows.map((row) => new Map(fields.map((field, i) => [field, row[places[i]!]])));
}

async function parseRecords(body: Uint8Array): Promise<Rows> {
  const { parse } = await import('csv-parse/sync');
  try {
    const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return parse(buffer, { bom: true, skip_empty_lines: true, trim: true, encoding: 'utf8' });
  } catch (error) {
    throw malformed(`the request must be CSV: ${(error as Error).message}`);
  }
}

function looksLikeHeader(first: readonly string[], { inputs }: InferTarget): boolean {
  if (inputs.every(({ name }) => first.includes(name))) return true;
  const areNumbers = inputs.every(({ datatype }) => datatype !== 'BYTES' && datatype !== 'BOOL');
  return areNumbers && first.some((cell) => !isNumberCell(cell));
}

/** Which columns each input consists of. */
function columnsOf(
  { name, inputs }: InferTarget,
  header: readonly string[] | undefined,
  count: number,
): readonly (readonly number[])[] {
  const fixed = inputs.map((input) => widthOf(input));
  const named = inputs.map((input) => header?.indexOf(input.name) ?? -1);
  if (inputs.length > 1 && named.every((column) => column >= 0)) {
    const wide = inputs.findIndex((_, i) => fixed[i] !== 1);
    if (wide >= 0) {
      throw malformed(
        `input '${inputs[wide]!.name}' takes more than the one column that the header names so; leave the header out`,
      );
    }
    return named.map((column) => [column]);
  }
  if (inputs.length > 1 && fixed.includes(undefined)) {
    throw malformed(
      `CSV cannot tell where the inputs of model '${name}' end: one of them has free dimensions besides the rows`,
    );
  }
  const widths = inputs.length === 1 ? [count] : fixed.map((width) => width!);
  const wanted = widths.reduce((sum, width) => sum + width, 0);
  if (wanted !== count) throw malformed(`a row of model '${name}' must have ${wanted} columns, got ${count}`);
  let at = 0;
  return widths.map((width) => Array.from({ length: width }, () => at++));
}

/** Columns that one row takes; undefined when that is free. */
function widthOf({ shape }: TensorSignature): number | undefined {
  const rest = shape.slice(1);
  return rest.every((size) => typeof size === 'number') ? elementCount(rest) : undefined;
}

function readColumns(signature: TensorSignature, rows: Rows, columns: readonly number[], target: InferTarget): Tensor {
  const { datatype, shape: dimensions } = signature;
  const rest = dimensions.slice(1);
  const fixed = rest.reduce<number>((count, size) => (typeof size === 'number' ? count * size : count), 1);
  const isOneFree = rest.filter((size) => typeof size === 'string').length === 1;
  // A free dimension is as long as the columns make it; where there are several, or none fits, the check says so.
  const sizes = rest.map((size) =>
    typeof size === 'number' ? size : isOneFree ? Math.floor(columns.length / Math.max(1, fixed)) : -1,
  );
  const isRow = sizes.every((size) => size >= 0) && elementCount(sizes) === columns.length;
  const given = isRow ? [rows.length, ...sizes] : [rows.length, columns.length];
  const shape = checkInput({ datatype, shape: dimensions.length === 0 ? [] : given }, signature, target);
  const width = columns.length;
  return readInput(signature, shape, () =>
    tensorDataFromCells(datatype, rows.length * width, (i) => rows[Math.floor(i / width)]![columns[i % width]!]!),
  );
}
