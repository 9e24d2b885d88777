import { NumberList } from '../../onnx/json-numbers';
import type { Tensor, TensorData } from '../../onnx/tensor-encoding';
import { tensorDataFromJson } from '../../onnx/tensor-json';
import type { TensorSignature } from '../../spec/model-facts';
import { textOfBase64 } from '../base64-text';
import { checkInput, readInput } from '../check-inputs';
import type { InferTarget } from '../infer-request';
import { isJsonObject, malformed } from '../json-body';

/** Deeper than any tensor. */
const MAX_DEPTH = 16;

/** Elements in row-major order and the lengths of the lists that they came in. */
interface Flat {
  readonly dims: readonly number[];
  readonly elements: NumberList | readonly unknown[];
}

/**
 * Reads an input from JSON whose nesting alone tells the shape, as in the TensorFlow Serving protocol: a value, or lists of
 * lists of values. BYTES are text, or `{"b64": "…"}` for the base64 of text.
 * @param options isRowEnough: one row may come without the list of rows around it. @default false
 * @throws ServerError MALFORMED_REQUEST for lists of different lengths, INPUT_INVALID for what does not fit the model.
 */
export function tensorFromJson(
  signature: TensorSignature,
  json: unknown,
  target: InferTarget,
  options: { readonly isRowEnough?: boolean } = {},
): Tensor {
  const { name, datatype } = signature;
  const { dims, elements } = flatten(json, name, 0);
  const isRow = options.isRowEnough === true && dims.length === signature.shape.length - 1;
  const shape = checkInput({ datatype, shape: isRow ? [1, ...dims] : dims }, signature, target);
  return readInput(signature, shape, () => convert(datatype, elements));
}

function convert(datatype: Tensor['datatype'], elements: Flat['elements']): TensorData {
  if (elements instanceof NumberList) {
    const { values, exact } = elements;
    return tensorDataFromJson(datatype, [values.length], new NumberList([values.length], values, exact));
  }
  const plain = datatype === 'BYTES' ? elements.map(textOf) : elements;
  return tensorDataFromJson(datatype, [plain.length], plain);
}

function textOf(element: unknown, i: number): unknown {
  const base64 = isJsonObject(element) && Object.keys(element).length === 1 ? element['b64'] : undefined;
  if (typeof base64 !== 'string') return element;
  return textOfBase64(base64, i);
}

function flatten(json: unknown, name: string, depth: number): Flat {
  if (json instanceof NumberList) return { dims: json.dims, elements: json };
  if (!Array.isArray(json)) return { dims: [], elements: [json] };
  if (depth === MAX_DEPTH) throw malformed(`input '${name}' must not be nested deeper than ${MAX_DEPTH} lists`);
  const list = json as readonly unknown[];
  if (!list.some(isList)) return { dims: [list.length], elements: list };
  const parts = list.map((part) => flatten(part, name, depth + 1));
  const [{ dims }] = parts as [Flat];
  for (const part of parts) {
    if (part.dims.length === dims.length && part.dims.every((size, d) => size === dims[d])) continue;
    throw malformed(
      `input '${name}' must be a tensor: expecting shape [${dims.join(',')}], got: [${part.dims.join(',')}]`,
    );
  }
  return { dims: [list.length, ...dims], elements: join(parts) };
}

function join(parts: readonly Flat[]): NumberList | readonly unknown[] {
  const lists = parts.map(({ elements }) => elements);
  if (!lists.every((list) => list instanceof NumberList)) {
    return lists.flatMap((list) => (list instanceof NumberList ? list.toElements() : list));
  }
  const values = new Float64Array(lists.reduce((sum, list) => sum + list.values.length, 0));
  const exact = new Map<number, bigint>();
  let at = 0;
  for (const list of lists) {
    values.set(list.values, at);
    for (const [i, integer] of list.exact ?? []) exact.set(at + i, integer);
    at += list.values.length;
  }
  return new NumberList([values.length], values, exact);
}

function isList(json: unknown): boolean {
  return Array.isArray(json) || json instanceof NumberList;
}
