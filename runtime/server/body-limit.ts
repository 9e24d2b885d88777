import { elementCount } from '../onnx/tensor-encoding';
import { ELEMENT_BYTES } from '../spec/datatypes';
import type { InferTarget } from './infer-request';

/** Names, shapes, parameters, an id: whatever is no element. */
const ENVELOPE_BYTES = 64 * 1_024;
/** One element as JSON, pretty-printed and deeply indented: more than it takes as bytes. */
const JSON_ELEMENT_BYTES = 64;

/**
 * The largest body that a request to this model can need; infinite when its inputs have free dimensions besides the rows, or
 * text, or when they are made of something else.
 * A body is refused by its declared length before memory is set aside for it.
 */
export function largestBody({ inputs, maxRows, preprocessor }: InferTarget): number {
  if (preprocessor !== undefined) return Infinity;
  let elements = 0;
  for (const { datatype, shape } of inputs) {
    const sizes = maxRows === undefined ? shape : [maxRows, ...shape.slice(1)];
    if (ELEMENT_BYTES[datatype] === undefined || !sizes.every((size) => typeof size === 'number')) return Infinity;
    elements += elementCount(sizes);
  }
  return ENVELOPE_BYTES + elements * JSON_ELEMENT_BYTES;
}
