import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import type { ModelFacts, ModelFile } from '../spec/model-facts';
import { MODEL_FILE } from '../spec/model-repository';
import { decodeModel } from './decode-model';
import { findExternalFiles } from './external-data';
import { OnnxFileError } from './onnx-file-error';
import { countOperators, readOpsets } from './operators';
import { readSkeleton } from './read-skeleton';
import { readInputs, readOutputs } from './signature';
import { tensorBytes } from './tensor-bytes';
import { walkModel } from './walk-model';

/** A file of a model, where it lies on this machine and what it is called in a model repository. */
export interface OnnxModelFile extends ModelFile {
  readonly localPath: string;
}

/** An ONNX model as read from its file, without its weights: a model of gigabytes takes a few megabytes of memory. */
export interface OnnxModel {
  readonly facts: ModelFacts;
  /** `model.onnx` first, whatever the file is called here, then each external data file once. */
  readonly files: readonly OnnxModelFile[];
  readonly irVersion: number;
  /** What wrote the file, such as `pytorch 2.9`; empty when the file does not say. */
  readonly producer: string;
  readonly graphName: string;
}

// Protocol buffers cannot be larger; bigger models keep their weights as external data.
const MAX_MODEL_BYTES = 2 ** 31 - 1;
const HASH_CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Reads an ONNX file without running it and without ONNX Runtime: signature, opsets, operators, sizes, and the SHA-256
 * of every file that belongs to it.
 * @throws OnnxFileError saying in one sentence what is wrong with the file.
 */
export function readOnnxModel(path: string): OnnxModel {
  const fileBytes = sizeOfModelFile(path);
  const model = decodeModel(readSkeleton(path), path, fileBytes);
  const { nodes, tensors } = walkModel(model);
  const files: OnnxModelFile[] = [
    { path: MODEL_FILE, bytes: fileBytes, sha256: sha256OfFile(path), localPath: path },
    ...findExternalFiles(tensors, path).map((file) => ({
      path: file.path,
      bytes: file.bytes,
      sha256: sha256OfFile(file.localPath),
      localPath: file.localPath,
    })),
  ];
  const facts: ModelFacts = {
    inputs: readInputs(model.graph, path),
    outputs: readOutputs(model.graph, path),
    opsets: readOpsets(model),
    operators: countOperators(nodes, model),
    weightBytes: sum(tensors.map((tensor) => tensorBytes(tensor, path))),
    fileBytes: sum(files.map((file) => file.bytes)),
  };
  return {
    facts,
    files,
    irVersion: Number(model.irVersion),
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    graphName: model.graph.name,
  };
}

/** @throws OnnxFileError FILE_MISSING, FILE_UNREADABLE or FILE_TOO_LARGE */
export function sizeOfModelFile(path: string): number {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new OnnxFileError('FILE_MISSING', path, 'does not exist');
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
  if (!stats.isFile()) throw new OnnxFileError('FILE_UNREADABLE', path, 'is no file: name the .onnx file itself');
  if (stats.size > MAX_MODEL_BYTES) {
    throw new OnnxFileError(
      'FILE_TOO_LARGE',
      path,
      `must be below 2 GiB (${MAX_MODEL_BYTES} bytes), got ${stats.size}: save the weights as external data`,
    );
  }
  return stats.size;
}

function sha256OfFile(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
  try {
    const file = openSync(path, 'r');
    try {
      for (let n = readSync(file, chunk); n > 0; n = readSync(file, chunk)) hash.update(chunk.subarray(0, n));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
  return hash.digest('hex');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
