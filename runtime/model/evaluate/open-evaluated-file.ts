import { stat } from 'node:fs/promises';
import path from 'node:path';
import { placeOfModel } from '../../onnx/model-place';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { ModelManifest } from '../../spec/model-manifest';
import { MODEL_FILE } from '../../spec/model-repository';
import { readClassNames } from '../data/class-names';
import { openModelFile, type ModelFileOptions } from '../measure/open-model-file';
import { manifestBeside, publishedPreprocessing } from '../published-manifest';
import type { EvaluatedModel } from './evaluate-models';

/**
 * Opens an ONNX file, or the folder of a published version, for evaluation. Names of classes and preprocessing come from the
 * `manifest.json` beside it, where it describes this very file.
 * @throws OnnxFileError, PublishError MODEL_NOT_LOADED or PACKAGE_MISSING, SpecError for a manifest that is none
 */
export async function openEvaluatedFile(place: string, options: ModelFileOptions = {}): Promise<EvaluatedModel> {
  const file = (await isFolder(place)) ? path.join(place, MODEL_FILE) : place;
  const { facts, files } = readOnnxModel(file);
  const folder = path.dirname(file);
  const manifest = await manifestBeside(file, files[0]!.sha256);
  const preprocessing = manifest === undefined ? undefined : publishedPreprocessing(manifest, folder);
  return {
    name: nameOf(file, manifest),
    model: await openModelFile(file, facts, options),
    file,
    files: files.map((each) => ({ path: each.path, sha256: each.sha256 })),
    fileBytes: facts.fileBytes,
    folder,
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(manifest?.labels === undefined ? {} : { labels: await readLabels(manifest.labels, folder) }),
  };
}

async function isFolder(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined))?.isDirectory() ?? false;
}

function nameOf(file: string, manifest: ModelManifest | undefined): string {
  if (manifest !== undefined) return `${manifest.name} ${manifest.version}`;
  return path.basename(file) === MODEL_FILE ? placeOfModel(file).name : path.basename(file);
}

async function readLabels(
  labels: NonNullable<ModelManifest['labels']>,
  folder: string,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const names: [string, readonly string[]][] = [];
  for (const [output, given] of Object.entries(labels)) {
    names.push([output, 'file' in given ? await readClassNames(path.join(folder, given.file)) : given]);
  }
  return Object.fromEntries(names);
}
