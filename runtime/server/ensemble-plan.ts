import type { Datatype } from '../spec/datatypes';
import type { EnsembleStep, ModelConfiguration } from '../spec/model-configuration';
import type { TensorSignature } from '../spec/model-facts';
import type { InferTarget } from './infer-request';
import { ModelError } from './model-error';

/** A step of an ensemble, and what it waits for. */
export interface PlannedStep extends EnsembleStep {
  /** For messages: `step 2 (model 'classify')`. */
  readonly title: string;
}

/** How an ensemble runs, as far as its configuration tells without the models of its steps. */
export interface EnsemblePlan {
  readonly target: InferTarget;
  /** Every step stands behind those whose tensors it needs. */
  readonly steps: readonly PlannedStep[];
  /** How many steps and outputs read each tensor. */
  readonly readers: ReadonlyMap<string, number>;
}

/**
 * Checks the steps of an ensemble against each other: every tensor is made once, by a step or by the request, and leads to
 * an output, and no step waits for itself.
 * @throws ModelError naming the step and the tensor.
 */
export function planEnsemble(name: string, configuration: ModelConfiguration): EnsemblePlan {
  const written = configuration.ensemble?.steps ?? [];
  const steps = written.map((step, i) => ({ ...step, title: `step ${i + 1} (model '${step.modelName}')` }));
  const target = targetOf(name, configuration);
  const own = steps.find(({ modelName }) => modelName === name);
  if (own !== undefined) throw new ModelError(`${own.title} is the ensemble itself`);
  assertMadeOnce(target, steps);
  const ordered = orderSteps(target, steps);
  assertNothingUnused(target, ordered);
  return { target, steps: ordered, readers: countReaders(target, ordered) };
}

function targetOf(name: string, { inputs, outputs, maxBatchSize = 0 }: ModelConfiguration): InferTarget {
  const signature = (tensor: ModelConfiguration['inputs'][number] | ModelConfiguration['outputs'][number]) => {
    if (tensor.reshape !== undefined) {
      throw new ModelError(`'${tensor.name}' has a reshape: write it into the configuration of the step's model`);
    }
    const dims = (tensor.dims ?? []).map((size) => (size === -1 ? '' : size));
    return {
      name: tensor.name,
      datatype: tensor.datatype as Datatype,
      shape: maxBatchSize > 0 ? ['batch', ...dims] : dims,
    };
  };
  return {
    name,
    inputs: inputs.map(signature),
    outputs: outputs.map(signature),
    maxRows: maxBatchSize > 0 ? maxBatchSize : undefined,
  };
}

function assertMadeOnce(target: InferTarget, steps: readonly PlannedStep[]): void {
  const makers = new Map(target.inputs.map((input) => [input.name, 'the request']));
  for (const step of steps) {
    for (const tensor of step.outputMap.values()) {
      const other = makers.get(tensor);
      if (other !== undefined) throw new ModelError(`tensor '${tensor}' is made by ${other} and by ${step.title}`);
      makers.set(tensor, step.title);
    }
  }
  for (const step of steps) {
    for (const [input, tensor] of step.inputMap) {
      if (makers.has(tensor)) continue;
      throw new ModelError(`${step.title} reads tensor '${tensor}' as '${input}', and nothing makes it`);
    }
  }
  for (const { name } of target.outputs) {
    const maker = makers.get(name);
    if (maker === undefined) throw new ModelError(`output '${name}' is made by no step`);
    if (maker === 'the request') throw new ModelError(`output '${name}' is an input as well: a step must make it`);
  }
}

function orderSteps(target: InferTarget, steps: readonly PlannedStep[]): readonly PlannedStep[] {
  const made = new Set(target.inputs.map(({ name }) => name));
  const ordered: PlannedStep[] = [];
  let waiting = steps;
  while (waiting.length > 0) {
    const ready = waiting.filter(({ inputMap }) => [...inputMap.values()].every((tensor) => made.has(tensor)));
    if (ready.length === 0) {
      throw new ModelError(`${waiting.map(({ title }) => title).join(', ')} wait for each other in a circle`);
    }
    for (const { outputMap } of ready) for (const tensor of outputMap.values()) made.add(tensor);
    ordered.push(...ready);
    waiting = waiting.filter((step) => !ready.includes(step));
  }
  return ordered;
}

