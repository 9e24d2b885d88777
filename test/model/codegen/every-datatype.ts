import type { Datatype } from '../../../runtime/spec/datatypes';
import { buildModel, node, value } from '../../support/onnx-models';

export const DATATYPES_CARRIED: readonly Datatype[] = [
  'BOOL',
  'INT8',
  'UINT8',
  'INT16',
  'UINT16',
  'INT32',
  'UINT32',
  'INT64',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
];

/** Gives each of its inputs back. */
export function everyDatatypeModel(): Uint8Array {
  return buildModel({
    node: DATATYPES_CARRIED.map((datatype) => node('Identity', [`in-${datatype}`], [`out-${datatype}`])),
    input: DATATYPES_CARRIED.map((datatype) => value(`in-${datatype}`, datatype, ['batch', 2])),
    output: DATATYPES_CARRIED.map((datatype) => value(`out-${datatype}`, datatype, ['batch', 2])),
  });
}

/** Numbers at the ends of their types; halves are numbers here. */
export const INPUTS_OF_EVERY_DATATYPE: Readonly<Record<string, unknown>> = {
  'in-BOOL': [true, false],
  'in-INT8': Int8Array.of(-128, 127),
  'in-UINT8': Uint8Array.of(0, 255),
  'in-INT16': Int16Array.of(-32_768, 32_767),
  'in-UINT16': Uint16Array.of(0, 65_535),
  'in-INT32': Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  'in-UINT32': Uint32Array.of(0, 2 ** 32 - 1),
  'in-INT64': BigInt64Array.of(-5n, 2n ** 50n),
  'in-UINT64': BigUint64Array.of(0n, 2n ** 50n),
  'in-FP16': Float32Array.of(1.5, -65_504),
  'in-FP32': Float32Array.of(0.5, -3),
  'in-FP64': Float64Array.of(0.1, 1e300),
  'in-BYTES': ['grün', ''],
};
