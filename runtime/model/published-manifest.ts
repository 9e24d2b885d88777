import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readManifestFile } from '../onnx/read-manifest-file';
import { readOnnxModel } from '../onnx/read-onnx-model';
import type { ModelManifest } from '../spec/model-manifest';
import { MANIFEST_FILE, MODEL_FILE } from '../spec/model-repository';
import { filesOfPreprocessing } from '../spec/preprocessing';
import { readPreprocessingFile, type ReadPreprocessing } from './preprocessing-file';

/**
 * The manifest beside a model file, where it describes this very file.
 * @param sha256 of the model file
 * @throws SpecError MANIFEST_INVALID for a manifest that is none
 */
export async function manifestBeside(file: string, sha256: string): Promise<ModelManifest | undefined> {
  const place = path.join(path.dirname(file), MANIFEST_FILE);
  if (!(await isPublishedPlace(file))) return undefined;
  const { manifest } = readManifestFile(place);
  return manifest.files.some((each) => each.path === MODEL_FILE && each.sha256 === sha256) ? manifest : undefined;
}

/** The preprocessing of a published version, its files beside the manifest. */
export function publishedPreprocessing(
  { preprocessing }: ModelManifest,
  folder: string,
): ReadPreprocessing | undefined {
  if (preprocessing === undefined) return undefined;
  const files = filesOfPreprocessing(preprocessing).map((name) => [name, path.join(folder, name)] as const);
  return { preprocessing, files: new Map(files) };
}

/**
 * How rows become inputs of a model file: as the file says that is given, else as the manifest beside the model.
 * @param given JSON or YAML, see `readPreprocessingFile`
 * @returns undefined where nobody says it
 * @throws as `readPreprocessingFile` and `manifestBeside`
 */
export async function preprocessingOf(
  model: string,
  given: string | undefined,
): Promise<ReadPreprocessing | undefined> {
  if (given === undefined && !(await isPublishedPlace(model))) return undefined;
  const { facts, files } = readOnnxModel(model);
  if (given !== undefined) return readPreprocessingFile(given, facts);
  const manifest = await manifestBeside(model, files[0]!.sha256);
  return manifest === undefined ? undefined : publishedPreprocessing(manifest, path.dirname(model));
}

async function isPublishedPlace(file: string): Promise<boolean> {
  if (path.basename(file) !== MODEL_FILE) return false;
  return (await stat(path.join(path.dirname(file), MANIFEST_FILE)).catch(() => undefined))?.isFile() ?? false;
}
