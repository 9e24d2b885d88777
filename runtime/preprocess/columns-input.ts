import { tensorDataFromCells } from '../onnx/csv-cells';
import { toHalfBits } from '../onnx/half-float';
import { showJson } from '../onnx/show-json';
import { allocateTensorData, TensorEncodingError, type Tensor, type TensorData } from '../onnx/tensor-encoding';
import type { Datatype } from '../spec/datatypes';
import type { TensorSignature } from '../spec/model-facts';
import { widthOfColumn, type ColumnsPreprocessing, type PreprocessedColumn } from '../spec/preprocessing';
import { errorInRow, PreprocessError } from './preprocess-error';

/** What a record holds of one column: a cell of a table is text, a value of JSON what it is there. */
export type Cell = string | number | bigint | boolean | null;

/** More are not worth a line. */
const SHOWN_CATEGORIES = 10;

/** Makes rows of one input of records' columns. */
export class ColumnsReader {
  private readonly columns: readonly ReadColumn[];
  private readonly width: number;

  constructor(
    private readonly signature: TensorSignature,
    { columns }: ColumnsPreprocessing,
  ) {
    this.columns = columns.map((column) => ({
      column,
      width: widthOfColumn(column),
      indices: column.categories && new Map(column.categories.map((name, i) => [name, i])),
    }));
    this.width = this.columns.reduce((sum, { width }) => sum + width, 0);
  }

  /** @throws PreprocessError for a value that is no number, or no category that the column has. */
  read(rows: readonly ReadonlyMap<string, unknown>[]): Tensor {
    const { name, datatype, shape } = this.signature;
    const data = allocateTensorData(datatype, rows.length * this.width) as { [i: number]: unknown };
    rows.forEach((row, i) => {
      try {
        this.readRow(row, data, i * this.width);
      } catch (error) {
        throw errorInRow(error, i, rows.length);
      }
    });
    return {
      name,
      datatype,
      shape: shape.length === 1 ? [rows.length] : [rows.length, this.width],
      data: data as unknown as TensorData,
    };
  }

  private readRow(row: ReadonlyMap<string, unknown>, data: { [i: number]: unknown }, begin: number): void {
    let at = begin;
    for (const { column, width, indices } of this.columns) {
      const value = cellOf(row.get(column.name), column.name);
      if (indices === undefined) data[at] = this.plain(value, column);
      else {
        const index = indexOf(value, indices, column.name);
        if (column.encoding === 'one-hot') data[at + index] = this.element(1);
        else data[at] = this.element(index);
      }
      at += width;
    }
  }

  private element(value: number): number | bigint {
    const { datatype } = this.signature;
    if (datatype === 'INT64' || datatype === 'UINT64') return BigInt(value);
    return datatype === 'FP16' ? toHalfBits(value) : value;
  }

  private plain(value: Cell, { name, mean = 0, deviation = 1 }: PreprocessedColumn): unknown {
    const { datatype } = this.signature;
    if (datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64') {
      return this.element((Number(readCell(value, 'FP64', name)) - mean) / deviation);
    }
    return readCell(value, datatype, name);
  }
}

interface ReadColumn {
  readonly column: PreprocessedColumn;
  readonly width: number;
  readonly indices: ReadonlyMap<string, number> | undefined;
}

function cellOf(value: unknown, column: string): Cell {
  if (value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return value as Cell;
  if (value === undefined) throw new PreprocessError('input', `the column '${column}' is missing`);
  throw new PreprocessError('input', `the column '${column}' must hold one value, got ${showJson(value)}`);
}

function indexOf(value: Cell, indices: ReadonlyMap<string, number>, column: string): number {
  const index = indices.get(String(value));
  if (index !== undefined) return index;
  const known = [...indices.keys()].slice(0, SHOWN_CATEGORIES).join(', ');
  const rest = indices.size > SHOWN_CATEGORIES ? ` and ${indices.size - SHOWN_CATEGORIES} more` : '';
  throw new PreprocessError(
    'input',
    `the column '${column}' must be one of ${known}${rest}, got ${showJson(String(value))}`,
  );
}

/** As a cell of CSV is read: in a column of floating point, what is not there is not a number. */
function readCell(value: Cell, datatype: Datatype, column: string): unknown {
  const text = value === null ? '' : String(value);
  try {
    const [element] = tensorDataFromCells(datatype, 1, () =>
      datatype === 'BYTES' ? text : text.trim(),
    ) as Iterable<unknown>;
    return element;
  } catch (error) {
    if (!TensorEncodingError.is(error)) throw error;
    throw new PreprocessError('input', `the column '${column}' must hold ${datatype}, got ${showJson(text)}`);
  }
}
