import { DEFAULTS, MAX_OPSETS } from './defaults';
import { SpecError } from './errors';
import type { InferenceServiceSpec, ModelSpec } from './inference-service-spec';
import type { ModelPlan } from './inference-service-plan';
import { isBatchable, type ModelFacts } from './model-facts';
import { assertModelName, assertModelVersion } from './model-repository';
import { integer } from './numbers';

/** Checks the models of a service and decides how each is batched. */
export function planModels(spec: InferenceServiceSpec): readonly ModelPlan[] {
  if (spec.models.length === 0) {
    throw new SpecError('MODELS_EMPTY', 'models', 'must name at least one model, got none');
  }
  const names = new Set<string>();
  const models = spec.models.map((model, i) => {
    const path = `models[${i}]`;
    assertModelName(model.name, `${path}.name`);
    assertModelVersion(model.version, `${path}.version`);
    if (names.has(model.name)) {
      throw new SpecError(
        'MODEL_DUPLICATE',
        `${path}.name`,
        `model '${model.name}' is listed twice; one service serves one version of a model`,
      );
    }
    names.add(model.name);
    return planModel(model, path);
  });
  assertFactsOrNumbers(spec);
  assertHooksDecided(spec);
  return models;
}

function planModel(model: ModelSpec, path: string): ModelPlan {
  const batchable = model.facts === undefined || isBatchable(model.facts);
  if (model.facts !== undefined) assertOpsets(model.name, model.facts, path);
  const maxBatchSize = integer(
    `${path}.maxBatchSize`,
    model.maxBatchSize,
    batchable ? DEFAULTS.maxBatchSize : 1,
    1,
    65_536,
  );
  if (maxBatchSize > 1 && !batchable) {
    throw new SpecError(
      'MODEL_NOT_BATCHABLE',
      `${path}.maxBatchSize`,
      `got ${maxBatchSize}, but ${fixedTensor(model.facts)} of '${model.name}' has a fixed first dimension; export the model with a free batch dimension or leave maxBatchSize out`,
    );
  }
  return {
    name: model.name,
    version: model.version,
    maxBatchSize,
    delivery: model.delivery ?? 'fetch',
    ...(model.facts === undefined ? {} : { facts: model.facts }),
    ...(model.files === undefined ? {} : { files: model.files }),
  };
}

function fixedTensor(facts: ModelFacts): string {
  const tensor = [...facts.inputs, ...facts.outputs].find(({ shape }) => typeof shape[0] !== 'string')!;
  return `'${tensor.name}' [${tensor.shape.join(',')}]`;
}

function assertOpsets(model: string, facts: ModelFacts, path: string): void {
  for (const { domain, version } of facts.opsets) {
    const highest = MAX_OPSETS[domain];
    // An import that no operator uses asks nothing of the runtime: exporters leave them behind.
    const used = facts.operators.some((use) => use.domain === domain);
    if (highest === undefined ? used : used && version > highest) {
      throw new SpecError(
        'MODEL_OPSET_UNSUPPORTED',
        `${path}.facts`,
        highest === undefined
          ? `model '${model}' uses operators of domain '${domain}', the bundled ONNX Runtime has ${domains()}`
          : `model '${model}' needs opset ${version} of '${domain || 'ai.onnx'}', the bundled ONNX Runtime runs up to ${highest}; export it with opset_version=${highest}`,
      );
    }
  }
}

function domains(): string {
  return Object.keys(MAX_OPSETS)
    .map((domain) => `'${domain || 'ai.onnx'}'`)
    .join(', ');
}

// A replica that ran them unasked would run a stranger's code, and one that did not would give other answers than were meant.
function assertHooksDecided({ models, hooks }: InferenceServiceSpec): void {
  if (hooks !== undefined) return;
  for (const [i, { name, files = [] }] of models.entries()) {
    const module = files.find(({ path }) => HOOKS_MODULE.test(path));
    if (module === undefined) continue;
    throw new SpecError(
      'MODEL_HOOKS_UNDECIDED',
      `models[${i}]`,
      `'${name}' was published with hooks '${module.path}', code that would run with the rights of the replica; say hooks true to run it, or false to serve the model without it`,
    );
  }
}

/** As the publisher names them: beside the model, never in a folder. */
const HOOKS_MODULE = /^[^/]+\.mjs$/;

// Guessing any of these for an unknown file would be a promise we cannot keep.
function assertFactsOrNumbers(spec: InferenceServiceSpec): void {
  const unknown = spec.models.find((model) => model.facts === undefined);
  if (unknown === undefined) return;
  const missing = (['memoryMiB', 'startupBudgetSeconds', 'executionProvider'] as const).filter(
    (field) => spec[field] === undefined,
  );
  if (missing.length > 0) {
    throw new SpecError(
      'MODEL_FACTS_MISSING',
      `models[${spec.models.indexOf(unknown)}].facts`,
      `nothing is known about '${unknown.name}'; give its facts (the manifest that slipway model publish leaves), or decide ${missing.join(', ')}`,
    );
  }
}
