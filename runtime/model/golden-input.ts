import { readFileSync } from 'node:fs';
import { isBatchable, type ModelFacts, type TensorSignature } from '../spec/model-facts';
import { isDatatype } from '../spec/datatypes';
import { toHalfBits } from '../onnx/half-float';
import { parseJsonText } from '../onnx/json-text';
import {
  assertTextCarried,
  elementCount,
  makeTensorData,
  TensorEncodingError,
  type Tensor,
} from '../onnx/tensor-encoding';
import { tensorDataFromJson } from '../onnx/tensor-json';
import { PublishError } from './publish-error';

/** Two, so that the proof sees a batch and not only a row. */
const GENERATED_ROWS = 2;
const SEED = 1;

/**
 * An input made from the signature alone, always the same for the same signature. Floating point: numbers from 0 to 1.
 * 8-bit integers: their whole range, as in images. Wider integers: ones, good as a token, a mask, a length, and an index
 * into anything with two rows. BOOL: true. BYTES: `1`. Free dimensions are 1, the batch dimension 2.
 */
export function generateGoldenInput(facts: Pick<ModelFacts, 'inputs' | 'outputs'>): readonly Tensor[] {
  return generateInput(facts, SEED);
}

/** As `generateGoldenInput`, other numbers for other seeds. */
export function generateInput(facts: Pick<ModelFacts, 'inputs' | 'outputs'>, seed: number): readonly Tensor[] {
  const random = randomNumbers(seed);
  const sizes = new Map<string, number>();
  if (isBatchable(facts)) facts.inputs.forEach(({ shape }) => sizes.set(shape[0] as string, GENERATED_ROWS));
  return facts.inputs.map(({ name, datatype, shape: dimensions }) => {
    const shape = dimensions.map((size, i) =>
      typeof size === 'number' ? size : size === '' && i > 0 ? 1 : (sizes.get(size) ?? 1),
    );
    const data = makeTensorData(datatype, elementCount(shape), () => generateElement(datatype, random));
    return { name, datatype, shape, data };
  });
}

function generateElement(datatype: Tensor['datatype'], random: () => number): number | bigint | string {
  switch (datatype) {
    case 'FP32':
    case 'FP64':
      return random();
    case 'FP16':
      return toHalfBits(random());
    case 'UINT8':
    case 'INT8':
      return Math.floor(random() * 256);
    case 'UINT64':
    case 'INT64':
      return 1n;
    case 'BOOL':
    case 'UINT16':
    case 'INT16':
    case 'UINT32':
    case 'INT32':
      return 1;
    case 'BYTES':
      return '1';
  }
}

/** Numbers from 0 to 1 that are the same on every machine (mulberry32, by Tommy Ettinger, public domain). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Reads an input written like an Open Inference Protocol request:
 * `{ "inputs": [{ "name", "datatype", "shape", "data" }] }`.
 * @throws PublishError GOLDEN_FILE_INVALID naming the input, what the model expects and what the file has.
 */
export function readGoldenInput(file: string, facts: ModelFacts): readonly Tensor[] {
  const refuse = (message: string): never => {
    throw new PublishError('GOLDEN_FILE_INVALID', file, message);
  };
  const request = readJson(file, refuse);
  const given = (request as { inputs?: unknown } | null)?.inputs;
  if (!Array.isArray(given)) return refuse('must be an object with a list of inputs');
  const byName = new Map<string, Record<string, unknown>>();
  const known = facts.inputs.map(({ name }) => name);
  for (const tensor of given as (Record<string, unknown> | null)[]) {
    const name = tensor?.['name'];
    if (tensor === null || typeof name !== 'string') return refuse('every input must be an object with a name');
    if (!known.includes(name)) return refuse(`has an input '${name}', the model has ${known.join(', ')}`);
    byName.set(name, tensor);
  }
  return facts.inputs.map((input) => {
    const tensor = byName.get(input.name);
    if (tensor === undefined) return refuse(`lacks the input '${input.name}'`);
    return readTensor(input, tensor, (message) => refuse(`input '${input.name}' ${message}`));
  });
}

function readTensor(
  expected: TensorSignature,
  given: Record<string, unknown>,
  refuse: (message: string) => never,
): Tensor {
  const { name, datatype } = expected;
  const shape = given['shape'];
  if (!isDatatype(given['datatype']) || given['datatype'] !== datatype) {
    return refuse(`must be ${datatype}, got ${JSON.stringify(given['datatype'])}`);
  }
  const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape || !fits(shape as number[], expected.shape)) {
    const wanted = expected.shape.map((size) => (size === '' ? '?' : size)).join(', ');
    return refuse(`must have the shape [${wanted}], got ${JSON.stringify(shape)}`);
  }
  try {
    const data = tensorDataFromJson(datatype, shape, given['data']);
    if (datatype === 'BYTES') assertTextCarried(data as readonly string[]);
    return { name, datatype, shape, data };
  } catch (error) {
    if (!TensorEncodingError.is(error)) throw error;
    return refuse(`has wrong data: ${error.message}`);
  }
}

function fits(shape: readonly number[], signature: TensorSignature['shape']): boolean {
  return (
    shape.length === signature.length &&
    shape.every((size, i) => typeof signature[i] === 'string' || signature[i] === size)
  );
}

function readJson(file: string, refuse: (message: string) => never): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return refuse((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (error as Error).message);
  }
  try {
    return parseJsonText(text);
  } catch (error) {
    return refuse(`must be JSON: ${(error as Error).message}`);
  }
}
