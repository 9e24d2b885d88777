import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { onTestFinished } from 'vitest';

// grpc-js and protobufjs read the same protos as the server, and share no code with it.
const PROTOS = path.resolve('runtime/server/grpc/protos');
const FILES = [
  'inference/grpc_service.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
];

export const packages = loadSync(
  FILES.map((file) => path.join(PROTOS, file)),
  { includeDirs: [PROTOS], keepCase: true, longs: String, defaults: true, oneofs: true, bytes: Buffer },
);
const services = grpc.loadPackageDefinition(packages);

export type Client = grpc.Client & Record<string, any>;

/** A client of one service, `package.Service`; closed with the test. */
export function connect(
  port: number,
  service: string,
  options: grpc.ChannelOptions = {},
  credentials = grpc.credentials.createInsecure(),
): Client {
  const names = service.split('.');
  const found = names.reduce<any>((at, name) => at[name], services) as new (...args: unknown[]) => Client;
  const client = new found(`127.0.0.1:${port}`, credentials, {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
    // Channels to the same address share connections otherwise, those of other tests among them.
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
  onTestFinished(() => client.close());
  return client;
}

export function connectInference(port: number, options?: grpc.ChannelOptions): Client {
  return connect(port, 'inference.GRPCInferenceService', options);
}

/** One unary call. Rejects with grpc-js's error: `code`, `details`, `metadata`. */
export function call(
  client: Client,
  method: string,
  request: object = {},
  { metadata = {}, ...options }: grpc.CallOptions & { metadata?: Record<string, string> } = {},
): Promise<any> {
  const sent = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
  return new Promise((resolve, reject) => {
    client[method](request, sent, options, (error: grpc.ServiceError | null, answer: unknown) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

export function infer(client: Client, request: object, options?: grpc.CallOptions): Promise<any> {
  return call(client, 'ModelInfer', request, options);
}

/** A request of one FP32 tensor, raw. */
export function rawFloats(
  model: string,
  shape: readonly number[],
  data: readonly number[] | Float32Array,
  name = 'input',
): object {
  const bytes = Float32Array.from(data);
  return {
    model_name: model,
    inputs: [{ name, datatype: 'FP32', shape }],
    raw_input_contents: [Buffer.from(bytes.buffer)],
  };
}

export function floatsOf(bytes: Buffer): number[] {
  return [...new Float32Array(new Uint8Array(bytes).buffer)];
}
