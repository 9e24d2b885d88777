import { allocateTensorData, decodeTensorData, elementCount, type Tensor } from '../onnx/tensor-encoding';
import type { WarmupInput, WarmupSample } from '../spec/model-configuration';
import { isBatchable, type TensorSignature } from '../spec/model-facts';
import type { Executor } from './executor';
import { ModelError } from './model-error';
import { SourceError } from '../sources/model-source';
import { readSmallFile } from './repository/read-small-file';
import { fillWithFractions, SampleInput } from './sample-input';
import { childUri } from '../sources/source-of';
import type { WarmedExecutor } from './warm-up-runs';

/** Where the files of samples lie, in the model's folder; the place is Triton's. */
const WARMUP_FOLDER = 'warmup';
const MAX_FILE_BYTES = 2 ** 30;

/** A sample of `model_warmup` with its tensors. */
export interface ReadSample {
  readonly name: string;
  readonly count: number;
  readonly input: SampleInput;
}

/**
 * Makes the tensors of the samples of `model_warmup`.
 * @param modelFolder Where their files lie, with a closing slash; undefined when the model comes without its folder.
 * @throws ModelError when one cannot be read.
 */
export async function readWarmupSamples(
  samples: readonly WarmupSample[],
  modelFolder: string | undefined,
  model: Pick<Executor, 'inputs' | 'outputs'>,
  signal: AbortSignal,
): Promise<readonly ReadSample[]> {
  return Promise.all(
    samples.map(async ({ name, batchSize, count, inputs }) => {
      const tensors = model.inputs.map((signature) => {
        const input = inputs.get(signature.name);
        if (input === undefined) throw failed(name, `input '${signature.name}' is missing`);
        const shape = isBatchable(model) && isRow(signature, input) ? [batchSize, ...input.dims] : input.dims;
        return makeTensor(signature.name, input, shape, modelFolder, signal);
      });
      try {
        return { name, count, input: new SampleInput(await Promise.all(tensors)) };
      } catch (error) {
        throw failed(name, (error as Error).message);
      }
    }),
  );
}

/**
 * Runs each sample as often as it says.
 * @throws ModelError when the model does not run on one: its author has said that it does.
 */
export async function runWarmupSamples(executor: WarmedExecutor, samples: readonly ReadSample[]): Promise<void> {
  for (const { name, count, input } of samples) {
    try {
      for (let i = 0; i < count; i++) await executor.run(input.whole());
    } catch (error) {
      throw failed(name, `the model does not run on it: ${(error as Error).message}`);
    }
  }
}

/** Whether the dims of a sample leave the batch dimension out. */
function isRow({ shape }: TensorSignature, { dims }: WarmupInput): boolean {
  return dims.length === shape.length - 1;
}

async function makeTensor(
  name: string,
  { datatype, data }: WarmupInput,
  shape: readonly number[],
  modelFolder: string | undefined,
  signal: AbortSignal,
): Promise<Tensor> {
  if (data.kind === 'file') {
    const bytes = await readSample(data.file, modelFolder, signal);
    return { name, datatype, shape, data: decodeTensorData(datatype, shape, bytes) };
  }
  const values = allocateTensorData(datatype, elementCount(shape));
  if (data.kind === 'random' && (datatype === 'FP32' || datatype === 'FP64')) fillWithFractions(values as Float32Array);
  return { name, datatype, shape, data: values };
}

async function readSample(file: string, modelFolder: string | undefined, signal: AbortSignal): Promise<Uint8Array> {
  const path = `${WARMUP_FOLDER}/${file}`;
  if (modelFolder === undefined) throw new ModelError(`'${path}' cannot be read: the model comes without its folder`);
  try {
    const bytes = await readSmallFile(childUri(modelFolder, path), MAX_FILE_BYTES, signal);
    if (bytes === undefined) throw new ModelError(`'${path}' is not there`);
    return bytes;
  } catch (error) {
    throw error instanceof SourceError ? new ModelError(`'${path}' cannot be read: ${error.message}`) : error;
  }
}

function failed(sample: string, reason: string): ModelError {
  return new ModelError(`model_warmup '${sample}': ${reason}`);
}
