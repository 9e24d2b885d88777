import { EVIDENCE_CONTRACT, LABELS, OLDEST_CONTRACT, PATHS, PORTS } from './endpoints';
import { DEFAULTS, SIZING } from './defaults';
import { SpecError } from './errors';
import type { EngineServiceSpec, ExecutionProvider, ModelDelivery, Preset } from './inference-service-spec';
import { checkPool } from './gpu-pool-size';
import { planLifecycle, type LifecyclePlan } from './lifecycle';
import type { ModelFacts, ModelFile } from './model-facts';
import type { LateBound } from './late-bound';
import { deployedContract, type ModelLocation } from './model-reference';
import { planModels } from './models';
import { integer, number } from './numbers';
import { planPermissions, type ModelPermission } from './permissions';
import { planScaling, type ScalingPlan } from './scaling';
import { planResources, type ResourcesPlan } from './sizing';

/** A model version as every engine deploys it. */
export interface ModelPlan {
  readonly name: string;
  readonly version: number;
  readonly facts?: ModelFacts;
  readonly files?: readonly ModelFile[];
  /** Rows of one run; 1 means requests are never batched together. */
  readonly maxBatchSize: number;
  /** How the files come to a replica. */
  readonly delivery: ModelDelivery;
}

/** How a rollout replaces replicas. */
export interface RolloutPlan {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly minHealthyPercent: number;
  readonly maxHealthyPercent: number;
}

/** Every value of a service, decided and checked. Engines translate it and decide nothing. */
export interface InferenceServicePlan {
  /** Lowest contract that knows all that the plan says. What deployment chooses may ask for more: `deployedContract`. */
  readonly contract: number;
  readonly name: string;
  readonly preset: Preset;
  readonly models: readonly ModelPlan[];
  /** One line that changes whenever what is served changes: an annotation of every replica. */
  readonly modelsRevision: string;
  readonly executionProvider: ExecutionProvider;
  readonly resources: ResourcesPlan;
  readonly lifecycle: LifecyclePlan;
  readonly scaling: ScalingPlan;
  readonly rollout: RolloutPlan;
  readonly permissions: readonly ModelPermission[];
  readonly ports: typeof PORTS;
  readonly paths: typeof PATHS;
  /** Whether hooks that were published with models are run. */
  readonly hooks: boolean;
  /** Whether versions without evidence are refused. */
  readonly requireEvidence: boolean;
  /** Public keys of which one must have signed each version. @default - none has to */
  readonly modelSigningKeys?: string;
  readonly queueDepthRows: number;
  readonly maxBodyMiB: number;
  /** What the bodies of all requests in flight may hold. */
  readonly bodyMemoryMiB: number;
  /** What works and will surprise somebody, one sentence each, for the author to see before anything is deployed. */
  readonly warnings: readonly string[];
}

/**
 * Decides everything about a service once: sizes, budgets, probes, scaling, permissions.
 * Pure: the same spec gives the same plan everywhere.
 *
 * @throws SpecError for the first contradiction, with the numbers that contradict each other.
 */
export function planInferenceService(spec: EngineServiceSpec): InferenceServicePlan {
  assertName(spec.name);
  const preset = spec.preset ?? DEFAULTS.preset;
  const models = planModels(spec);
  const resources = planResources(spec, models);
  const scaling = planScaling(spec, preset, resources);
  const spareReplica = spec.spareReplica ?? true;
  const plan: InferenceServicePlan = {
    contract: asksForEvidence(spec) ? EVIDENCE_CONTRACT : OLDEST_CONTRACT,
    name: spec.name,
    preset,
    models,
    modelsRevision: modelsRevision(models),
    executionProvider: resources.executionProvider,
    resources,
    lifecycle: planLifecycle(spec, models, resources, scaling.maxReplicas),
    scaling,
    rollout: planRollout(spareReplica),
    permissions: planPermissions(models),
    ports: PORTS,
    paths: PATHS,
    hooks: spec.hooks ?? false,
    requireEvidence: spec.requireEvidence ?? false,
    ...(spec.modelSigningKeys === undefined ? {} : { modelSigningKeys: publicKeys(spec.modelSigningKeys) }),
    queueDepthRows: integer('queueDepthRows', spec.queueDepthRows, defaultQueueDepth(models), 1, 1_000_000),
    maxBodyMiB: number('maxBodyMiB', spec.maxBodyMiB, DEFAULTS.maxBodyMiB, 0.001, 2_047),
    bodyMemoryMiB: planBodyMemory(resources),
    warnings: checkPool(spec.machines, resources, scaling, spareReplica),
  };
  return deepFreeze(plan);
}

