import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { placeOfModel } from '../runtime/onnx/model-place';
import { readOnnxModel } from '../runtime/onnx/read-onnx-model';
import { MANIFEST_FILE, MODEL_FILE, parseManifest, SpecError, type ModelFacts, type ModelFile } from '../runtime/spec';

/** A file of a model version, and where it lies on this machine. */
export interface LocalModelFile extends ModelFile {
  readonly localPath: string;
}

/** A model version that lies beside the program. */
export interface LocalModel {
  readonly name: string;
  readonly version: number;
  readonly facts: ModelFacts;
  readonly files: readonly LocalModelFile[];
}

/** What a manifest file says, itself among the files it lists. */
export interface PublishedModel {
  readonly name: string;
  readonly version: number;
  readonly facts: ModelFacts;
  readonly files: readonly ModelFile[];
}

/** An `.onnx` file, or a version folder that `slipway model publish` wrote. */
export function readLocalModel(path: string, name: string | undefined, version: number | undefined): LocalModel {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder) {
    const { facts, files } = readOnnxModel(path);
    const place = placeOfModel(path);
    return { name: name ?? place.name, version: version ?? place.version, facts, files };
  }
  const manifestPath = join(path, MANIFEST_FILE);
  const published = readManifestFile(manifestPath);
  if (name !== undefined && name !== published.name) {
    throw new SpecError('MANIFEST_INVALID', manifestPath, `describes model '${published.name}', not '${name}'`);
  }
  if (version !== undefined && version !== published.version) {
    throw new SpecError('MANIFEST_INVALID', manifestPath, `describes version ${published.version}, not ${version}`);
  }
  const files = published.files.map((file) => ({ ...file, localPath: join(path, file.path) }));
  assertDigests(files, path, manifestPath);
  return { name: published.name, version: published.version, facts: published.facts, files };
}

/** @throws SpecError MANIFEST_INVALID when the file cannot be read or is no manifest. */
export function readManifestFile(path: string): PublishedModel {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new SpecError(
      'MANIFEST_INVALID',
      path,
      `cannot be read: ${(error as Error).message}; slipway model publish writes it`,
    );
  }
  const { name, version, facts, files } = parseManifest(bytes.toString('utf8'), path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name, version, facts, files: [...files, { path: MANIFEST_FILE, bytes: bytes.length, sha256 }] };
}

// The model and its weights are hashed where they are read; what else a version holds is small.
function assertDigests(files: readonly LocalModelFile[], folder: string, manifestPath: string): void {
  const model = new Map(readOnnxModel(join(folder, MODEL_FILE)).files.map(({ path, sha256 }) => [path, sha256]));
  for (const file of files) {
    const found = model.get(file.path) ?? sha256Of(file, manifestPath);
    if (found !== file.sha256) {
      throw new SpecError(
        'MANIFEST_INVALID',
        manifestPath,
        `says '${file.path}' has SHA-256 ${file.sha256}, the file beside it has ${found}; publish it again`,
      );
    }
  }
}

function sha256Of(file: LocalModelFile, manifestPath: string): string {
  try {
    return createHash('sha256').update(readFileSync(file.localPath)).digest('hex');
  } catch (error) {
    throw new SpecError('MANIFEST_INVALID', manifestPath, `lists '${file.path}': ${(error as Error).message}`);
  }
}
