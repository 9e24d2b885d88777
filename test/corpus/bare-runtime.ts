import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Datatype } from '../../runtime/spec/datatypes';
import { bytesOfTexts, textsOf, type WireTensor } from './wire-tensor';

// onnxruntime-node with nothing around it: what served answers are held against.

type Elements = Exclude<Tensor['data'], string[]>;
type ElementsClass = new (buffer: ArrayBuffer) => Elements;

const TYPES: Readonly<Record<Datatype, readonly [type: string, elements: ElementsClass]>> = {
  BOOL: ['bool', Uint8Array],
  UINT8: ['uint8', Uint8Array],
  INT8: ['int8', Int8Array],
  UINT16: ['uint16', Uint16Array],
  INT16: ['int16', Int16Array],
  FP16: ['float16', Uint16Array],
  UINT32: ['uint32', Uint32Array],
  INT32: ['int32', Int32Array],
  FP32: ['float32', Float32Array],
  UINT64: ['uint64', BigUint64Array],
  INT64: ['int64', BigInt64Array],
  FP64: ['float64', Float64Array],
  BYTES: ['string', Uint8Array],
};

export type BareResult =
  | { readonly kind: 'outputs'; readonly outputs: readonly WireTensor[]; readonly isRepeatable: boolean }
  /** The model cannot be opened. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The model does not run on these inputs. */
  | { readonly kind: 'failed'; readonly reason: string };

/** Opens a model as the server does, in this process, and runs it a few times. */
export async function runBare(modelPath: string, inputs: readonly WireTensor[]): Promise<BareResult> {
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(modelPath, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  } catch (error) {
    return { kind: 'refused', reason: (error as Error).message };
  }
  try {
    const outputs = await run(session, inputs);
    // The first two runs of a random operator may be alike.
    const others = [await run(session, inputs), await run(session, inputs), await run(session, inputs)];
    const isRepeatable = others.every((again) => again.every(({ bytes }, i) => outputs[i]!.bytes.equals(bytes)));
    return { kind: 'outputs', outputs, isRepeatable };
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message };
  } finally {
    await session.release();
  }
}

async function run(session: InferenceSession, inputs: readonly WireTensor[]): Promise<readonly WireTensor[]> {
  const feeds = Object.fromEntries(inputs.map((input) => [input.name, toTensor(input)]));
  const results = await session.run(feeds, { logSeverityLevel: 4 });
  return session.outputNames.map((name) => fromTensor(name, results[name]!));
}

function toTensor({ datatype, shape, bytes }: WireTensor): Tensor {
  const [type, Elements] = TYPES[datatype];
  const elements = datatype === 'BYTES' ? textsOf(bytes) : new Elements(new Uint8Array(bytes).buffer);
  // Node 24 has Float16Array, and the native part of onnxruntime-node 1.30 takes none: its bits pass under another name.
  const made = new (Tensor as any)(datatype === 'FP16' ? 'uint16' : type, elements, shape) as Tensor;
  return Object.assign(made, { type });
}

function fromTensor(name: string, { type, dims, data }: Tensor): WireTensor {
  const datatype = (Object.keys(TYPES) as Datatype[]).find((candidate) => TYPES[candidate][0] === type);
  if (datatype === undefined) throw new Error(`output '${name}' is ${type}`);
  const bytes = Array.isArray(data)
    ? bytesOfTexts(data)
    : Buffer.from((data as Uint8Array).buffer, (data as Uint8Array).byteOffset, (data as Uint8Array).byteLength);
  return { name, datatype, shape: [...dims], bytes };
}
