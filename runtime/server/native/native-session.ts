import { performance } from 'node:perf_hooks';
import { allocateTensorData, elementCount, type Tensor, type TensorData } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import { datatypeOf, ELEMENT_TYPES } from './element-type';
import type { ThreadSession } from '../executor-worker';
import { loadOrtApi, OrtError, type OrtApi } from './ort-api';
import type { SessionSignature } from './session-signature';
import { textArray } from './session-options';

type Numbers = Exclude<TensorData, readonly string[]>;

/** A session that another thread opened, and what is needed to run it here. */
export interface SessionHandle extends SessionSignature {
  /** Address of the `OrtSession`. */
  readonly session: bigint;
  /** Address of the `OrtRunOptions`, of this one user of the session alone. */
  readonly runOptions: bigint;
  /** Address of the `OrtMemoryInfo` of ordinary memory. */
  readonly cpuMemory: bigint;
}

/** A session that the main thread opened, for the executor's thread that this is called on. */
export async function openNativeSession(libraryPath: string, handle: SessionHandle): Promise<ThreadSession> {
  const api = await loadOrtApi(libraryPath);
  const session = new NativeSession(api, handle);
  const { inputs, outputs } = handle;
  return { inputs, outputs, onnxRuntimeVersion: api.version, run: (given) => session.run(given) };
}

/**
 * Runs a session on the thread it is called on. Any number of threads may run one session at the same time, each through
 * an object of this class.
 *
 * Outputs lie in JavaScript's own memory. Where the shape of an output follows from the inputs, the model writes into
 * memory that was allocated for it beforehand, so nothing is copied; the others are copied once, because memory of ONNX
 * Runtime would have to be released by hand after the answer has been written. The first run shows whether the model
 * keeps to its shapes and writes where it is told; if not, that run is made again, and all later ones copy.
 */
export class NativeSession {
  private readonly inputNames: BigUint64Array;
  private readonly outputNames: BigUint64Array;
  private readonly predictions: readonly (ShapePrediction | undefined)[];
  private predicts = true;
  /** Whether a run has written all that was allocated for it. */
  private hasPredicted = false;
  private readonly allocator: bigint;

  constructor(
    private readonly api: OrtApi,
    private readonly handle: SessionHandle,
  ) {
    this.inputNames = textArray(
      api,
      handle.inputs.map(({ name }) => name),
    );
    this.outputNames = textArray(
      api,
      handle.outputs.map(({ name }) => name),
    );
    this.predictions = handle.outputs.map((output) => predictShape(output, handle.inputs));
    this.allocator = api.pointer((out) => api.call.GetAllocatorWithDefaultOptions(out));
  }

  /**
   * @returns every output in the model's order, and the seconds of the run alone
   * @throws OrtError
   */
  run(inputs: readonly Tensor[]): { readonly outputs: readonly Tensor[]; readonly seconds: number } {
    const values = new Values(this.api, this.handle.cpuMemory, this.allocator);
    try {
      const names = new BigUint64Array(inputs.length);
      const given = new BigUint64Array(inputs.length);
      inputs.forEach((input, i) => {
        names[i] = this.inputNames[this.indexOfInput(input.name)]!;
        given[i] = values.add(input);
      });
      return this.predicts ? this.runPredicted(values, names, given, inputs) : this.runOnce(values, names, given, []);
    } finally {
      values.release();
    }
  }

  private indexOfInput(name: string): number {
    const i = this.handle.inputs.findIndex((input) => input.name === name);
    if (i < 0) throw new OrtError(`the model has no input '${name}'`);
    return i;
  }

  private runPredicted(
    values: Values,
    names: BigUint64Array,
    given: BigUint64Array,
    inputs: readonly Tensor[],
  ): ReturnType<NativeSession['run']> {
    const prepared = this.predictions.map((predict, i) => {
      const shape = predict?.(inputs);
      return shape === undefined ? undefined : emptyTensor(this.handle.outputs[i]!, shape);
    });
    if (!this.hasPredicted) prepared.forEach((tensor) => tensor !== undefined && bytesOf(tensor).fill(UNTOUCHED));
    try {
      const result = this.runOnce(values, names, given, prepared);
      if (this.hasPredicted || prepared.every((tensor) => tensor === undefined || isWritten(tensor))) {
        this.hasPredicted = true;
        return result;
      }
    } catch (error) {
      // The names of the dimensions promise what the model does not keep. ONNX Runtime compares before it writes.
      if (!(error instanceof OrtError && WRONG_SHAPE.test(error.message))) throw error;
    }
    this.predicts = false;
    return this.runOnce(values, names, given, []);
  }

  private runOnce(
    values: Values,
    names: BigUint64Array,
    given: BigUint64Array,
    prepared: readonly (Tensor | undefined)[],
  ): ReturnType<NativeSession['run']> {
    const { session, runOptions, outputs } = this.handle;
    const results = new BigUint64Array(outputs.length);
    prepared.forEach((tensor, i) => {
      if (tensor !== undefined) results[i] = values.add(tensor);
    });
    const start = performance.now();
    this.api.call.Run(session, runOptions, names, given, given.length, this.outputNames, outputs.length, results);
    const seconds = (performance.now() - start) / 1_000;
    outputs.forEach((_, i) => prepared[i] === undefined && values.own(results[i]!));
    return { seconds, outputs: outputs.map(({ name }, i) => prepared[i] ?? values.read(name, results[i]!)) };
  }
}

