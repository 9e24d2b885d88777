import type { ModelSpec } from '../spec/inference-service-spec';
import { readManifestFile } from '../onnx/read-manifest-file';
import { placeOfModel } from '../onnx/model-place';
import { readOnnxModel } from '../onnx/read-onnx-model';

type KnownModel = Required<Pick<ModelSpec, 'name' | 'version' | 'facts' | 'files'>>;

/**
 * A model version from the manifest that `slipway model publish` wrote: its facts, and every file by digest, the
 * manifest included.
 */
export function modelFromManifest(path: string): KnownModel {
  const { manifest, files } = readManifestFile(path);
  return { name: manifest.name, version: manifest.version, facts: manifest.facts, files };
}

/** A model version from the ONNX file itself: what it is, before it is published anywhere. */
export function modelFromFile(path: string): KnownModel {
  const { facts, files } = readOnnxModel(path);
  return {
    ...placeOfModel(path),
    facts,
    files: files.map(({ path: name, bytes, sha256 }) => ({ path: name, bytes, sha256 })),
  };
}
