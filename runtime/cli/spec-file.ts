import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import type { InferenceServiceSpec, ModelSpec } from '../spec/inference-service-spec';
import { nearest } from '../spec/nearest';
import { CliError } from './cli-error';
import { modelFromFile, modelFromManifest } from './model-spec';

type Kind = 'text' | 'number' | 'boolean' | 'texts' | 'models' | readonly string[];

const FIELDS = {
  name: 'text',
  models: 'models',
  preset: ['production', 'development'],
  executionProvider: ['cpu', 'cuda', 'tensorrt'],
  capacity: ['instances', 'fargate'],
  instanceTypes: 'texts',
  gpuCount: 'number',
  vcpu: 'number',
  memoryMiB: 'number',
  minReplicas: 'number',
  maxReplicas: 'number',
  targetSaturation: 'number',
  metricsFrom: ['keda', 'prometheus-adapter', 'cpu'],
  spareReplica: 'boolean',
  startupBudgetSeconds: 'number',
  downloadMiBPerSecond: 'number',
  provisioningSeconds: 'number',
  requestDeadlineSeconds: 'number',
  deregistrationLagSeconds: 'number',
  stopTimeoutSeconds: 'number',
  idleTimeoutSeconds: 'number',
  hooks: 'boolean',
  queueDepthRows: 'number',
  maxBodyMiB: 'number',
} as const satisfies Record<keyof InferenceServiceSpec, Kind>;

const MODEL_FIELDS = {
  name: 'text',
  version: 'number',
  manifest: 'text',
  file: 'text',
  maxBatchSize: 'number',
} as const satisfies Record<string, Kind>;

/** What a spec file says of one model. */
interface ModelEntry {
  readonly name?: string;
  readonly version?: number;
  readonly manifest?: string;
  readonly file?: string;
  readonly maxBatchSize?: number;
}

/**
 * Reads an `InferenceServiceSpec` from YAML or JSON. A model is given by what is known of it: `manifest` (the file
 * that `slipway model publish` left), or `file` (the ONNX file itself; name and version are its place's unless said otherwise),
 * or only `name` and `version`. Their paths are relative to the spec file.
 *
 * @throws CliError naming the field, what was found and what would work; for an unknown field the nearest known one.
 */
export function readSpecFile(file: string): InferenceServiceSpec {
  const content = parseSpecFile(file);
  assertFields(content, FIELDS, file, '');
  for (const field of ['name', 'models']) {
    if (content[field] === undefined) throw new CliError(`${file}: ${field} is missing`);
  }
  const models = (content['models'] as unknown[]).map((entry, i) => readModel(entry, `models[${i}]`, file));
  return { ...(content as unknown as InferenceServiceSpec), models };
}

function parseSpecFile(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(
      `${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (error as Error).message}`,
    );
  }
  // JSON is YAML.
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) throw new CliError(`${file}: ${problem.message.split('\n')[0]!.replace(/:$/, '')}`);
  const content: unknown = document.toJS();
  if (!isRecord(content))
    throw new CliError(`${file}: must be an object with name and models, got ${describe(content)}`);
  return content;
}

function readModel(value: unknown, where: string, file: string): ModelSpec {
  if (!isRecord(value)) throw new CliError(`${file}: ${where} must be an object, got ${describe(value)}`);
  assertFields(value, MODEL_FIELDS, file, `${where}.`);
  const entry: ModelEntry = value;
  if (entry.manifest !== undefined && entry.file !== undefined) {
    throw new CliError(`${file}: ${where} has both manifest and file; the manifest alone says everything`);
  }
  const batch = entry.maxBatchSize === undefined ? {} : { maxBatchSize: entry.maxBatchSize };
  const relative = (target: string): string => path.resolve(path.dirname(file), target);
  if (entry.manifest !== undefined) {
    const known = modelFromManifest(relative(entry.manifest));
    for (const field of ['name', 'version'] as const) {
      if (entry[field] !== undefined && entry[field] !== known[field]) {
        throw new CliError(
          `${file}: ${where}.${field} is ${entry[field]}, the manifest is of ${known.name} version ${known.version}`,
        );
      }
    }
    return { ...known, ...batch };
  }
  if (entry.file !== undefined) {
    const known = modelFromFile(relative(entry.file));
    return { ...known, name: entry.name ?? known.name, version: entry.version ?? known.version, ...batch };
  }
  if (entry.name === undefined || entry.version === undefined) {
    throw new CliError(`${file}: ${where} must have manifest, file, or name and version, got ${describe(entry)}`);
  }
  return { name: entry.name, version: entry.version, ...batch };
}

function assertFields(
  content: Record<string, unknown>,
  fields: Readonly<Record<string, Kind>>,
  file: string,
  where: string,
): void {
  for (const [field, value] of Object.entries(content)) {
    const kind = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (kind === undefined) {
      throw new CliError(
        `${file}: ${where}${field} is not a known field, the nearest one is ${where}${nearest(field, Object.keys(fields))}`,
      );
    }
    const expected = typeof kind === 'string' ? EXPECTED[kind] : kind.map((choice) => `'${choice}'`).join(' or ');
    if (!isOfKind(value, kind)) {
      throw new CliError(`${file}: ${where}${field} must be ${expected}, got ${describe(value)}`);
    }
  }
}

const EXPECTED = {
  text: 'a string',
  number: 'a number',
  boolean: 'true or false',
  texts: 'a list of strings',
  models: 'a list of models',
} as const;

function isOfKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'texts':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    case 'models':
      return Array.isArray(value);
    default:
      return typeof value === 'string' && kind.includes(value);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 100);
}
