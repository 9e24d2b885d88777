import type { ServiceError } from '@grpc/grpc-js';
import { infer, type Client } from '../server/grpc/grpc-client';
import { fromJsonList, readAnswer, toJsonList, type WireTensor } from './wire-tensor';
import type { Datatype } from '../../runtime/spec/datatypes';

export type CaseAnswer =
  | { readonly outputs: readonly WireTensor[] }
  /** The HTTP status it was refused with, or the gRPC status. */
  | { readonly status: number; readonly reason: string };

/** A request in each form that the protocol has, and what came back. */
export type SendCase = (model: string, inputs: readonly WireTensor[]) => Promise<CaseAnswer>;

export function sendJson(url: string): SendCase {
  return async (model, inputs) => {
    const tensors = inputs.map((input) => `{${head(input)},"data":${toJsonList(input)}}`);
    const response = await post(url, model, Buffer.from(`{"inputs":[${tensors.join()}]}`));
    const text = await response.text();
    if (response.status !== 200) return { status: response.status, reason: text };
    const outputs = readAnswer(text).outputs as { name: string; datatype: Datatype; shape: string[]; data: unknown }[];
    return {
      outputs: outputs.map(({ name, datatype, shape, data }) => ({
        name,
        datatype,
        shape: shape.map(Number),
        bytes: fromJsonList(datatype, data),
      })),
    };
  };
}

export function sendBinary(url: string): SendCase {
  return async (model, inputs) => {
    const tensors = inputs.map(
      (input) => `{${head(input)},"parameters":{"binary_data_size":${input.bytes.byteLength}}}`,
    );
    const json = Buffer.from(`{"inputs":[${tensors.join()}],"parameters":{"binary_data_output":true}}`);
    const body = Buffer.concat([json, ...inputs.map(({ bytes }) => bytes)]);
    const response = await post(url, model, body, {
      'Content-Type': 'application/octet-stream',
      'Inference-Header-Content-Length': String(json.byteLength),
    });
    const answer = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) return { status: response.status, reason: answer.toString() };
    const headerLength = Number(response.headers.get('inference-header-content-length'));
    const { outputs } = JSON.parse(answer.toString('utf8', 0, headerLength)) as {
      outputs: { name: string; datatype: Datatype; shape: number[]; parameters: { binary_data_size: number } }[];
    };
    let at = headerLength;
    const read = outputs.map(({ name, datatype, shape, parameters }) => {
      const bytes = answer.subarray(at, (at += parameters.binary_data_size));
      return { name, datatype, shape, bytes };
    });
    if (at !== answer.byteLength) throw new Error(`${model}: ${answer.byteLength - at} bytes behind the last tensor`);
    return { outputs: read };
  };
}

export function sendGrpc(client: Client): SendCase {
  return async (model, inputs) => {
    try {
      const answer = await infer(client, {
        model_name: model,
        inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
        raw_input_contents: inputs.map(({ bytes }) => bytes),
      });
      const outputs = answer.outputs as { name: string; datatype: Datatype; shape: string[] }[];
      return {
        outputs: outputs.map(({ name, datatype, shape }, i) => ({
          name,
          datatype,
          shape: shape.map(Number),
          bytes: answer.raw_output_contents[i] as Buffer,
        })),
      };
    } catch (error) {
      const { code, details } = error as ServiceError;
      return { status: code, reason: details };
    }
  };
}

function head({ name, datatype, shape }: WireTensor): string {
  return `"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join()}]`;
}

function post(url: string, model: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v2/models/${encodeURIComponent(model)}/infer`, {
    method: 'POST',
    headers,
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(30_000),
  });
}
