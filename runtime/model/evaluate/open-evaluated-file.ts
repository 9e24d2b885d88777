import { stat } from 'node:fs/promises';
import path from 'node:path';
import { placeOfModel } from '../../onnx/model-place';
import { readManifestFile } from '../../onnx/read-manifest-file';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { ModelManifest } from '../../spec/model-manifest';
import { MANIFEST_FILE, MODEL_FILE } from '../../spec/model-repository';
import { readClassNames } from '../data/class-names';
import { openModelFile, type ModelFileOptions } from '../measure/open-model-file';
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
  const manifest = await manifestOf(file, folder, files[0]!.sha256);
  return {
    name: nameOf(file, manifest),
    model: await openModelFile(file, facts, options),
    file,
    files: files.map((each) => ({ path: each.path, sha256: each.sha256 })),
    fileBytes: facts.fileBytes,
    folder,
    ...(manifest?.preprocessing === undefined ? {} : { preprocessing: manifest.preprocessing }),
    ...(manifest?.labels === undefined ? {} : { labels: await readLabels(manifest.labels, folder) }),
  };
}

async function isFolder(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined))?.isDirectory() ?? false;
}

async function manifestOf(file: string, folder: string, sha256: string): Promise<ModelManifest | undefined> {
  const place = path.join(folder, MANIFEST_FILE);
  if (path.basename(file) !== MODEL_FILE || (await stat(place).catch(() => undefined)) === undefined) return undefined;
  const { manifest } = readManifestFile(place);
  return manifest.files.some((each) => each.path === MODEL_FILE && each.sha256 === sha256) ? manifest : undefined;
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
