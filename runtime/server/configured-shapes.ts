import type { Tensor } from '../onnx/tensor-encoding';
import { SpecError } from '../spec/errors';
import {
  checkConfiguration,
  type ConfiguredSignature,
  type ModelConfiguration,
  type WarmupSample,
} from '../spec/model-configuration';
import type { TensorSignature } from '../spec/model-facts';
import { ModelError } from './model-error';

interface Graph {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/**
 * Holds a model's configuration against its graph.
 * @throws ModelError naming the first thing that does not fit.
 */
export function applyConfiguration(configuration: ModelConfiguration, graph: Graph): ConfiguredSignature {
  try {
    return checkConfiguration(configuration, graph);
  } catch (error) {
    throw SpecError.is(error) ? new ModelError(error.message) : error;
  }
}

/** Inputs as the model has them: `reshape` of the configuration in the place of `dims`. Others stay as they are. */
export function toModelShapes(tensors: readonly Tensor[], configuration: ModelConfiguration): readonly Tensor[] {
  return tensors.map((tensor) => {
    const { dims, reshape } = configuration.inputs.find(({ name }) => name === tensor.name) ?? {};
    return dims === undefined || reshape === undefined ? tensor : withShape(tensor, dims, reshape);
  });
}

/** Outputs as clients have them: `dims` of the configuration in the place of `reshape`. */
export function toClientShapes(tensors: readonly Tensor[], configuration: ModelConfiguration): readonly Tensor[] {
  return tensors.map((tensor) => {
    const { dims, reshape } = configuration.outputs.find(({ name }) => name === tensor.name) ?? {};
    return dims === undefined || reshape === undefined ? tensor : withShape(tensor, reshape, dims);
  });
}

export function reshapes({ inputs, outputs }: ModelConfiguration): boolean {
  return [...inputs, ...outputs].some((tensor) => tensor.reshape !== undefined);
}

/** Samples of `model_warmup`, which are written as clients would send them, with the dims that the model has. */
export function warmupSamples({ warmup, inputs }: ModelConfiguration): readonly WarmupSample[] {
  return warmup.map((sample) => ({
    ...sample,
    inputs: new Map(
      [...sample.inputs].map(([name, input]) => {
        const { dims, reshape } = inputs.find((configured) => configured.name === name) ?? {};
        const isReshaped = dims !== undefined && reshape !== undefined;
        return [name, isReshaped ? { ...input, dims: translate(input.dims, dims, reshape) } : input];
      }),
    ),
  }));
}

function withShape(tensor: Tensor, from: readonly number[], to: readonly number[]): Tensor {
  return { ...tensor, shape: translate(tensor.shape, from, to) };
}

/** Free sizes keep their order, and between them stand equally many elements: the configuration was checked for that. */
function translate(shape: readonly number[], from: readonly number[], to: readonly number[]): readonly number[] {
  const batch = shape.slice(0, shape.length - from.length);
  const free = shape.slice(batch.length).filter((_, d) => from[d] === -1);
  let next = 0;
  return [...batch, ...to.map((size) => (size === -1 ? free[next++]! : size))];
}
