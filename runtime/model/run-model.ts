import type * as Ort from 'onnxruntime-node';
import type { TensorSignature } from '../spec/model-facts';
import { fromRuntimeTensor, toRuntimeTensor } from '../onnx/runtime-tensor';
import type { Tensor, TensorData } from '../onnx/tensor-encoding';
import { importPackage } from './import-package';
import { PublishError } from './publish-error';

/** Silent but for fatal errors: what goes wrong is thrown, and says it once. */
export const LOG_SEVERITY_FATAL = 4;

/**
 * Runs a model on the same inputs several times, on the CPU. Blocks the event loop while it runs: for the command line
 * and build machines, not for a server.
 * @throws PublishError PACKAGE_MISSING or MODEL_NOT_LOADED; and what ONNX Runtime throws when a run fails
 */
export async function runModel(
  modelPath: string,
  inputs: readonly Tensor[],
  outputs: readonly TensorSignature[],
  runs: number,
): Promise<readonly (readonly Tensor[])[]> {
  const ort = await loadRuntime();
  const session = await loadModel(ort, modelPath);
  try {
    // The constructor is overloaded by literal type and array; the pairs in our table are the ones it knows.
    const RuntimeClass = ort.Tensor as new (type: string, data: TensorData, dims: readonly number[]) => Ort.Tensor;
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, toRuntimeTensor(RuntimeClass, input)]));
    const results: Tensor[][] = [];
    for (let run = 0; run < runs; run++) {
      const result = await session.run(feeds, { logSeverityLevel: LOG_SEVERITY_FATAL });
      results.push(outputs.map(({ name }) => fromRuntimeTensor(name, result[name] as Ort.Tensor)));
    }
    return results;
  } finally {
    await session.release();
  }
}

/** ONNX Runtime, told not to send anything home. @throws PublishError PACKAGE_MISSING */
export async function loadRuntime(): Promise<typeof Ort> {
  // Since 1.29 ONNX Runtime sends model names home unless this is set before it loads.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  return importPackage('onnxruntime-node', 'to run the model', () => import('onnxruntime-node'));
}

/** A session for a model file. @throws PublishError MODEL_NOT_LOADED */
export async function loadModel(
  ort: typeof Ort,
  modelPath: string,
  options: Ort.InferenceSession.SessionOptions = {},
): Promise<Ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(modelPath, { logSeverityLevel: LOG_SEVERITY_FATAL, ...options });
  } catch (error) {
    const { node: version = 'of this installation' } = ort.env.versions;
    throw new PublishError('MODEL_NOT_LOADED', modelPath, `ONNX Runtime ${version} cannot load it: ${oneLine(error)}`);
  }
}

/** ONNX Runtime's messages run over several lines, and some begin with a place in its source and the function there. */
export function oneLine(error: unknown): string {
  const place = /\/onnxruntime_src\/\S+:\d+ [^(]*\((?:[^()]|\([^()]*\))*\)(?: const)? /g;
  return (error as Error).message.replace(/\s+/g, ' ').replace(place, '').trim();
}
