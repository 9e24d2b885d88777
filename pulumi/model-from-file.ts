import { createHash } from 'node:crypto';
import * as pulumi from '@pulumi/pulumi';
import { readOnnxModel, type OnnxModelFile } from '../runtime/onnx/read-onnx-model';
import { modelPrefix, type ModelSpec } from '../runtime/spec';
import { assertModelName, assertModelVersion } from '../runtime/spec/model-repository';
import { integer } from '../runtime/spec/numbers';
import type { Model } from './model';

/** What is said of a model that a bucket publishes from a file beside the program. */
export interface ModelFileOptions {
  /** Version that clients see; the bytes are told apart by their digest. @default 1 */
  readonly version?: number;
  /** Rows that one run may carry. @default - 32 when the model's first dimension is free, else 1 */
  readonly maxBatchSize?: number;
}

/** A model read from this machine, and where its files go in a bucket. */
export interface LocalModel {
  readonly spec: ModelSpec;
  /** `<model>/sha256-<digest>/`: other bytes are another folder, so the running replicas keep theirs during a rollout. */
  readonly prefix: string;
  /** `model.onnx` first, then its external data. */
  readonly files: readonly OnnxModelFile[];
}

/**
 * @throws SpecError MODEL_NAME_INVALID, MODEL_VERSION_INVALID; OnnxFileError when the file cannot be read.
 */
export function readLocalModel(name: string, path: string, options: ModelFileOptions = {}): LocalModel {
  const { version = 1, maxBatchSize } = options;
  assertModelName(name, 'name');
  assertModelVersion(version, `${name}.version`);
  const { facts, files } = readOnnxModel(path);
  return {
    spec: {
      name,
      version,
      facts,
      files: files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
      ...(maxBatchSize === undefined ? {} : { maxBatchSize }),
    },
    prefix: `${modelPrefix(name)}sha256-${digestOf(files)}/`,
    files,
  };
}

/** Digest of a model of one file is the file's; of several, that of the list of their names and digests. */
function digestOf(files: readonly OnnxModelFile[]): string {
  const [only, ...others] = files;
  if (others.length === 0) return only!.sha256;
  const list = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('');
  return createHash('sha256').update(list).digest('hex');
}

/**
 * The model as a service takes it, once `put` has declared an object for every file. The folder is known when all of them
 * are there, so that no replica starts before its model.
 * @param root URI of the bucket, without a closing slash.
 */
export function publishModel(
  { spec, prefix, files }: LocalModel,
  root: pulumi.Output<string>,
  put: (key: string, file: OnnxModelFile, label: string) => pulumi.CustomResource,
): Model {
  const objects = files.map((file) => put(`${prefix}${file.path}`, file, `${spec.name}-${spec.version}-${file.path}`));
  const folder = pulumi.all([root, ...objects.map(({ id }) => id)]).apply(([known]) => `${known}/${prefix}`);
  return { ...spec, location: { folder } };
}

/** Days that an overwritten or deleted object can still be brought back. @throws SpecError NUMBER_INVALID */
export function noncurrentVersionDaysOf(given: number | undefined): number {
  return integer('noncurrentVersionDays', given, 90, 1, 3650);
}