function assertNothingUnused(target: InferTarget, steps: readonly PlannedStep[]): void {
  const needed = new Set(target.outputs.map(({ name }) => name));
  for (const step of [...steps].reverse()) {
    if (![...step.outputMap.values()].some((tensor) => needed.has(tensor))) {
      throw new ModelError(`${step.title} makes nothing that leads to an output`);
    }
    for (const tensor of step.inputMap.values()) needed.add(tensor);
  }
  const unused = target.inputs.find(({ name }) => !needed.has(name));
  if (unused !== undefined) throw new ModelError(`input '${unused.name}' is read by no step`);
}

function countReaders(target: InferTarget, steps: readonly PlannedStep[]): ReadonlyMap<string, number> {
  const readers = new Map<string, number>();
  const read = (tensor: string): void => void readers.set(tensor, (readers.get(tensor) ?? 0) + 1);
  for (const { inputMap } of steps) for (const tensor of inputMap.values()) read(tensor);
  for (const { name } of target.outputs) read(name);
  return readers;
}

/**
 * Checks the plan against the models of its steps as they are now.
 * @param models What each step's model takes and gives, in the order of the steps.
 * @throws ModelError naming the step and the tensor.
 */
export function checkSteps({ target, steps }: EnsemblePlan, models: readonly InferTarget[]): void {
  const tensors = new Map<string, TensorSignature>(target.inputs.map((input) => [input.name, input]));
  for (const [i, step] of steps.entries()) {
    const model = models[i]!;
    assertRows(target, step, model);
    for (const input of model.inputs) {
      const tensor = step.inputMap.get(input.name);
      if (tensor === undefined)
        throw new ModelError(`${step.title} needs input '${input.name}', which input_map leaves out`);
      assertFits(`${step.title} takes '${input.name}' from tensor '${tensor}'`, input, tensors.get(tensor)!);
    }
    assertKnown(step, 'input_map', step.inputMap, model.inputs);
    assertKnown(step, 'output_map', step.outputMap, model.outputs);
    for (const output of model.outputs) {
      const tensor = step.outputMap.get(output.name);
      if (tensor !== undefined) tensors.set(tensor, output);
    }
  }
  for (const output of target.outputs) assertFits(`output '${output.name}'`, output, tensors.get(output.name)!);
}

function assertRows(target: InferTarget, step: PlannedStep, model: InferTarget): void {
  if (target.maxRows === undefined) return;
  if (model.maxRows === undefined) {
    throw new ModelError(`${step.title} does not take rows, so max_batch_size must be 0, got ${target.maxRows}`);
  }
  if (model.maxRows < target.maxRows) {
    throw new ModelError(
      `${step.title} takes at most ${model.maxRows} rows, so max_batch_size must not be above, got ${target.maxRows}`,
    );
  }
}

function assertKnown(
  { title }: PlannedStep,
  field: string,
  map: ReadonlyMap<string, string>,
  tensors: readonly TensorSignature[],
): void {
  const unknown = [...map.keys()].find((name) => !tensors.some((tensor) => tensor.name === name));
  if (unknown === undefined) return;
  const known = tensors.map(({ name }) => `'${name}'`).join(', ');
  throw new ModelError(`${title} has no tensor '${unknown}' that ${field} names, it has ${known}`);
}

/** A free dimension fits any size: what comes of it shows in the run. */
function assertFits(what: string, wanted: TensorSignature, given: TensorSignature): void {
  const fits =
    wanted.datatype === given.datatype &&
    wanted.shape.length === given.shape.length &&
    wanted.shape.every(
      (size, d) => typeof size === 'string' || typeof given.shape[d] === 'string' || size === given.shape[d],
    );
  if (!fits) throw new ModelError(`${what}: it must be ${show(wanted)}, and is ${show(given)}`);
}

function show({ datatype, shape }: TensorSignature): string {
  return `${datatype} [${shape.map((size) => (typeof size === 'string' ? -1 : size)).join(', ')}]`;
}
