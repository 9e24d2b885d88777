import type { Datatype } from '../spec/datatypes';

/** Elements as JSON writes them and as bytes carry them, row-major: what a server must tell back unchanged. */
export interface Sample {
  readonly json: readonly unknown[];
  readonly bytes: Buffer;
}

/** Edges of each datatype: least, greatest, and what is easily got wrong. */
export const SAMPLES: Record<Datatype, Sample> = {
  BOOL: { json: [true, false], bytes: Buffer.from([1, 0]) },
  UINT8: { json: [0, 255], bytes: Buffer.from([0, 255]) },
  INT8: { json: [-128, 127], bytes: Buffer.from([0x80, 0x7f]) },
  UINT16: { json: [0, 65_535], bytes: Buffer.from([0, 0, 0xff, 0xff]) },
  INT16: { json: [-32_768, 32_767], bytes: Buffer.from([0, 0x80, 0xff, 0x7f]) },
  UINT32: { json: [0, 4_294_967_295], bytes: Buffer.from('00000000ffffffff', 'hex') },
  INT32: { json: [-2_147_483_648, 2_147_483_647], bytes: Buffer.from('00000080ffffff7f', 'hex') },
  UINT64: { json: [0, 18_446_744_073_709_551_615n], bytes: Buffer.from('0000000000000000ffffffffffffffff', 'hex') },
  INT64: {
    json: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
    bytes: Buffer.from('0000000000000080ffffffffffffff7f', 'hex'),
  },
  FP16: { json: [1.5, -2], bytes: Buffer.from('003e00c0', 'hex') },
  FP32: { json: [0.5, -3.25], bytes: Buffer.from('0000003f000050c0', 'hex') },
  FP64: { json: [0.1, -1e300], bytes: doubles([0.1, -1e300]) },
  BYTES: { json: ['a', 'é'], bytes: Buffer.from('010000006102000000c3a9', 'hex') },
};

function doubles(values: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(values).buffer);
}

export function floats(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

/** JSON with every digit of a bigint. */
export function stringifyExact(value: unknown): string {
  const numbers: string[] = [];
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' ? `\u0000${numbers.push(part.toString()) - 1}\u0000` : part,
  );
  return text.replace(/"\\u0000(\d+)\\u0000"/g, (_, i: string) => numbers[Number(i)]!);
}

export interface BinaryInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly bytes: Uint8Array;
}

/** A body with the binary tensor extension, and its headers. */
export function binaryBody(
  inputs: readonly BinaryInput[],
  rest: Readonly<Record<string, unknown>> = {},
): { readonly body: Buffer; readonly headers: Readonly<Record<string, string>> } {
  const json = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ bytes, ...input }) => ({ ...input, parameters: { binary_data_size: bytes.byteLength } })),
      ...rest,
    }),
  );
  return {
    body: Buffer.concat([json, ...inputs.map(({ bytes }) => bytes)]),
    headers: { 'Content-Type': 'application/octet-stream', 'Inference-Header-Content-Length': String(json.byteLength) },
  };
}
