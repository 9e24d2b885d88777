import { SpecError } from '../spec/errors';
import type { ModelSpec } from '../spec/inference-service-spec';
import type { ModelFacts } from '../spec/model-facts';
import { assertModelName, assertModelVersion } from '../spec/model-repository';
import { readManifestFile } from './read-manifest-file';
import { readOnnxModel } from './read-onnx-model';

/** Which version of a model in a model repository, and what is known about it while the program runs. */
export interface ModelSource {
  /**
   * Path of the manifest that `slipway model publish` left beside the program, relative to the working folder. It brings
   * the version, the facts and the digest of every file, so a replica serves exactly these bytes or does not get ready.
   * @default - nothing is known about the model but what the other fields say
   */
  readonly manifest?: string;
  /**
   * Path of the ONNX file, where it lies beside the program and has no manifest. It brings the facts and the digest of
   * every file; there is no golden proof.
   */
  readonly onnxFile?: string;
  /** @default - the manifest's; without a manifest it is required */
  readonly version?: number;
  /**
   * @default - read from the manifest or the file; without either the service must say memoryMiB, startupBudgetSeconds
   * and executionProvider, and a replica takes what the version's folder holds
   */
  readonly facts?: ModelFacts;
  /** Rows that one run may carry. @default - 32 when the model's first dimension is free, else 1 */
  readonly maxBatchSize?: number;
}

/**
 * What the plan is told about a model. Nothing is looked up: everything comes from files beside the program.
 * @throws SpecError MODEL_VERSION_INVALID without a version, MANIFEST_INVALID when the manifest cannot be read or is
 * another model's; OnnxFileError when the file cannot be read.
 */
export function resolveModel(name: string, source: ModelSource): ModelSpec {
  assertModelName(name, 'name');
  const known = readKnown(name, source);
  const version = source.version ?? known.version;
  if (version === undefined) {
    throw new SpecError('MODEL_VERSION_INVALID', `${name}.version`, 'must be given, itself or by a manifest');
  }
  assertModelVersion(version, `${name}.version`);
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
    ...(facts === undefined ? {} : { facts }),
    ...(known.files === undefined ? {} : { files: known.files }),
    ...(source.maxBatchSize === undefined ? {} : { maxBatchSize: source.maxBatchSize }),
  };
}

function readKnown(
  name: string,
  { manifest: path, onnxFile }: ModelSource,
): Partial<Pick<ModelSpec, 'version' | 'facts' | 'files'>> {
  if (path !== undefined && onnxFile !== undefined) {
    throw new SpecError('MANIFEST_INVALID', `${name}.manifest`, 'give the manifest or the ONNX file, got both');
  }
  if (path !== undefined) {
    const { manifest, files } = readManifestFile(path);
    if (manifest.name !== name) {
      throw new SpecError('MANIFEST_INVALID', path, `describes model '${manifest.name}', not '${name}'`);
    }
    return { version: manifest.version, facts: manifest.facts, files };
  }
  if (onnxFile === undefined) return {};
  const { facts, files } = readOnnxModel(onnxFile);
  return { facts, files: files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })) };
}
