import { readManifestFile } from '../../onnx/read-manifest-file';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import { placeOfModel } from '../../onnx/model-place';
import type { TensorSignature } from '../../spec/model-facts';

/** What a client is made for. */
export interface ClientModel {
  readonly name: string;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Names of classes by output, where the manifest has them. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

/**
 * Reads what a client needs off a manifest (`.json`) or an ONNX file.
 * @param name what servers call the model. @default - the manifest's name, or the file's place
 * @throws OnnxFileError or SpecError for what cannot be read
 */
export function readClientModel(file: string, name?: string): ClientModel {
  if (!file.endsWith('.json')) {
    const { facts } = readOnnxModel(file);
    return { name: name ?? placeOfModel(file).name, inputs: facts.inputs, outputs: facts.outputs, labels: {} };
  }
  const { manifest } = readManifestFile(file);
  const labels = Object.entries(manifest.labels ?? {}).flatMap(([output, names]) =>
    'file' in names ? [] : [[output, names] as const],
  );
  const { inputs, outputs } = manifest.facts;
  return { name: name ?? manifest.name, inputs, outputs, labels: Object.fromEntries(labels) };
}

/** `resnet50-v2` → `Resnet50V2`: a name of a type in TypeScript and Python. */
export function typeName(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const joined = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
  return /^[A-Za-z]/.test(joined) ? joined : `Model${joined}`;
}

/** `FP32 [batch, 3, 224, 224]`, for a comment: names are strangers' text and end no comment. */
export function describeForComment({ datatype, shape }: TensorSignature): string {
  const sizes = shape.map((size) => (size === '' ? 'any' : String(size).replace(/[^\w.-]/g, '_')));
  return `${datatype} [${sizes.join(', ')}]`;
}
