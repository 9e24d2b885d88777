import { LIMITS } from './model-configuration/limits';
import { isDatatype, type Datatype } from './datatypes';
import { SpecError } from './errors';
import { checkEvaluation, type EvaluationEvidence } from './evaluation-evidence';
import {
  describeField as describe,
  isByteCount,
  isRecord,
  isRecordArray,
  isSha256,
  isText,
  type RefuseField,
} from './manifest-fields';
import type { ModelFacts, ModelFile } from './model-facts';
import { assertModelName, assertModelVersion, MANIFEST_FILE, MODEL_FILE } from './model-repository';
import { checkPreprocessing, type Preprocessing } from './preprocessing';
import { checkProvenance, type Provenance } from './provenance';

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

/** Names of an output's classes, in their order: here, or one per line in a file of the version. */
export type OutputLabels = readonly string[] | { readonly file: string };

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
  /** Names of classes, by output. @default - classes have numbers, or a configuration names them */
  readonly labels?: Readonly<Record<string, OutputLabels>>;
  /** How what users have (pictures, text, records) becomes inputs. @default - users send tensors */
  readonly preprocessing?: Preprocessing;
  /** What the model did on labelled rows. @default - nobody says */
  readonly evaluation?: EvaluationEvidence;
  /** How the model file came to be. @default - nobody says */
  readonly provenance?: Provenance;
  /** An SPDX licence expression: `Apache-2.0`. @default - nobody says */
  readonly licence?: string;
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
  const refuse: RefuseField = (field, expected, got) => {
    throw new SpecError('MANIFEST_INVALID', source, `${field} must be ${expected}, got ${describe(got)}`);
  };
  if (isLater(manifest['schema'])) {
    throw new SpecError(
      'MANIFEST_INVALID',
      source,
      `was written by a later Slipway, as ${describe(manifest['schema'])}; this one reads '${MANIFEST_SCHEMA}'`,
    );
  }
  if (manifest['schema'] !== MANIFEST_SCHEMA) refuse('schema', `'${MANIFEST_SCHEMA}'`, manifest['schema']);
  if (typeof manifest['name'] !== 'string') refuse('name', 'a string', manifest['name']);
  assertModelName(manifest['name'], `${source}: name`);
  if (typeof manifest['version'] !== 'number') refuse('version', 'a number', manifest['version']);
  assertModelVersion(manifest['version'], `${source}: version`);

  if (!isRecordArray(manifest['files'])) return refuse('files', 'a list of files', manifest['files']);
  const paths = new Set<string>();
  manifest['files'].forEach((file, i) => {
    if (!isRelativePath(file['path'])) refuse(`files[${i}].path`, 'a relative path without ..', file['path']);
    if (file['path'] === MANIFEST_FILE) refuse(`files[${i}].path`, 'of another file than the manifest', file['path']);
    if (paths.has(file['path'])) refuse(`files[${i}].path`, 'a path that is listed once', file['path']);
    if (!isByteCount(file['bytes'])) refuse(`files[${i}].bytes`, 'a whole number from 0 up', file['bytes']);
    if (!isSha256(file['sha256'])) refuse(`files[${i}].sha256`, '64 lower-case hexadecimal digits', file['sha256']);
    paths.add(file['path']);
  });
  assertNoFileIsFolder(paths, refuse);

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
          refuse(
            `${at}.tolerance`,
            "of kind 'elementwise' with absolute and relative from 0 up, 'top1' or 'exact'",
            tensor['tolerance'],
          );
        }
      });
    }
  }
  checkDescriptions(manifest, paths, refuse);
  return manifest as unknown as ModelManifest;
}

function isLater(schema: unknown): boolean {
  return (
    typeof schema === 'string' && /^slipway\.dev\/model-manifest\/v\d+$/.test(schema) && schema !== MANIFEST_SCHEMA
  );
}

/** A folder cannot lie where a file does. */
function assertNoFileIsFolder(paths: ReadonlySet<string>, refuse: RefuseField): void {
  for (const path of paths) {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
      if (paths.has(path.slice(0, end)))
        refuse('files', `without a file where '${path}' needs a folder`, path.slice(0, end));
    }
  }
}

/** Everything that says what the model is for, and how it was made and measured. */
function checkDescriptions(manifest: Record<string, unknown>, paths: ReadonlySet<string>, refuse: RefuseField): void {
  const { labels, preprocessing, evaluation, provenance, licence } = manifest;
  const { inputs, outputs } = manifest['facts'] as ModelFacts;
  if (labels !== undefined) checkLabels(labels, outputs, paths, refuse);
  if (preprocessing !== undefined) {
    checkPreprocessing(preprocessing, 'preprocessing', inputs, (file) => paths.has(file), refuse);
  }
  if (evaluation !== undefined) {
    checkEvaluation(evaluation, 'evaluation', refuse);
    assertCoversModel(evaluation, manifest['files'] as readonly ModelFile[], refuse);
  }
  if (provenance !== undefined) checkProvenance(provenance, 'provenance', refuse);
  if (licence !== undefined && !isText(licence, 1_024)) refuse('licence', 'an SPDX licence expression', licence);
}

function checkLabels(
  labels: unknown,
  outputs: ModelFacts['outputs'],
  paths: ReadonlySet<string>,
  refuse: RefuseField,
): void {
  if (!isRecord(labels)) return refuse('labels', 'an object with an entry for each output that has labels', labels);
  for (const [output, names] of Object.entries(labels)) {
    if (!outputs.some(({ name }) => name === output)) {
      refuse(
        `labels.${output}`,
        `named like an output of the model (${outputs.map(({ name }) => name).join(', ')})`,
        output,
      );
    }
    const isFile = isRecord(names) && Object.keys(names).length === 1 && paths.has(names['file'] as string);
    const isList = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string');
    if (!isFile && !isList)
      refuse(`labels.${output}`, 'a list of names, or { file } with one of the listed files', names);
  }
}

/** Evidence is of bytes: what was evaluated must be what lies here, the model itself among it. */
function assertCoversModel({ model }: EvaluationEvidence, files: readonly ModelFile[], refuse: RefuseField): void {
  const digests = new Map(files.map(({ path, sha256 }) => [path, sha256]));
  const other = model.find(({ path, sha256 }) => digests.get(path) !== sha256);
  if (other !== undefined) {
    refuse(
      'evaluation.model',
      `of the files of this version (${other.path} is ${digests.get(other.path) ?? 'not here'})`,
      other.sha256,
    );
  }
  if (!model.some(({ path }) => path === MODEL_FILE)) refuse('evaluation.model', `of ${MODEL_FILE} too`, model);
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

/** What object stores take for a key at most; no file system takes more. */
const MAX_PATH_LENGTH = 1_024;

/** No absolute path and no way out of the version's folder: the path is joined to a directory by the server. */
export function isRelativePath(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_PATH_LENGTH &&
    !/[\\\p{Cc}]/u.test(value) &&
    value.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
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

function isDifference(value: unknown): boolean {
  return typeof value === 'number' && value >= 0;
}

function isTolerance(value: unknown): boolean {
  if (!isRecord(value)) return false;
  if (value['kind'] === 'elementwise') return isDifference(value['absolute']) && isDifference(value['relative']);
  return value['kind'] === 'top1' || value['kind'] === 'exact';
}
