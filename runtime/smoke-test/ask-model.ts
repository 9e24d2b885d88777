import { describeDifference } from '../onnx/tensor-comparison';
import { allocateTensorData, decodeTensorData, elementCount, encodeTensorData } from '../onnx/tensor-encoding';
import type { TensorSignature } from '../spec/model-facts';
import type { GoldenInput, GoldenOutput, GoldenProof } from '../spec/model-manifest';
import type { Send } from './http-request';

/** A model version as the service's new revision serves it. */
export interface AskedModel {
  readonly name: string;
  readonly version: string;
}

/** How the new revision is reached. */
export interface Target {
  /** `http://…:9080` or `https://…:9443`. */
  readonly url: string;
  readonly send: Send;
}

/** A tensor of a request or an answer, with the bytes that follow the JSON. */
interface BinaryTensor {
  readonly name: string;
  readonly datatype: GoldenInput['datatype'];
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const HEADER_LENGTH = 'inference-header-content-length';

/**
 * Asks the golden input, and compares the answer as replicas compare it when they start.
 * @param read Reads a file of the model version, by its path there.
 * @throws Error saying which output differs, and where.
 */
export async function askGolden(
  target: Target,
  model: AskedModel,
  golden: GoldenProof,
  read: (path: string) => Promise<Uint8Array>,
): Promise<void> {
  const inputs = await Promise.all(
    golden.inputs.map(async ({ name, datatype, shape, path }) => ({ name, datatype, shape, bytes: await read(path) })),
  );
  const outputs = await infer(target, model, inputs);
  for (const expected of golden.outputs) {
    const got = outputs.find(({ name }) => name === expected.name);
    if (got === undefined) throw new Error(`output '${expected.name}' is missing from the answer`);
    compare(expected, await read(expected.path), got);
  }
}

/**
 * Without a golden proof nothing says what is right, so anything answered is: zeros in the shapes that the model says it
 * takes, with free dimensions 1. A model that takes text, or whose numbers mean something, may refuse them: publish it
 * with a golden input.
 * @throws Error when the model does not say what it takes, or does not answer.
 */
export async function askZeros(target: Target, model: AskedModel): Promise<void> {
  const answer = await target.send(`${target.url}${pathOf(model)}`);
  if (answer.status !== 200) throw new Error(`its metadata are answered ${answer.status}`);
  const { inputs } = JSON.parse(answer.body.toString('utf8')) as { inputs: readonly TensorSignature[] };
  const zeros = inputs.map(({ name, datatype, shape: dimensions }) => {
    const shape = dimensions.map((size) => (typeof size === 'number' && size > 0 ? size : 1));
    return {
      name,
      datatype,
      shape,
      bytes: encodeTensorData(datatype, allocateTensorData(datatype, elementCount(shape))),
    };
  });
  await infer(target, model, zeros);
}

async function infer(
  target: Target,
  model: AskedModel,
  inputs: readonly BinaryTensor[],
): Promise<readonly BinaryTensor[]> {
  const header = new TextEncoder().encode(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape, bytes }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: bytes.byteLength },
      })),
      parameters: { binary_data_output: true },
    }),
  );
  const { status, headers, body } = await target.send(`${target.url}${pathOf(model)}/infer`, {
    headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(header.byteLength) },
    body: Buffer.concat([header, ...inputs.map(({ bytes }) => bytes)]),
  });
  if (status !== 200) throw new Error(`inference is answered ${status}: ${start(body)}`);
  return readTensors(body, Number(headers[HEADER_LENGTH] ?? body.byteLength));
}

function readTensors(body: Uint8Array, headerLength: number): readonly BinaryTensor[] {
  const { outputs } = JSON.parse(new TextDecoder().decode(body.subarray(0, headerLength))) as {
    outputs: readonly (Omit<BinaryTensor, 'bytes'> & { parameters?: { binary_data_size?: number } })[];
  };
  let at = headerLength;
  return outputs.map(({ name, datatype, shape, parameters }) => {
    const size = parameters?.binary_data_size;
    if (size === undefined) throw new Error(`output '${name}' came as JSON where bytes were asked for`);
    return { name, datatype, shape, bytes: body.subarray(at, (at += size)) };
  });
}

function compare(expected: GoldenOutput, golden: Uint8Array, got: BinaryTensor): void {
  const { name, datatype, shape } = expected;
  if (got.datatype !== datatype || got.shape.join() !== shape.join()) {
    throw new Error(
      `output '${name}' is ${got.datatype} [${got.shape.join(', ')}], expected ${datatype} [${shape.join(', ')}]`,
    );
  }
  const [right, given] = [golden, got.bytes].map((bytes) => decodeTensorData(datatype, shape, bytes)) as [
    ReturnType<typeof decodeTensorData>,
    ReturnType<typeof decodeTensorData>,
  ];
  const difference = describeDifference(expected, right, given);
  if (difference !== undefined) throw new Error(`output '${name}': ${difference}`);
}

function pathOf({ name, version }: AskedModel): string {
  return `/v2/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
}

function start(body: Uint8Array): string {
  return new TextDecoder().decode(body.subarray(0, 500)).replaceAll(/\s+/g, ' ');
}
