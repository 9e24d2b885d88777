import type { Datatype } from '../spec/datatypes';
import { showJson } from './show-json';
import { makeTensorData, TensorEncodingError, type TensorData } from './tensor-encoding';
import { tensorDataFromJson } from './tensor-json';

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const INTEGER = /^[+-]?\d{1,20}$/;
/** Maps, because a cell may be called like what every object has. */
const TOKENS = new Map([
  ['', NaN],
  ['nan', NaN],
  ['inf', Infinity],
  ['infinity', Infinity],
  ['+inf', Infinity],
  ['-inf', -Infinity],
  ['-infinity', -Infinity],
]);
const BOOLS = new Map([
  ['true', 1],
  ['false', 0],
  ['1', 1],
  ['0', 0],
]);

/** Whether a cell holds a number, or what stands for one that is not finite; an empty cell is NaN. */
export function isNumberCell(cell: string): boolean {
  return NUMBER.test(cell) || TOKENS.has(cell.toLowerCase());
}

/**
 * Elements of a tensor from cells of CSV.
 * @throws TensorEncodingError naming the element and what its cell has.
 */
export function tensorDataFromCells(datatype: Datatype, count: number, cellAt: (i: number) => string): TensorData {
  const fail = (i: number): never => {
    throw new TensorEncodingError(`${datatype} element ${i} cannot be read from the cell ${showJson(cellAt(i))}`);
  };
  switch (datatype) {
    case 'BYTES':
      return makeTensorData(datatype, count, cellAt);
    case 'BOOL':
      return makeTensorData(datatype, count, (i) => BOOLS.get(cellAt(i).toLowerCase()) ?? fail(i));
    case 'FP16':
    case 'FP32':
    case 'FP64': {
      const numbers = Array.from({ length: count }, (_, i) => {
        const cell = cellAt(i);
        return NUMBER.test(cell) ? Number(cell) : (TOKENS.get(cell.toLowerCase()) ?? fail(i));
      });
      return tensorDataFromJson(datatype, [count], numbers);
    }
    case 'INT8':
    case 'INT16':
    case 'INT32':
    case 'INT64':
    case 'UINT8':
    case 'UINT16':
    case 'UINT32':
    case 'UINT64': {
      const integers = Array.from({ length: count }, (_, i) => {
        const cell = cellAt(i);
        if (!INTEGER.test(cell)) return fail(i);
        const value = Number(cell);
        return Number.isSafeInteger(value) ? value : BigInt(cell);
      });
      return tensorDataFromJson(datatype, [count], integers);
    }
  }
}