/** Of "The output OrtValue provided for output … has shape …" and "OrtValue shape verification failed". */
const WRONG_SHAPE = /OrtValue provided for output|shape verification failed/;

type ShapePrediction = (inputs: readonly Tensor[]) => readonly number[];

/** How an output's shape follows from the inputs' by the names of dimensions; undefined when it does not. */
function predictShape(output: TensorSignature, inputs: readonly TensorSignature[]): ShapePrediction | undefined {
  // Text has memory of its own, and ONNX Runtime does not copy an input that is an output, too.
  if (output.datatype === 'BYTES' || inputs.some(({ name }) => name === output.name)) return undefined;
  const sizes = output.shape.map((size): ((given: readonly Tensor[]) => number) | undefined => {
    if (typeof size === 'number') return () => size;
    for (const { name, shape } of size === '' ? [] : inputs) {
      const axis = shape.indexOf(size);
      if (axis >= 0) return (given) => given.find((tensor) => tensor.name === name)?.shape[axis] ?? NaN;
    }
    return undefined;
  });
  if (sizes.includes(undefined)) return undefined;
  return (given) => sizes.map((size) => size!(given));
}

function emptyTensor({ name, datatype }: TensorSignature, shape: readonly number[]): Tensor | undefined {
  if (shape.some(Number.isNaN)) return undefined;
  return { name, datatype, shape, data: allocateTensorData(datatype, elementCount(shape)) };
}

/** What fills outputs before the first run, to see that it writes them. */
const UNTOUCHED = 0xa5;

function isWritten(tensor: Tensor): boolean {
  const bytes = bytesOf(tensor);
  return bytes.length === 0 || bytes.some((byte) => byte !== UNTOUCHED);
}

function bytesOf({ data }: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = data as Numbers;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Keeps a pointer valid that ONNX Runtime wants even of an array without elements. */
const NOTHING = new BigUint64Array(1);

/** The `OrtValue`s of one run. */
class Values {
  private readonly addresses: bigint[] = [];
  /** What the values point at. */
  private readonly kept: unknown[] = [];

  constructor(
    private readonly api: OrtApi,
    private readonly cpuMemory: bigint,
    private readonly allocator: bigint,
  ) {}

  /** A value over the tensor's own memory; text is copied. */
  add({ datatype, shape, data }: Tensor): bigint {
    const sizes = shape.length === 0 ? NOTHING : BigInt64Array.from(shape, BigInt);
    const type = ELEMENT_TYPES[datatype];
    const { call } = this.api;
    if (!ArrayBuffer.isView(data)) {
      const texts = textArray(this.api, data);
      const value = this.own(
        this.api.pointer((out) => call.CreateTensorAsOrtValue(this.allocator, sizes, shape.length, type, out)),
      );
      call.FillStringTensor(value, data.length === 0 ? NOTHING : texts, data.length);
      return value;
    }
    // A short array lies inside the JavaScript heap, where it moves, until somebody asks for its buffer.
    this.kept.push(data.buffer, sizes);
    const memory = data.byteLength === 0 ? NOTHING : data;
    return this.own(
      this.api.pointer((out) =>
        call.CreateTensorWithDataAsOrtValue(this.cpuMemory, memory, data.byteLength, sizes, shape.length, type, out),
      ),
    );
  }

  /** Has a value released with the others. */
  own(address: bigint): bigint {
    this.addresses.push(address);
    return address;
  }

  /** A copy of a value. */
  read(name: string, value: bigint): Tensor {
    const { type, shape } = this.typeAndShape(value);
    const datatype = datatypeOf(type);
    if (datatype === undefined) throw new OrtError(`output '${name}' has ONNX element type ${type}`);
    const count = elementCount(shape);
    if (datatype === 'BYTES') return { name, datatype, shape, data: this.readTexts(value, count) };
    const data = allocateTensorData(datatype, count) as Numbers;
    if (count > 0)
      this.api.copy(
        data,
        this.api.pointer((out) => this.api.call.GetTensorMutableData(value, out)),
      );
    return { name, datatype, shape, data };
  }

  private typeAndShape(value: bigint): { readonly type: number; readonly shape: readonly number[] } {
    const { call } = this.api;
    const info = this.api.pointer((out) => call.GetTensorTypeAndShape(value, out));
    try {
      const type = new Int32Array(1);
      call.GetTensorElementType(info, type);
      const sizes = new BigInt64Array(Number(this.api.pointer((out) => call.GetDimensionsCount(info, out))));
      if (sizes.length > 0) call.GetDimensions(info, sizes, sizes.length);
      return { type: type[0]!, shape: [...sizes].map(Number) };
    } finally {
      this.api.release.ReleaseTensorTypeAndShapeInfo(info);
    }
  }

  private readTexts(value: bigint, count: number): readonly string[] {
    if (count === 0) return [];
    const { call } = this.api;
    const bytes = Buffer.alloc(Number(this.api.pointer((out) => call.GetStringTensorDataLength(value, out))));
    const offsets = new BigUint64Array(count);
    call.GetStringTensorContent(value, bytes.length === 0 ? NOTHING : bytes, bytes.length, offsets, count);
    return Array.from(offsets, (start, i) =>
      bytes.toString('utf8', Number(start), Number(offsets[i + 1] ?? bytes.length)),
    );
  }

  release(): void {
    for (const address of this.addresses) this.api.release.ReleaseValue(address);
    this.kept.length = 0;
  }
}
