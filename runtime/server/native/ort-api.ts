import { callInPool, loadKoffi, openLibrary, type ForeignFunction, type ForeignLibrary } from './koffi';

/** A pointer, a number, text or an array whose address is passed. */
export type ForeignValue = bigint | number | string | ArrayBufferView | null;

type Signature = readonly [index: number, parameters: readonly string[]];

const POINTER = 'void *';

/**
 * Calls that answer with a status, by their position in `OrtApi`. ONNX Runtime only ever appends to that table, so a
 * position holds in every later release; `test/server/native-api.test.ts` calls each of them. Declared in
 * `onnxruntime_c_api.h`, https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_c_api.h
 */
const STATUS_CALLS = {
  CreateEnv: [3, ['int', 'str', POINTER]],
  DisableTelemetryEvents: [6, [POINTER]],
  CreateSession: [7, [POINTER, 'str', POINTER, POINTER]],
  CreateSessionFromArray: [8, [POINTER, POINTER, 'size_t', POINTER, POINTER]],
  Run: [9, [POINTER, POINTER, POINTER, POINTER, 'size_t', POINTER, 'size_t', POINTER]],
  CreateSessionOptions: [10, [POINTER]],
  SetSessionExecutionMode: [13, [POINTER, 'int']],
  DisableMemPattern: [17, [POINTER]],
  DisableCpuMemArena: [19, [POINTER]],
  SetSessionLogSeverityLevel: [22, [POINTER, 'int']],
  SetSessionGraphOptimizationLevel: [23, [POINTER, 'int']],
  SetIntraOpNumThreads: [24, [POINTER, 'int']],
  SetInterOpNumThreads: [25, [POINTER, 'int']],
  SessionGetInputCount: [30, [POINTER, POINTER]],
  SessionGetOutputCount: [31, [POINTER, POINTER]],
  SessionGetInputTypeInfo: [33, [POINTER, 'size_t', POINTER]],
  SessionGetOutputTypeInfo: [34, [POINTER, 'size_t', POINTER]],
  SessionGetInputName: [36, [POINTER, 'size_t', POINTER, POINTER]],
  SessionGetOutputName: [37, [POINTER, 'size_t', POINTER, POINTER]],
  CreateRunOptions: [39, [POINTER]],
  RunOptionsSetRunLogSeverityLevel: [41, [POINTER, 'int']],
  RunOptionsSetTerminate: [46, [POINTER]],
  RunOptionsUnsetTerminate: [47, [POINTER]],
  CreateTensorAsOrtValue: [48, [POINTER, POINTER, 'size_t', 'int', POINTER]],
  CreateTensorWithDataAsOrtValue: [49, [POINTER, POINTER, 'size_t', POINTER, 'size_t', 'int', POINTER]],
  GetTensorMutableData: [51, [POINTER, POINTER]],
  FillStringTensor: [52, [POINTER, POINTER, 'size_t']],
  GetStringTensorDataLength: [53, [POINTER, POINTER]],
  GetStringTensorContent: [54, [POINTER, POINTER, 'size_t', POINTER, 'size_t']],
  CastTypeInfoToTensorInfo: [55, [POINTER, POINTER]],
  GetTensorElementType: [60, [POINTER, POINTER]],
  GetDimensionsCount: [61, [POINTER, POINTER]],
  GetDimensions: [62, [POINTER, POINTER, 'size_t']],
  GetSymbolicDimensions: [63, [POINTER, POINTER, 'size_t']],
  GetTensorTypeAndShape: [65, [POINTER, POINTER]],
  CreateCpuMemoryInfo: [69, ['int', 'int', POINTER]],
  AllocatorFree: [76, [POINTER, POINTER]],
  GetAllocatorWithDefaultOptions: [78, [POINTER]],
  GetAvailableProviders: [125, [POINTER, POINTER]],
  ReleaseAvailableProviders: [126, [POINTER, 'int']],
  AddSessionConfigEntry: [130, [POINTER, 'str', 'str']],
  AddRunConfigEntry: [165, [POINTER, 'str', 'str']],
  SessionOptionsAppendExecutionProvider_TensorRT_V2: [170, [POINTER, POINTER]],
  CreateTensorRTProviderOptions: [171, [POINTER]],
  UpdateTensorRTProviderOptions: [172, [POINTER, POINTER, POINTER, 'size_t']],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, [POINTER, POINTER]],
  CreateCUDAProviderOptions: [205, [POINTER]],
  UpdateCUDAProviderOptions: [206, [POINTER, POINTER, POINTER, 'size_t']],
} as const satisfies Record<string, Signature>;

/** Calls that cannot fail. */
const VOID_CALLS = {
  ReleaseStatus: [93, [POINTER]],
  ReleaseSession: [95, [POINTER]],
  ReleaseValue: [96, [POINTER]],
  ReleaseRunOptions: [97, [POINTER]],
  ReleaseTypeInfo: [98, [POINTER]],
  ReleaseTensorTypeAndShapeInfo: [99, [POINTER]],
  ReleaseSessionOptions: [100, [POINTER]],
  ReleaseTensorRTProviderOptions: [174, [POINTER]],
  ReleaseCUDAProviderOptions: [208, [POINTER]],
} as const satisfies Record<string, Signature>;

