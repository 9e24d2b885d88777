import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import {
  assertModelName,
  MANIFEST_FILE,
  parseManifest,
  SpecError,
  versionPrefix,
  type ModelFacts,
  type ModelFile,
  type ModelSpec,
} from '../runtime/spec';
import { readOnnxModel } from '../runtime/onnx/read-onnx-model';
import { lateString, OUTPUTS, type LateString } from './late-bound';
import { isRefusal } from './refusal';

/** A model version and where its files lie. */
export interface Model extends ModelSpec {
  /** URI of the version's folder, with the closing slash: `s3://team-models/digits/1/`. */
  readonly folder: LateString;
}

/** Which version of a model, and what is known about it while the program runs. */
export interface ModelSource {
  /**
   * Path of the ONNX file, where it lies beside the program and has no manifest. It brings the facts and the digest of
   * every file; the version must be given, and there is no golden proof.
   */
  readonly onnxFile?: string;
  /**
   * Path of the manifest that `slipway model publish` wrote, relative to the program's working folder. It brings the
   * version, the facts and the digest of every file, so a replica serves exactly these bytes or does not get ready.
   */
  readonly manifest?: string;
  /** @default - the manifest's; without a manifest it is required */
  readonly version?: number;
  /** @default - read from the file or the manifest; without either, the service must say its memory, startup budget and provider */
  readonly facts?: ModelFacts;
  /** Rows that one run may carry. @default - 32 when the model's first dimension is free, else 1 */
  readonly maxBatchSize?: number;
}

/**
 * A model in a model repository that this program does not create.
 * @throws pulumi.RunError when the file or the manifest cannot be read, or the manifest is another model's.
 *
 * @example
 * const digits = modelAt('s3://team-models', 'digits', { manifest: 'manifest.json' });
 */
export function modelAt(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  try {
    return locateModel(repositoryUri, name, source);
  } catch (error) {
    throw isRefusal(error) ? new pulumi.RunError(error.message) : error;
  }
}

/** @internal */
export function locateModel(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  assertModelName(name, 'name');
  const known = readFacts(name, source);
  const version = source.version ?? known.version;
  if (version === undefined) {
    throw new SpecError('MODEL_VERSION_INVALID', `${name}.version`, 'must be given, itself or by a manifest');
  }
  if (known.version !== undefined && version !== known.version) {
    throw new SpecError(
      'MODEL_VERSION_INVALID',
      `${name}.version`,
      `got ${version}, but ${source.manifest} is version ${known.version}`,
    );
  }
  const facts = source.facts ?? known.facts;
  return {
    name,
    version,
    folder: OUTPUTS.concat([withoutTrailingSlash(repositoryUri), `/${versionPrefix(name, version)}`]),
    ...(facts === undefined ? {} : { facts }),
    ...(known.files === undefined ? {} : { files: known.files }),
    ...(source.maxBatchSize === undefined ? {} : { maxBatchSize: source.maxBatchSize }),
  };
}

interface KnownModel {
  readonly version?: number;
  readonly facts?: ModelFacts;
  readonly files?: readonly ModelFile[];
}

function readFacts(name: string, { manifest, onnxFile }: ModelSource): KnownModel {
  if (manifest !== undefined && onnxFile !== undefined) {
    throw new SpecError('MANIFEST_INVALID', `${name}.manifest`, 'give the manifest or the ONNX file, got both');
  }
  if (manifest !== undefined) return readManifest(manifest, name);
  if (onnxFile === undefined) return {};
  const { facts, files } = readOnnxModel(onnxFile);
  return { facts, files: files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })) };
}

function readManifest(path: string, name: string): KnownModel {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new SpecError('MANIFEST_INVALID', path, `cannot be read: ${(error as Error).message}`);
  }
  const manifest = parseManifest(bytes.toString('utf8'), path);
  if (manifest.name !== name) {
    throw new SpecError('MANIFEST_INVALID', path, `describes model '${manifest.name}', not '${name}'`);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    version: manifest.version,
    facts: manifest.facts,
    files: [...manifest.files, { path: MANIFEST_FILE, bytes: bytes.length, sha256 }],
  };
}

function withoutTrailingSlash(uri: pulumi.Input<string>): LateString {
  const late = lateString(uri);
  return typeof late === 'string' ? late.replace(/\/+$/, '') : late.apply((known) => known.replace(/\/+$/, ''));
}
