import { showJson } from '../onnx/show-json';
import {
  assertTextCarried,
  elementCount,
  TensorEncodingError,
  type Tensor,
  type TensorData,
} from '../onnx/tensor-encoding';
import type { TensorSignature } from '../spec/model-facts';
import { ServerError } from './errors';
import type { InferTarget } from './infer-request';

// What every protocol checks of a request against the model it is for. The words are Triton's, which people search for.

/** @throws ServerError INPUT_INVALID naming those that there are. */
export function findInput(name: string, target: InferTarget): TensorSignature {
  for (const input of target.inputs) if (input.name === name) return input;
  throw invalid(
    `unexpected inference input ${showJson(name)} for model '${target.name}'. Expected ${listNames(target.inputs)}`,
  );
}

/** @throws ServerError OUTPUT_UNKNOWN naming those that there are. */
export function findOutput(name: string, target: InferTarget): TensorSignature {
  for (const output of target.outputs) if (output.name === name) return output;
  throw new ServerError(
    'OUTPUT_UNKNOWN',
    `unexpected inference output ${showJson(name)} for model '${target.name}'. Expected ${listNames(target.outputs)}`,
  );
}

/**
 * Checks datatype, rank and every fixed dimension of an input.
 * @returns its shape
 * @throws ServerError INPUT_INVALID, MALFORMED_REQUEST
 */
export function checkInput(
  { datatype, shape }: { readonly datatype?: unknown; readonly shape?: unknown },
  signature: TensorSignature,
  target: InferTarget,
): readonly number[] {
  const { name } = signature;
  if (datatype !== signature.datatype) {
    const hint = datatype === 'BF16' ? '; BF16 cannot be carried by this server' : '';
    throw invalid(
      `unexpected datatype for input '${name}' for model '${target.name}'. Expected ${signature.datatype}, got ${showJson(datatype)}${hint}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)) {
    throw new ServerError(
      'MALFORMED_REQUEST',
      `shape of input '${name}' must be a list of whole numbers from 0 up, got ${showJson(shape)}`,
    );
  }
  const sizes = shape as readonly number[];
  const fits =
    sizes.length === signature.shape.length &&
    signature.shape.every((size, d) => typeof size === 'string' || size === sizes[d]);
  if (!fits) {
    throw invalid(
      `unexpected shape for input '${name}' for model '${target.name}'. Expected ${showShape(signature.shape)}, got ${showShape(sizes)}`,
    );
  }
  if (!Number.isSafeInteger(elementCount(sizes)))
    throw invalid(`shape ${showShape(sizes)} of input '${name}' is too large`);
  return sizes;
}

/** @throws ServerError INPUT_INVALID when the elements cannot be read */
export function readInput(signature: TensorSignature, shape: readonly number[], read: () => TensorData): Tensor {
  const { name, datatype } = signature;
  try {
    const data = read();
    if (datatype === 'BYTES') assertTextCarried(data as readonly string[]);
    return { name, datatype, shape, data };
  } catch (error) {
    if (TensorEncodingError.is(error)) throw invalid(`input '${name}': ${error.message}`);
    throw error;
  }
}

/** @throws ServerError INPUT_INVALID for one that is missing. */
export function inModelOrder(given: ReadonlyMap<string, Tensor>, target: InferTarget): readonly Tensor[] {
  return target.inputs.map(({ name }) => {
    const input = given.get(name);
    if (input === undefined) throw invalid(`input '${name}' is missing`);
    return input;
  });
}

/** The rows that all inputs agree on; 1 for a model that does not take rows. @throws ServerError INPUT_INVALID */
export function countRows(inputs: readonly Tensor[], target: InferTarget): number {
  if (target.maxRows === undefined) return 1;
  const [first] = inputs;
  const rows = first?.shape[0] ?? 1;
  for (const { name, shape } of inputs) {
    if (shape[0] !== rows) {
      throw invalid(`input '${name}' has ${shape[0]} rows and input '${first!.name}' has ${rows}: they must agree`);
    }
  }
  if (rows > target.maxRows) {
    throw invalid(
      `model '${target.name}' takes at most ${target.maxRows} rows in one request, got ${rows}; send them in several`,
    );
  }
  return rows;
}

/** -1 for a free dimension, as in model metadata. */
export function showShape(shape: readonly (number | string)[]): string {
  return `[${shape.map((size) => (typeof size === 'string' ? -1 : size)).join(',')}]`;
}

function listNames(tensors: readonly TensorSignature[]): string {
  return tensors.map(({ name }) => `'${name}'`).join(', ');
}

function invalid(message: string): ServerError {
  return new ServerError('INPUT_INVALID', message);
}
