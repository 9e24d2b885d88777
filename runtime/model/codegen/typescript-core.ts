/**
 * What a generated client is made of whatever its model is: it is written into the file behind the types, so that the file needs
 * nothing but `fetch`. Plain concatenation, because this text is a template literal itself.
 */
export const TYPESCRIPT_CORE = `
/** A tensor in row-major order. */
export interface Tensor<Data> {
  readonly data: Data;
  readonly shape: readonly number[];
}

export interface ClientOptions {
  /** Sent with every request, for keys: { Authorization: 'Bearer …' }. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Longest time of one call, all tries together. The server is told what is left of it. @default 30000 */
  readonly timeoutMs?: number;
  /** How often a call is tried at most, where the server is busy (429, 503) or was not reached. @default 4 */
  readonly tries?: number;
  /** @default the global fetch */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Overrides the client's, for this call. */
  readonly timeoutMs?: number;
  /** Shown by the server's traces and logs. */
  readonly requestId?: string;
}

/** What the server answered instead of outputs. */
export class InferenceError extends Error {
  /** 0 where no answer came. */
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'InferenceError';
    this.status = status;
  }
}

interface TensorSpec {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string)[];
}

type AnyData = ArrayBufferView | readonly string[] | readonly boolean[] | readonly number[];

const BYTES_OF: Readonly<Record<string, number>> = {
  BOOL: 1, INT8: 1, UINT8: 1, INT16: 2, UINT16: 2, FP16: 2, INT32: 4, UINT32: 4, FP32: 4, INT64: 8, UINT64: 8, FP64: 8,
};

function sizesOf(spec: TensorSpec, given: unknown): { data: AnyData; shape: readonly number[] } {
  const isTensor = typeof given === 'object' && given !== null && 'data' in given && 'shape' in given;
  if (isTensor) return given as Tensor<AnyData>;
  const data = given as AnyData & { readonly length?: number };
  const fixed = spec.shape.slice(1);
  if (data !== undefined && spec.shape.length === 0) return { data, shape: [] };
  if (data === undefined || data === null) throw new TypeError("input '" + spec.name + "' is missing");
  if (typeof spec.shape[0] === 'number' && fixed.every((size) => typeof size === 'number')) {
    return { data, shape: spec.shape as readonly number[] };
  }
  if (!fixed.every((size) => typeof size === 'number')) {
    throw new TypeError("input '" + spec.name + "' has several free dimensions: give { data, shape }");
  }
  const row = (fixed as readonly number[]).reduce((product, size) => product * size, 1);
  const rows = (data.length ?? 0) / row;
  if (!Number.isInteger(rows) || rows === 0) {
    throw new TypeError("input '" + spec.name + "' must have a whole number of rows of " + row + ' elements, got ' + String(data.length));
  }
  return { data, shape: [rows, ...(fixed as readonly number[])] };
}

function encode(spec: TensorSpec, data: AnyData, shape: readonly number[]): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const length = (data as { readonly length?: number }).length;
  if (length !== count) {
    throw new TypeError("input '" + spec.name + "' of shape [" + shape.join(', ') + '] must have ' + count + ' elements, got ' + String(length));
  }
  if (spec.datatype === 'BYTES') {
    const texts = (data as readonly string[]).map((text) => new TextEncoder().encode(text));
    const all = new Uint8Array(texts.reduce((sum, text) => sum + 4 + text.byteLength, 0));
    const view = new DataView(all.buffer);
    let at = 0;
    for (const text of texts) {
      view.setUint32(at, text.byteLength, true);
      all.set(text, at + 4);
      at += 4 + text.byteLength;
    }
    return all;
  }
  if (spec.datatype === 'BOOL') return Uint8Array.from(data as readonly boolean[], (value) => (value ? 1 : 0));
  if (spec.datatype === 'FP16' && !(data instanceof Uint16Array)) {
    const halves = Uint16Array.from(data as unknown as readonly number[], toHalf);
    return new Uint8Array(halves.buffer);
  }
  const view = data as ArrayBufferView;
  if (view.byteLength !== count * BYTES_OF[spec.datatype]!) {
    throw new TypeError("input '" + spec.name + "' must be " + spec.datatype + ', got ' + Object.prototype.toString.call(data));
  }
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** IEEE 754 binary16, to the nearest, ties to even. */
function toHalf(value: number): number {
  FLOAT[0] = value;
  const bits = BITS[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest >= 0x7f800000) return sign | 0x7c00 | (rest > 0x7f800000 ? 0x200 : 0);
  if (rest >= 0x477ff000) return sign | 0x7c00;
  if (rest >= 0x38800000) {
    const rounded = rest - 0x38000000;
    return sign | ((rounded + 0xfff + ((rounded >>> 13) & 1)) >>> 13);
  }
  if (rest < 0x33000000) return sign;
  const exponent = rest >>> 23;
  const mantissa = (rest & 0x7fffff) | 0x800000;
  const shift = 126 - exponent;
  const half = mantissa >>> shift;
  const remainder = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (half + (remainder > middle || (remainder === middle && (half & 1) === 1) ? 1 : 0));
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function decode(datatype: string, bytes: Uint8Array, count: number): unknown {
  if (datatype === 'BYTES') {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const texts: string[] = [];
    for (let at = 0, i = 0; i < count; i++) {
      const length = view.getUint32(at, true);
      texts.push(new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return texts;
  }
  if (bytes.byteLength !== count * BYTES_OF[datatype]!) throw new InferenceError(0, 'the answer is cut off');
  // Copied, so that a typed array may begin where the tensor does.
  const buffer = bytes.slice().buffer;
  switch (datatype) {
    case 'BOOL': return Array.from(bytes, (value) => value !== 0);
    case 'INT8': return new Int8Array(buffer);
    case 'UINT8': return new Uint8Array(buffer);
    case 'INT16': return new Int16Array(buffer);
    case 'UINT16': return new Uint16Array(buffer);
    case 'INT32': return new Int32Array(buffer);
    case 'UINT32': return new Uint32Array(buffer);
    case 'INT64': return new BigInt64Array(buffer);
    case 'UINT64': return new BigUint64Array(buffer);
    case 'FP16': return Float32Array.from(new Uint16Array(buffer), fromHalf);
    case 'FP64': return new Float64Array(buffer);
    default: return new Float32Array(buffer);
  }
}

interface OutputHeader {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters?: { readonly binary_data_size?: number };
}

interface Answer {
  readonly body: Uint8Array;
  readonly headerLength: string | null;
}

/** The Open Inference Protocol with the binary tensor data extension, and what to do while a server is busy. */
class Transport {
  private readonly base: string;
  private readonly options: ClientOptions;

  constructor(url: string, options: ClientOptions) {
    this.base = url.replace(/\\/+$/, '');
    this.options = options;
  }

  async infer(
    path: string,
    inputs: readonly TensorSpec[],
    values: Readonly<Record<string, unknown>>,
    outputs: readonly string[],
    call: CallOptions,
  ): Promise<Record<string, Tensor<unknown>>> {
    const tensors = inputs.map((spec) => {
      const isThere = Object.prototype.hasOwnProperty.call(values, spec.name);
      const { data, shape } = sizesOf(spec, isThere ? values[spec.name] : undefined);
      return { spec, shape, bytes: encode(spec, data, shape) };
    });
    const header = new TextEncoder().encode(
      JSON.stringify({
        ...(call.requestId === undefined ? {} : { id: call.requestId }),
        inputs: tensors.map(({ spec, shape, bytes }) => ({
          name: spec.name,
          datatype: spec.datatype,
          shape,
          parameters: { binary_data_size: bytes.byteLength },
        })),
        outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
      }),
    );
    const body = new Uint8Array(header.byteLength + tensors.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    body.set(header);
    let at = header.byteLength;
    for (const { bytes } of tensors) {
      body.set(bytes, at);
      at += bytes.byteLength;
    }
    const answer = await this.send(path, body, header.byteLength, call);
    return readOutputs(answer.body, answer.headerLength);
  }

  private async send(path: string, body: Uint8Array<ArrayBuffer>, headerLength: number, call: CallOptions): Promise<Answer> {
    const { headers = {}, tries = 4, fetch: fetchNow = globalThis.fetch } = this.options;
    const deadline = Date.now() + (call.timeoutMs ?? this.options.timeoutMs ?? 30_000);
    for (let attempt = 1; ; attempt++) {
      const left = deadline - Date.now();
      if (left <= 0) throw new InferenceError(504, 'no answer in the time of the call');
      const signals = [AbortSignal.timeout(left), ...(call.signal === undefined ? [] : [call.signal])];
      let failure: InferenceError;
      let waitMs = Math.min(2_000, 50 * 2 ** attempt) * (0.5 + Math.random());
      try {
        const response = await fetchNow(this.base + path, {
          method: 'POST',
          body,
          headers: {
            ...headers,
            'Content-Type': 'application/octet-stream',
            'Inference-Header-Content-Length': String(headerLength),
            'X-Request-Timeout': (left / 1_000).toFixed(3),
          },
          signal: AbortSignal.any(signals),
        });
        if (response.ok) {
          const whole = new Uint8Array(await response.arrayBuffer());
          return { body: whole, headerLength: response.headers.get('Inference-Header-Content-Length') };
        }
        const text = await response.text();
        failure = new InferenceError(response.status, messageOf(text) ?? 'status ' + response.status);
        if (response.status !== 429 && response.status !== 503) throw failure;
        const after = Number(response.headers.get('Retry-After'));
        if (after > 0) waitMs = after * 1_000;
      } catch (error) {
        if (error instanceof InferenceError && error.status !== 0 && error.status !== 429 && error.status !== 503) throw error;
        if (call.signal?.aborted === true) throw call.signal.reason;
        failure = error instanceof InferenceError ? error : new InferenceError(0, String((error as Error).message));
      }
      if (attempt >= tries || Date.now() + waitMs >= deadline) throw failure;
      await new Promise<void>((resolve, reject) => {
        if (call.signal?.aborted === true) return reject(call.signal.reason);
        const stop = (): void => { clearTimeout(timer); reject(call.signal!.reason); };
        const timer = setTimeout(() => { call.signal?.removeEventListener('abort', stop); resolve(); }, waitMs);
        call.signal?.addEventListener('abort', stop, { once: true });
      });
    }
  }
}

function messageOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

/** What answers may be a proxy, with a page of its own. */
function outputsOf(text: string): readonly OutputHeader[] {
  try {
    const { outputs } = JSON.parse(text) as { readonly outputs?: readonly OutputHeader[] };
    if (Array.isArray(outputs)) return outputs;
  } catch {
    // Said below, as of every other answer that is none.
  }
  throw new InferenceError(0, 'what answers is no inference server: ' + text.slice(0, 100));
}

function readOutputs(body: Uint8Array, headerLength: string | null): Record<string, Tensor<unknown>> {
  const length = Number(headerLength ?? body.byteLength);
  const outputs = outputsOf(new TextDecoder().decode(body.subarray(0, length)));
  const result: Record<string, Tensor<unknown>> = Object.create(null) as Record<string, Tensor<unknown>>;
  let at = length;
  for (const { name, datatype, shape, parameters } of outputs) {
    const bytes = parameters?.binary_data_size ?? 0;
    const count = shape.reduce((product, size) => product * size, 1);
    result[name] = { data: decode(datatype, body.subarray(at, at + bytes), count), shape };
    at += bytes;
  }
  return result;
}
`;
