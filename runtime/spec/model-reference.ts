import { SpecError } from './errors';
import { JsonLeaf, JsonRaw, jsonParts, type LateBound } from './late-bound';
import type { ModelFile } from './model-facts';
import { isSha256 } from './manifest-fields';
import { isRelativePath } from './model-manifest';
import { assertModelName, assertModelVersion } from './model-repository';

/** One file of a model version, where it lies and what it must hash to. */
export interface ModelFileReference {
  readonly path: string;
  readonly uri: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Exactly which model a replica serves: an entry of `SLIPWAY_MODELS`.
 * With `files` every byte is named by digest, the manifest included. Without them `folder` names the version's
 * folder, and the manifest found there, if any, says the rest; with `manifestSha256` it must be there and hash to that,
 * so that again every byte is named by digest.
 */
export interface ModelReference {
  readonly name: string;
  readonly version: number;
  readonly files?: readonly ModelFileReference[];
  readonly folder?: string;
  /** With `folder`, since contract 2. @default - a folder is held to no digest */
  readonly manifestSha256?: string;
  readonly maxBatchSize?: number;
}

/** Where the files of one model version lie: in one folder (its URI ends in a slash), or each at a URI of its own. */
export type ModelLocation<S> =
  | {
      readonly folder: string | S;
      readonly fileUris?: never;
      /**
       * The version that runs, where deployment chooses it: digits of a whole number. A replica is then told the folder
       * and not the plan's files, which are those of the first version.
       * @default - the plan's
       */
      readonly version?: string | S;
      /**
       * SHA-256 of the version's `manifest.json`, which names every other file's.
       * @default - the plan's files name every byte; a folder without them is held to no digest
       */
      readonly manifestSha256?: string | S;
    }
  | {
      readonly fileUris: Readonly<Record<string, string | S>>;
      readonly folder?: never;
      readonly version?: never;
      readonly manifestSha256?: never;
    };

/** A planned model, as far as a reference needs it. */
export interface ReferencedModel {
  readonly name: string;
  readonly version: number;
  readonly files?: readonly ModelFile[];
  readonly maxBatchSize: number;
}

/** First contract whose servers hold the manifest of a folder to a digest. */
const MANIFEST_DIGEST_CONTRACT = 2;

/** What a deployment asks of its image: the plan's contract, or the first that knows what the locations say. */
export function deployedContract<S>(
  plan: { readonly contract: number },
  locations: Readonly<Record<string, ModelLocation<S>>>,
): number {
  const usesDigest = Object.values(locations).some(({ manifestSha256 }) => manifestSha256 !== undefined);
  return usesDigest ? Math.max(plan.contract, MANIFEST_DIGEST_CONTRACT) : plan.contract;
}

/** The value of `SLIPWAY_MODELS`, with the locations that only deployment knows left to the engine. */
export function modelReferences<S>(
  models: readonly ReferencedModel[],
  locations: Readonly<Record<string, ModelLocation<S>>>,
  engine: LateBound<S>,
): string | S {
  const references = models.map((model) => {
    const location = locations[model.name];
    if (location === undefined) {
      throw new SpecError('MODEL_REFERENCE_INVALID', `models.${model.name}`, 'has no location');
    }
    const { folder, version, manifestSha256 } = location;
    const head = {
      name: model.name,
      version: version === undefined ? model.version : new JsonRaw(version),
      maxBatchSize: model.maxBatchSize,
    };
    if (model.files === undefined || version !== undefined || manifestSha256 !== undefined) {
      if (folder === undefined) {
        throw new SpecError('MODEL_REFERENCE_INVALID', `models.${model.name}`, 'needs files with digests, or a folder');
      }
      return {
        ...head,
        folder: new JsonLeaf(folder),
        ...(manifestSha256 === undefined ? {} : { manifestSha256: new JsonLeaf(manifestSha256) }),
      };
    }
    return {
      ...head,
      files: model.files.map(({ path, bytes, sha256 }) => ({
        path,
        uri: new JsonLeaf(fileUri(model.name, path, location, engine)),
        bytes,
        sha256,
      })),
    };
  });
  return engine.concat(jsonParts<S>(references));
}

function fileUri<S>(model: string, path: string, location: ModelLocation<S>, engine: LateBound<S>): string | S {
  if (location.folder !== undefined) return engine.concat([location.folder, path]);
  const uri = location.fileUris?.[path];
  if (uri === undefined) {
    throw new SpecError('MODEL_REFERENCE_INVALID', `models.${model}`, `file '${path}' has no URI`);
  }
  return uri;
}

/**
 * The inverse of `modelReferences`: reads `SLIPWAY_MODELS`.
 * @throws SpecError MODEL_REFERENCE_INVALID naming the entry and what is wrong with it.
 */
export function parseModelReferences(text: string, path = 'SLIPWAY_MODELS'): readonly ModelReference[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new SpecError('MODEL_REFERENCE_INVALID', path, `must be JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list) || list.length === 0) {
    throw new SpecError('MODEL_REFERENCE_INVALID', path, 'must be a list of at least one model');
  }
  const seen = new Set<string>();
  return list.map((entry: unknown, i) => {
    const reference = parseReference(entry, `${path}[${i}]`);
    const key = `${reference.name}@${reference.version}`;
    if (seen.has(key)) {
      throw new SpecError(
        'MODEL_DUPLICATE',
        `${path}[${i}]`,
        `model '${reference.name}' version ${reference.version} is listed twice`,
      );
    }
    seen.add(key);
    return reference;
  });
}

function parseReference(entry: unknown, path: string): ModelReference {
  const refuse = (what: string): never => {
    throw new SpecError('MODEL_REFERENCE_INVALID', path, what);
  };
  if (typeof entry !== 'object' || entry === null) return refuse(`must be an object, got ${JSON.stringify(entry)}`);
  const reference = entry as Record<string, unknown>;
  if (typeof reference['name'] !== 'string') return refuse('name must be a string');
  assertModelName(reference['name'], `${path}.name`);
  if (typeof reference['version'] !== 'number') return refuse('version must be a number');
  assertModelVersion(reference['version'], `${path}.version`);
  const maxBatchSize = reference['maxBatchSize'];
  if (maxBatchSize !== undefined && !(Number.isSafeInteger(maxBatchSize) && (maxBatchSize as number) >= 1)) {
    refuse(`maxBatchSize must be a whole number from 1 up, got ${JSON.stringify(maxBatchSize)}`);
  }
  const { files, folder, manifestSha256 } = reference;
  if ((files === undefined) === (folder === undefined)) refuse("needs either 'files' or 'folder'");
  if (folder !== undefined && !(typeof folder === 'string' && folder.endsWith('/'))) {
    refuse(`folder must be a URI that ends in '/', got ${JSON.stringify(folder)}`);
  }
  if (manifestSha256 !== undefined && (folder === undefined || !isSha256(manifestSha256))) {
    refuse(
      `manifestSha256 goes with a folder and must be 64 lower-case hexadecimal digits, got ${JSON.stringify(manifestSha256)}`,
    );
  }
  if (files !== undefined && !(Array.isArray(files) && files.length > 0 && files.every(isFileReference))) {
    refuse(
      'files must be a list of { path, uri, bytes, sha256 } with relative paths and SHA-256 in lower-case hexadecimal',
    );
  }
  return reference as unknown as ModelReference;
}

function isFileReference(file: unknown): file is ModelFileReference {
  if (typeof file !== 'object' || file === null) return false;
  const { path, uri, bytes, sha256 } = file as Record<string, unknown>;
  return (
    isRelativePath(path) &&
    typeof uri === 'string' &&
    uri.length > 0 &&
    Number.isSafeInteger(bytes) &&
    (bytes as number) >= 0 &&
    isSha256(sha256)
  );
}
