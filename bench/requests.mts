// Bodies as clients send them: the Open Inference Protocol as binary, as JSON and over gRPC.
import type { Request } from './load.mjs';

/** One FP32 tensor named `input`. */
export interface Input {
  readonly model: string;
  readonly name?: string;
  readonly shape: readonly number[];
}

export function values({ shape }: Input): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7 + 3) % 11) / 11);
}

export function binaryRequest(base: string, input: Input): Request {
  const { model, name = 'input', shape } = input;
  const tensor = Buffer.from(values(input).buffer);
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name, shape, datatype: 'FP32', parameters: { binary_data_size: tensor.byteLength } }],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    url: `${base}/v2/models/${model}/infer`,
    body: Buffer.concat([json, tensor]),
    headers: {
      'Content-Type': 'application/octet-stream',
      'Inference-Header-Content-Length': String(json.byteLength),
    },
  };
}

export function jsonRequest(base: string, input: Input): Request {
  const { model, name = 'input', shape } = input;
  const body = JSON.stringify({ inputs: [{ name, shape, datatype: 'FP32', data: Array.from(values(input)) }] });
  return {
    url: `${base}/v2/models/${model}/infer`,
    body: Buffer.from(body),
    headers: { 'Content-Type': 'application/json' },
  };
}

export function grpcRequest(base: string, input: Input): Request {
  const { model, name = 'input', shape } = input;
  const tensor = Buffer.from(values(input).buffer);
  const dims = Buffer.concat(shape.map(varint));
  const entry = Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from('FP32')), field(3, dims)]);
  const message = Buffer.concat([field(1, Buffer.from(model)), field(5, entry), field(7, tensor)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return {
    url: `${base}/inference.GRPCInferenceService/ModelInfer`,
    body: Buffer.concat([head, message]),
    headers: { 'content-type': 'application/grpc', te: 'trailers' },
  };
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.byteLength), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
