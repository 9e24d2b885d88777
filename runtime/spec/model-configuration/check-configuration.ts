import { SpecError } from '../errors';
import type { ModelFacts, TensorSignature } from '../model-facts';
import type { ConfiguredTensor, ModelConfiguration, WarmupInput } from './model-configuration';
import { dataTypeName } from './read-tensors';

/** What clients see of a model once its configuration has been laid over its graph. */
export interface ConfiguredSignature {
  /** In the graph's order, with the dims of the configuration where it gives some. */
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Whether dimension 0 counts rows; undefined where the configuration leaves it to the server. */
  readonly takesRows: boolean | undefined;
}

type Graph = Pick<ModelFacts, 'inputs' | 'outputs'>;

/**
 * Holds a configuration against the graph of its model: names, datatypes, dims and batching.
 * @param file What errors call the configuration.
 * @throws SpecError MODEL_CONFIGURATION_MISMATCH that names the first thing that does not fit.
 */
export function checkConfiguration(
  configuration: ModelConfiguration,
  graph: Graph,
  file = 'config.pbtxt',
): ConfiguredSignature {
  const fail: Fail = (message) => {
    throw new SpecError('MODEL_CONFIGURATION_MISMATCH', file, message);
  };
  const takesRows = findBatching(configuration, graph, fail);
  const signature = {
    inputs: applyAll('input', configuration.inputs, graph.inputs, takesRows === true, fail),
    outputs: applyAll('output', configuration.outputs, graph.outputs, takesRows === true, fail),
    takesRows: configuration.maxBatchSize === undefined ? undefined : configuration.maxBatchSize > 0,
  };
  for (const { name, inputs } of configuration.warmup) {
    checkWarmup(`model_warmup '${name}'`, inputs, signature.inputs, takesRows === true, fail);
  }
  return Object.freeze(signature);
}

type Fail = (message: string) => never;

/** Whether `dims` leave the batch dimension out. */
function findBatching(configuration: ModelConfiguration, graph: Graph, fail: Fail): boolean {
  const { maxBatchSize } = configuration;
  const tensors = [...graph.inputs, ...graph.outputs];
  if (maxBatchSize === 0) return false;
  const fixed = tensors.find(({ shape }) => typeof shape[0] !== 'string');
  if (maxBatchSize !== undefined && fixed !== undefined) {
    const first = fixed.shape[0];
    const why = first === undefined ? 'is a scalar' : `has the fixed first dimension ${first}`;
    return fail(
      `max_batch_size: must be 0, got ${maxBatchSize}: '${fixed.name}' ${why}, so requests cannot be joined; ` +
        'export the model with a free first dimension',
    );
  }
  if (maxBatchSize !== undefined) return true;
  // Nothing is said about batching: dims that are one short leave the batch dimension out, as Triton's do.
  return (
    fixed === undefined &&
    [...configuration.inputs, ...configuration.outputs].every(({ name, dims, reshape }) => {
      const tensor = tensors.find((candidate) => candidate.name === name);
      return dims === undefined || tensor === undefined || (reshape ?? dims).length === tensor.shape.length - 1;
    })
  );
}

function applyAll(
  side: 'input' | 'output',
  configured: readonly ConfiguredTensor[],
  tensors: readonly TensorSignature[],
  isBatched: boolean,
  fail: Fail,
): readonly TensorSignature[] {
  const unknown = configured.find(({ name }) => !tensors.some((tensor) => tensor.name === name));
  if (unknown !== undefined) {
    const known = tensors.map(({ name }) => `'${name}'`).join(', ');
    return fail(`${side} '${unknown.name}': the model has no such ${side}, it has ${known}`);
  }
  return tensors.map((tensor) => {
    const config = configured.find(({ name }) => name === tensor.name);
    return config === undefined ? tensor : apply(`${side} '${tensor.name}'`, config, tensor, isBatched, fail);
  });
}

function apply(
  what: string,
  { datatype, dims, reshape }: ConfiguredTensor,
  tensor: TensorSignature,
  isBatched: boolean,
  fail: Fail,
): TensorSignature {
  if (datatype !== undefined && datatype !== tensor.datatype) {
    return fail(`${what}: data_type is ${dataTypeName(datatype)}, the model has ${dataTypeName(tensor.datatype)}`);
  }
  if (dims === undefined) return tensor;
  const batch = isBatched ? tensor.shape.slice(0, 1) : [];
  const inner = isBatched ? tensor.shape.slice(1) : tensor.shape;
  const given = reshape ?? dims;
  const fits = given.length === inner.length && inner.every((size, d) => typeof size === 'string' || size === given[d]);
  if (!fits) {
    const field = reshape === undefined ? 'dims' : 'reshape';
    const hint = isBatched ? ' behind the batch dimension, which max_batch_size above 0 leaves out' : '';
    return fail(`${what}: ${field} are [${given.join(', ')}], the model has [${showDims(inner)}]${hint}`);
  }
  // A free dimension keeps the graph's name for it, as long as it is the same dimension.
  const shape = dims.map((size, d) => (size !== -1 ? size : reshape === undefined ? inner[d]! : ''));
  return { name: tensor.name, datatype: tensor.datatype, shape: [...batch, ...shape] };
}

function checkWarmup(
  what: string,
  given: ReadonlyMap<string, WarmupInput>,
  inputs: readonly TensorSignature[],
  isBatched: boolean,
  fail: Fail,
): void {
  for (const name of given.keys()) {
    if (!inputs.some((input) => input.name === name)) fail(`${what}: the model has no input '${name}'`);
  }
  for (const { name, datatype, shape } of inputs) {
    const input = given.get(name);
    if (input === undefined) return fail(`${what}: input '${name}' is missing`);
    if (input.datatype !== datatype) {
      fail(`${what}: input '${name}' is ${dataTypeName(input.datatype)}, the model has ${dataTypeName(datatype)}`);
    }
    const inner = isBatched ? shape.slice(1) : shape;
    const fits =
      input.dims.length === inner.length &&
      inner.every((size, d) => typeof size === 'string' || size === input.dims[d]);
    if (!fits) {
      fail(`${what}: input '${name}' has dims [${input.dims.join(', ')}], the model has [${showDims(inner)}]`);
    }
  }
}

function showDims(shape: readonly (number | string)[]): string {
  return shape.map((size) => (typeof size === 'string' ? -1 : size)).join(', ');
}