const GET_ERROR_MESSAGE = 2;
/** The release whose table has every position that is used here. */
const API_VERSION = 17;
const TABLE_LENGTH = 210;

type StatusCall = keyof typeof STATUS_CALLS;
type VoidCall = keyof typeof VOID_CALLS;

/** ONNX Runtime refused a call; the message is its first line. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
}

/** The C API of one loaded `libonnxruntime`, called through a foreign-function interface. */
export interface OrtApi {
  /** Of the library itself, such as `1.30.0`. */
  readonly version: string;
  /** @throws OrtError */
  readonly call: { readonly [Name in StatusCall]: (...values: readonly ForeignValue[]) => void };
  readonly release: { readonly [Name in VoidCall]: (value: bigint) => void };
  /** On a thread of libuv's pool. @throws OrtError */
  callInPool(name: StatusCall, ...values: readonly ForeignValue[]): Promise<void>;
  releaseInPool(name: VoidCall, value: bigint): Promise<void>;
  /** What a call that hands out one pointer wrote. @throws OrtError */
  pointer(call: (out: BigUint64Array) => void): bigint;
  /** Copies `target.byteLength` bytes. */
  copy(target: ArrayBufferView, source: bigint): void;
  /** The address of an array's memory; the array must be kept for as long as the address is used. */
  address(array: ArrayBufferView): bigint;
  /** Text that ends at its first zero byte. */
  text(address: bigint): string;
}

/**
 * Loads the library; a process that has it already gets that one.
 * @param libraryPath Of the file that onnxruntime-node loads: another copy would be a second runtime in one process.
 * @throws Error when koffi is not installed or the library cannot be loaded.
 */
export async function loadOrtApi(libraryPath: string): Promise<OrtApi> {
  const koffi = await loadKoffi();
  const library = openLibrary(koffi, libraryPath);
  const base: unknown = library.func('OrtGetApiBase', POINTER, [])();
  const [getApi, getVersion] = koffi.decode(base, POINTER, 2) as [bigint, bigint];
  const version = asFunction(koffi, getVersion, 'str', [])() as string;
  const table = asFunction(koffi, getApi, POINTER, ['uint32_t'])(API_VERSION) as bigint | null;
  if (table === null) throw new Error(`onnxruntime ${version} has no C API of version ${API_VERSION}`);
  return buildApi(koffi, version, koffi.decode(table, POINTER, TABLE_LENGTH) as bigint[]);
}

function asFunction(
  koffi: ForeignLibrary,
  address: bigint,
  result: string,
  parameters: readonly string[],
): ForeignFunction {
  return koffi.decode(address, koffi.proto(result, [...parameters])) as ForeignFunction;
}

function buildApi(koffi: ForeignLibrary, version: string, table: readonly bigint[]): OrtApi {
  const at = (index: number, result: string, parameters: readonly string[]): ForeignFunction =>
    asFunction(koffi, table[index]!, result, parameters);
  const getErrorMessage = at(GET_ERROR_MESSAGE, 'str', [POINTER]);
  const status = lazily(STATUS_CALLS, ([index, parameters]) => at(index, POINTER, parameters));
  const release = lazily(VOID_CALLS, ([index, parameters]) => at(index, 'void', parameters));
  const memcpy = koffi.load(null).func('memcpy', POINTER, [POINTER, POINTER, 'size_t']);

  const check = (answer: unknown): void => {
    if (answer === null) return;
    const message = getErrorMessage(answer) as string;
    release.ReleaseStatus(answer);
    throw new OrtError(message.trim().split('\n')[0]);
  };
  return {
    version,
    call: lazily(STATUS_CALLS, (_, name) => {
      const call = status[name];
      return (...values) => check(call(...values));
    }),
    release,
    callInPool: (name, ...values) => callInPool(status[name], values).then(check),
    releaseInPool: (name, value) => callInPool(release[name], [value]).then(() => {}),
    pointer: (call) => {
      const out = new BigUint64Array(1);
      call(out);
      return out[0]!;
    },
    copy: (target, source) => void memcpy(target, source, target.byteLength),
    address: (array) => koffi.address(array),
    text: (address) => koffi.decode.string(address),
  };
}

/**
 * A record whose values are made when they are first read. koffi keeps about a kilobyte for each function that a thread
 * declares, also after the thread has ended, and a thread that runs a session needs a quarter of them.
 */
function lazily<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  make: (value: From, key: Key) => To,
): Record<Key, To> {
  const target = {} as Record<Key, To>;
  for (const key of Object.keys(record) as Key[]) {
    const define = (property: PropertyDescriptor): void =>
      void Object.defineProperty(target, key, { configurable: true, enumerable: true, ...property });
    define({
      get: () => {
        const value = make(record[key], key);
        define({ value });
        return value;
      },
    });
  }
  return target;
}
