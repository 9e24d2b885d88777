import type { Datatype } from '../../spec/datatypes';

/** ONNX Runtime's numbers of element types, by datatype; the same as ONNX's. */
export const ELEMENT_TYPES = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
} as const satisfies Record<Datatype, number>;

const DATATYPES = new Map<number, Datatype>(
  Object.entries(ELEMENT_TYPES).map(([datatype, type]) => [type, datatype as Datatype]),
);

/** The datatype that an element type stands for; undefined when it stands for none. */
export function datatypeOf(elementType: number): Datatype | undefined {
  return DATATYPES.get(elementType);
}
