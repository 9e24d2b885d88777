import { ELEMENT_BYTES, type Datatype } from './datatypes';

/**
 * One input or output of a model.
 * A dimension is a fixed size, or the name of a free one (`'batch'`); an unnamed free dimension is `''`.
 */
export interface TensorSignature {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly (number | string)[];
}

/** How often a model uses one operator. `domain` is `''` for the ONNX standard operators. */
export interface OperatorUse {
  readonly domain: string;
  readonly operator: string;
  readonly count: number;
}

/** One operator-set import of a model. `domain` is `''` for the ONNX standard operators. */
export interface OpsetImport {
  readonly domain: string;
  readonly version: number;
}

/** Executors that a configuration asks for, where it does. */
export interface ExecutorCounts {
  /** Of one replica, all of them together. */
  readonly all: number;
  /** Most that run on one GPU, where the server has some. */
  readonly perGpu: number;
  /** Those that run on the CPU even so. */
  readonly onCpu: number;
  /** Whether some run on a GPU or not at all. */
  readonly needGpu: boolean;
}

/**
 * What the planner needs to know about a model, read from its file without running it
 * (`readOnnxModel` in `slipway/runtime`) or from the manifest that `slipway model publish` wrote.
 */
export interface ModelFacts {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  readonly opsets: readonly OpsetImport[];
  readonly operators: readonly OperatorUse[];
  /** Bytes of all initializers, external data included: what one session holds at least once. */
  readonly weightBytes: number;
  /** Bytes of all files of the model: what a replica downloads. */
  readonly fileBytes: number;
  /** What the configuration that was published with the model asks for. @default - it asks for nothing: the plan decides */
  readonly executors?: ExecutorCounts;
}

/** One file of a model version; `path` is relative to the version's folder and uses forward slashes. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** True when dimension 0 of every input and output is free, so rows of several requests can share one run. */
export function isBatchable(facts: Pick<ModelFacts, 'inputs' | 'outputs'>): boolean {
  return [...facts.inputs, ...facts.outputs].every((tensor) => typeof tensor.shape[0] === 'string');
}

/** Bytes of one row of a tensor; a free dimension counts as `freeDimension` elements, a BYTES element as 64 bytes. */
export function rowBytes(tensor: TensorSignature, freeDimension = 1): number {
  const elementBytes = ELEMENT_BYTES[tensor.datatype] ?? 64;
  return tensor.shape
    .slice(1)
    .reduce<number>((bytes, dim) => bytes * (typeof dim === 'number' ? dim : freeDimension), elementBytes);
}
