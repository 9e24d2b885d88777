import type * as Ort from 'onnxruntime-node';
import { fromRuntimeTensor, toRuntimeTensor } from '../../onnx/runtime-tensor';
import type { TensorData } from '../../onnx/tensor-encoding';
import type { ModelFacts } from '../../spec/model-facts';
import { loadModel, loadRuntime, LOG_SEVERITY_FATAL, oneLine } from '../run-model';
import { ModelToolError } from '../tool-error';
import type { RunnableModel } from './runnable-model';

export interface ModelFileOptions {
  /** Threads of one run. @default - as many as the processor has cores, as ONNX Runtime decides it */
  readonly threads?: number;
  /** `disabled` for a model that was optimised before. @default 'all' */
  readonly graphOptimizationLevel?: 'disabled' | 'all';
}

/**
 * Opens a model file on the CPU and keeps it open, so that runs can be timed. A run blocks the event loop: for the command line and
 * build machines, not for a server.
 * @throws PublishError PACKAGE_MISSING or MODEL_NOT_LOADED; a run throws ModelToolError MODEL_RUN_FAILED
 */
export async function openModelFile(
  path: string,
  { inputs, outputs }: Pick<ModelFacts, 'inputs' | 'outputs'>,
  { threads, graphOptimizationLevel = 'all' }: ModelFileOptions = {},
): Promise<RunnableModel> {
  const ort = await loadRuntime();
  const session = await loadModel(ort, path, {
    graphOptimizationLevel,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
  });
  // The constructor is overloaded by literal type and array; the pairs in our table are the ones it knows.
  const RuntimeClass = ort.Tensor as new (type: string, data: TensorData, dims: readonly number[]) => Ort.Tensor;
  return {
    inputs,
    outputs,
    run: async (tensors) => {
      const feeds = Object.fromEntries(tensors.map((tensor) => [tensor.name, toRuntimeTensor(RuntimeClass, tensor)]));
      try {
        const result = await session.run(feeds, { logSeverityLevel: LOG_SEVERITY_FATAL });
        return outputs.map(({ name }) => fromRuntimeTensor(name, result[name] as Ort.Tensor));
      } catch (error) {
        throw new ModelToolError(
          'MODEL_RUN_FAILED',
          path,
          `ONNX Runtime cannot run it on these rows: ${oneLine(error)}`,
        );
      }
    },
    close: () => session.release(),
  };
}

/** Version of the ONNX Runtime that is installed. */
export async function onnxRuntimeVersion(): Promise<string> {
  const { env } = await loadRuntime();
  return env.versions.node ?? env.versions.common;
}