/**
 * Labels and annotations that name what a replica serves.
 * @param refs where the models lie, for versions that deployment chooses. @default - those of the plan are served
 */
export function modelAnnotations<S = string>(
  plan: InferenceServicePlan,
  refs?: LateBound<S> & { readonly models: Readonly<Record<string, ModelLocation<S>>> },
): Record<string, string | S> {
  return {
    [LABELS.models]: refs === undefined ? plan.modelsRevision : deployedRevision(plan, refs.models, refs),
    [LABELS.contract]: String(deployedContract(plan, refs?.models ?? {})),
  };
}

/** A deployment asks for the lowest contract that knows what it uses. */
function asksForEvidence({ requireEvidence, modelSigningKeys }: EngineServiceSpec): boolean {
  return requireEvidence === true || modelSigningKeys !== undefined;
}

/** It ends up in templates and in the environment of containers, where a private key must never be. */
function publicKeys(pem: string): string {
  const blocks = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, kind]) => kind);
  if (blocks.length > 0 && blocks.every((kind) => kind === 'PUBLIC KEY')) return pem;
  const got = blocks.find((kind) => kind !== 'PUBLIC KEY') ?? 'no PEM';
  throw new SpecError(
    'MODEL_SIGNING_KEYS',
    'modelSigningKeys',
    `must be public keys in PEM, blocks of PUBLIC KEY alone, got ${got}; openssl pkey -in key.pem -pubout prints one`,
  );
}

function assertName(name: string): void {
  if (!/^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$/.test(name)) {
    throw new SpecError(
      'NAME_INVALID',
      'name',
      `must be 1 to 50 lower-case letters, digits and dashes, begin with a letter and not end with a dash, got '${name}'`,
    );
  }
}

// A replica that waits for a whole queue waits four runs: long enough to ride out a burst, short enough to answer in time.
function defaultQueueDepth(models: readonly ModelPlan[]): number {
  return Math.max(...models.map((model) => model.maxBatchSize)) * DEFAULTS.queuedBatches;
}

// Without facts half of the server's memory is taken for the models.
function planBodyMemory({ memoryMiB, companions, ...resources }: ResourcesPlan): number {
  const neededMemoryMiB = resources.neededMemoryMiB ?? (memoryMiB + companions.memoryMiB) / 2;
  return Math.max(1, Math.floor((memoryMiB - neededMemoryMiB) * SIZING.bodyShare));
}

function modelsRevision(models: readonly ModelPlan[]): string {
  return models.map(revisionOf).join(',');
}

function revisionOf(model: ModelPlan): string {
  const digest = (model.files?.find((file) => file.path === 'manifest.json') ?? model.files?.[0])?.sha256;
  return `${model.name}@${model.version}${digest === undefined ? '' : `:sha256-${digest}`}`;
}

function deployedRevision<S>(
  { models, modelsRevision: planned }: InferenceServicePlan,
  locations: Readonly<Record<string, ModelLocation<S>>>,
  engine: LateBound<S>,
): string | S {
  const isChosen = ({ version, manifestSha256 }: ModelLocation<S>): boolean =>
    (version ?? manifestSha256) !== undefined;
  if (!Object.values(locations).some(isChosen)) return planned;
  const parts = models.flatMap((model, i): (string | S)[] => {
    const location = locations[model.name];
    const separator = i === 0 ? '' : ',';
    if (location === undefined || !isChosen(location)) return [separator + revisionOf(model)];
    const { version = String(model.version), manifestSha256 } = location;
    const digest = manifestSha256 === undefined ? [] : [':sha256-', manifestSha256];
    return [`${separator}${model.name}@`, version, ...digest];
  });
  return engine.concat(parts);
}

function planRollout(spareReplica: boolean): RolloutPlan {
  return spareReplica
    ? { maxSurge: 1, maxUnavailable: 0, minHealthyPercent: 100, maxHealthyPercent: 200 }
    : { maxSurge: 0, maxUnavailable: 1, minHealthyPercent: 0, maxHealthyPercent: 100 };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
