import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { placeOfModel } from '../runtime/onnx/model-place';
import { readManifestFile } from '../runtime/onnx/read-manifest-file';
import { readOnnxModel } from '../runtime/onnx/read-onnx-model';
import { MANIFEST_FILE, MODEL_FILE, SpecError, type ModelFacts, type ModelFile } from '../runtime/spec';

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

/** An `.onnx` file, or a version folder that `slipway model publish` wrote. */
export function readLocalModel(path: string, name: string | undefined, version: number | undefined): LocalModel {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder) {
    const { facts, files } = readOnnxModel(path);
    const place = placeOfModel(path);
    return { name: name ?? place.name, version: version ?? place.version, facts, files };
  }
  const manifestPath = join(path, MANIFEST_FILE);
  const { manifest, files: listed } = readManifestFile(manifestPath);
  if (name !== undefined && name !== manifest.name) {
    throw new SpecError('MANIFEST_INVALID', manifestPath, `describes model '${manifest.name}', not '${name}'`);
  }
  if (version !== undefined && version !== manifest.version) {
    throw new SpecError('MANIFEST_INVALID', manifestPath, `describes version ${manifest.version}, not ${version}`);
  }
  const files = listed.map((file) => ({ ...file, localPath: join(path, file.path) }));
  assertDigests(files, path, manifestPath);
  return { name: manifest.name, version: manifest.version, facts: manifest.facts, files };
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
