import { LIMITS } from './model-configuration/limits';
import { isDatatype, type Datatype } from './datatypes';
import { SpecError } from './errors';
import type { ModelFacts, ModelFile } from './model-facts';
import { assertModelName, assertModelVersion } from './model-repository';

export const MANIFEST_SCHEMA = 'slipway.dev/model-manifest/v1';

/**
 * How closely a run must repeat the golden output.
 * `elementwise`: |got − golden| ≤ absolute + relative × |golden|, for every element.
 * `top1`: the largest element of each row stands at the same place (quantized classifiers).
 * `exact`: the same bytes (integers, booleans, strings).
 */
export type Tolerance =
  | { readonly kind: 'elementwise'; readonly absolute: number; readonly relative: number }
  | { readonly kind: 'top1' }
  | { readonly kind: 'exact' };

/** A tensor of the golden proof. The file holds the Open Inference Protocol's binary encoding (little-endian, row-major). */
export interface GoldenInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** One of the manifest's `files`. */
  readonly path: string;
}

export interface GoldenOutput extends GoldenInput {
  readonly tolerance: Tolerance;
}

/** What one run of the model must reproduce before a replica calls itself ready. */
export interface GoldenProof {
  readonly inputs: readonly GoldenInput[];
  readonly outputs: readonly GoldenOutput[];
}

/**
 * `manifest.json` of a model version, written by `slipway model publish`. It is written last, so a version whose
 * manifest can be read is complete; `files` lists everything else in the folder with its SHA-256.
 */
export interface ModelManifest {
  readonly schema: typeof MANIFEST_SCHEMA;
  readonly name: string;
  readonly version: number;
  readonly files: readonly ModelFile[];
  readonly facts: ModelFacts;
  readonly golden?: GoldenProof;
}

export function serializeManifest(manifest: ModelManifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/**
 * Reads a manifest and checks its shape.
 * @throws SpecError MANIFEST_INVALID naming the field and what was found there.
 */
export function parseManifest(text: string, source: string): ModelManifest {
  const manifest = parseJson(text, source);
  const refuse = (field: string, expected: string, got: unknown): never => {
    throw new SpecError('MANIFEST_INVALID', source, `${field} must be ${expected}, got ${describe(got)}`);
  };
  if (manifest['schema'] !== MANIFEST_SCHEMA) refuse('schema', `'${MANIFEST_SCHEMA}'`, manifest['schema']);
  if (typeof manifest['name'] !== 'string') refuse('name', 'a string', manifest['name']);
  assertModelName(manifest['name'] as string, `${source}: name`);
  if (typeof manifest['version'] !== 'number') refuse('version', 'a number', manifest['version']);
  assertModelVersion(manifest['version'] as number, `${source}: version`);

  if (!isRecordArray(manifest['files'])) return refuse('files', 'a list of files', manifest['files']);
  const paths = new Set<string>();
  manifest['files'].forEach((file, i) => {
    if (!isRelativePath(file['path'])) refuse(`files[${i}].path`, 'a relative path without ..', file['path']);
    if (!isByteCount(file['bytes'])) refuse(`files[${i}].bytes`, 'a whole number from 0 up', file['bytes']);
    if (!isSha256(file['sha256'])) refuse(`files[${i}].sha256`, '64 lower-case hexadecimal digits', file['sha256']);
    paths.add(file['path'] as string);
  });

  const facts = manifest['facts'];
  if (!isRecord(facts)) return refuse('facts', 'an object', facts);
  for (const field of ['inputs', 'outputs', 'opsets', 'operators']) {
    if (!isRecordArray(facts[field])) refuse(`facts.${field}`, 'a list of objects', facts[field]);
  }
  for (const field of ['inputs', 'outputs']) {
    (facts[field] as Record<string, unknown>[]).forEach((tensor, i) => {
      const at = `facts.${field}[${i}]`;
      if (typeof tensor['name'] !== 'string') refuse(`${at}.name`, 'a string', tensor['name']);
      if (!isDatatype(tensor['datatype']))
        refuse(`${at}.datatype`, 'an Open Inference Protocol datatype', tensor['datatype']);
      if (!Array.isArray(tensor['shape']) || !tensor['shape'].every(isDimension)) {
        refuse(`${at}.shape`, 'a list of sizes and names', tensor['shape']);
      }
    });
  }
  for (const field of ['weightBytes', 'fileBytes']) {
    if (!isByteCount(facts[field])) refuse(`facts.${field}`, 'a whole number from 0 up', facts[field]);
  }

  const executors = facts['executors'];
  if (executors !== undefined && !isExecutorCounts(executors)) {
    refuse('facts.executors', 'whole numbers all (1 to 64), perGpu and onCpu, and needGpu', executors);
  }

  const golden = manifest['golden'];
  if (golden !== undefined) {
    if (!isRecord(golden)) return refuse('golden', 'an object', golden);
    for (const side of ['inputs', 'outputs']) {
      const tensors = golden[side];
      if (!isRecordArray(tensors)) return refuse(`golden.${side}`, 'a list of tensors', tensors);
      tensors.forEach((tensor, i) => {
        const at = `golden.${side}[${i}]`;
        if (typeof tensor['name'] !== 'string') refuse(`${at}.name`, 'a string', tensor['name']);
        if (!isDatatype(tensor['datatype']))
          refuse(`${at}.datatype`, 'an Open Inference Protocol datatype', tensor['datatype']);
        if (!Array.isArray(tensor['shape']) || !tensor['shape'].every(isByteCount)) {
          refuse(`${at}.shape`, 'a list of sizes', tensor['shape']);
        }
        if (!paths.has(tensor['path'] as string)) refuse(`${at}.path`, 'one of the listed files', tensor['path']);
        if (side === 'outputs' && !isTolerance(tensor['tolerance'])) {
          refuse(`${at}.tolerance`, "of kind 'elementwise', 'top1' or 'exact'", tensor['tolerance']);
        }
      });
    }
  }
  return manifest as unknown as ModelManifest;
}

function parseJson(text: string, source: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SpecError('MANIFEST_INVALID', source, `must be JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) throw new SpecError('MANIFEST_INVALID', source, `must be an object, got ${describe(value)}`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRecordArray(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.every(isRecord);
}

/** No absolute path and no way out of the version's folder: the path is joined to a directory by the server. */
export function isRelativePath(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    !/[\\\0]/.test(value) &&
    value.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

export function isSha256(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isExecutorCounts(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { all, perGpu, onCpu, needGpu } = value;
  if (![all, perGpu, onCpu].every(isByteCount) || typeof needGpu !== 'boolean') return false;
  const most = all as number;
  return most >= 1 && most <= LIMITS.executorsOfModel && (perGpu as number) <= most && (onCpu as number) <= most;
}

function isDimension(value: unknown): boolean {
  return typeof value === 'string' || isByteCount(value);
}

function isTolerance(value: unknown): boolean {
  if (!isRecord(value)) return false;
  if (value['kind'] === 'elementwise')
    return typeof value['absolute'] === 'number' && typeof value['relative'] === 'number';
  return value['kind'] === 'top1' || value['kind'] === 'exact';
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 100);
}
