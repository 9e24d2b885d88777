import type { Datatype } from '../spec/datatypes';
import { TensorProto_DataType as Type } from './generated/onnx-ml_pb';

interface ElementType {
  /** As ONNX documents write it. */
  readonly name: string;
  /** Undefined for strings, which have no fixed size. */
  readonly bits: number | undefined;
  /** Undefined when the runtime cannot carry such a tensor in a request. */
  readonly datatype: Datatype | undefined;
}

const ELEMENT_TYPES = new Map<number, ElementType>([
  [Type.FLOAT, { name: 'float', bits: 32, datatype: 'FP32' }],
  [Type.UINT8, { name: 'uint8', bits: 8, datatype: 'UINT8' }],
  [Type.INT8, { name: 'int8', bits: 8, datatype: 'INT8' }],
  [Type.UINT16, { name: 'uint16', bits: 16, datatype: 'UINT16' }],
  [Type.INT16, { name: 'int16', bits: 16, datatype: 'INT16' }],
  [Type.INT32, { name: 'int32', bits: 32, datatype: 'INT32' }],
  [Type.INT64, { name: 'int64', bits: 64, datatype: 'INT64' }],
  [Type.STRING, { name: 'string', bits: undefined, datatype: 'BYTES' }],
  [Type.BOOL, { name: 'bool', bits: 8, datatype: 'BOOL' }],
  [Type.FLOAT16, { name: 'float16', bits: 16, datatype: 'FP16' }],
  [Type.DOUBLE, { name: 'double', bits: 64, datatype: 'FP64' }],
  [Type.UINT32, { name: 'uint32', bits: 32, datatype: 'UINT32' }],
  [Type.UINT64, { name: 'uint64', bits: 64, datatype: 'UINT64' }],
  [Type.COMPLEX64, { name: 'complex64', bits: 64, datatype: undefined }],
  [Type.COMPLEX128, { name: 'complex128', bits: 128, datatype: undefined }],
  [Type.BFLOAT16, { name: 'bfloat16', bits: 16, datatype: undefined }],
  [Type.FLOAT8E4M3FN, { name: 'float8e4m3fn', bits: 8, datatype: undefined }],
  [Type.FLOAT8E4M3FNUZ, { name: 'float8e4m3fnuz', bits: 8, datatype: undefined }],
  [Type.FLOAT8E5M2, { name: 'float8e5m2', bits: 8, datatype: undefined }],
  [Type.FLOAT8E5M2FNUZ, { name: 'float8e5m2fnuz', bits: 8, datatype: undefined }],
  [Type.FLOAT8E8M0, { name: 'float8e8m0', bits: 8, datatype: undefined }],
  [Type.FLOAT6E2M3, { name: 'float6e2m3', bits: 6, datatype: undefined }],
  [Type.FLOAT6E3M2, { name: 'float6e3m2', bits: 6, datatype: undefined }],
  [Type.FLOAT4E2M1, { name: 'float4e2m1', bits: 4, datatype: undefined }],
  [Type.UINT4, { name: 'uint4', bits: 4, datatype: undefined }],
  [Type.INT4, { name: 'int4', bits: 4, datatype: undefined }],
  [Type.UINT2, { name: 'uint2', bits: 2, datatype: undefined }],
  [Type.INT2, { name: 'int2', bits: 2, datatype: undefined }],
]);

/** What ONNX's element type number stands for; undefined for a number that no ONNX release has given out. */
export function elementType(type: number): ElementType | undefined {
  return ELEMENT_TYPES.get(type);
}

/** ONNX's element type numbers of the datatypes that are served. */
export const TYPE_OF_DATATYPE = Object.fromEntries(
  [...ELEMENT_TYPES].flatMap(([type, { datatype }]) => (datatype === undefined ? [] : [[datatype, type]])),
) as Readonly<Record<Datatype, Type>>;
