import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { isRelativePath } from '../spec/model-manifest';
import { MANIFEST_FILE, MODEL_FILE } from '../spec/model-repository';
import type { TensorProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';
import { isExternal, tensorBytes } from './tensor-bytes';

/** A file beside the model that holds the elements of some of its tensors. */
export interface ExternalFile {
  /** Relative to the model's folder, with forward slashes: what the model itself calls it. */
  readonly path: string;
  readonly localPath: string;
  readonly bytes: number;
}

/** Where the elements of one tensor lie. */
export interface ExternalRange {
  readonly tensor: string;
  /** As in `ExternalFile`. */
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The external data files that tensors point to, each once, checked to exist, to lie in the model's folder, and to be
 * as long as the tensors need.
 * @throws OnnxFileError EXTERNAL_DATA_INVALID, _OUTSIDE, _MISSING or _TRUNCATED, naming file and tensor.
 */
export function findExternalFiles(tensors: readonly TensorProto[], modelPath: string): readonly ExternalFile[] {
  const files = new Map<string, ExternalFile>();
  for (const tensor of tensors) {
    if (!isExternal(tensor)) continue;
    const range = externalRange(tensor, modelPath);
    const file = files.get(range.path) ?? findExternalFile(range, modelPath);
    files.set(range.path, file);
    if (range.end > file.bytes) {
      throw new OnnxFileError(
        'EXTERNAL_DATA_TRUNCATED',
        modelPath,
        `tensor '${range.tensor}' ends at byte ${range.end} of '${range.path}', which ends at byte ${file.bytes}`,
      );
    }
  }
  return [...files.values()];
}

/**
 * @throws OnnxFileError EXTERNAL_DATA_INVALID or _OUTSIDE; whether the file is there says `findExternalFiles`
 */
export function externalRange(tensor: TensorProto, modelPath: string): ExternalRange {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const invalid = (message: string) =>
    new OnnxFileError('EXTERNAL_DATA_INVALID', modelPath, `tensor '${tensor.name}' ${message}`);
  const location = entries.get('location');
  if (location === undefined || location === '') throw invalid('lies in another file, but names none');
  const path = posix.normalize(location);
  if (!isRelativePath(path)) {
    throw new OnnxFileError(
      'EXTERNAL_DATA_OUTSIDE',
      modelPath,
      `tensor '${tensor.name}' lies in '${location}', which leaves the model's folder: export it with a relative path`,
    );
  }
  if (path === MODEL_FILE || path === MANIFEST_FILE) {
    throw invalid(`lies in '${path}', a name that the model repository needs itself: export it under another name`);
  }
  const byteCount = (key: string, otherwise: number) => {
    const text = entries.get(key) ?? String(otherwise);
    if (!/^\d{1,15}$/.test(text))
      throw invalid(`has external data with ${key} '${text}', which must be a number of bytes`);
    return Number(text);
  };
  const elementBytes = tensorBytes(tensor, modelPath);
  const length = byteCount('length', elementBytes);
  if (length !== elementBytes) throw invalid(`must be ${elementBytes} bytes by its shape, got a length of ${length}`);
  const start = byteCount('offset', 0);
  return { tensor: tensor.name, path, start, end: start + length };
}

function findExternalFile({ tensor, path }: ExternalRange, modelPath: string): ExternalFile {
  const localPath = join(dirname(modelPath), path);
  if (!existsSync(localPath)) {
    throw new OnnxFileError(
      'EXTERNAL_DATA_MISSING',
      modelPath,
      `tensor '${tensor}' lies in '${path}', which is missing: put it beside the model, at ${localPath}`,
    );
  }
  // A model cache may link both the model and its data to a store of blobs, so the link's own folder counts as well.
  const folders = [realpathSync(dirname(modelPath)), dirname(realpathSync(modelPath))];
  const target = realpathSync(localPath);
  if (!folders.some((folder) => target.startsWith(folder + sep))) {
    throw new OnnxFileError(
      'EXTERNAL_DATA_OUTSIDE',
      modelPath,
      `tensor '${tensor}' lies in '${path}', a link to ${target} outside the model's folder: put the file itself there`,
    );
  }
  const stats = statSync(localPath);
  if (!stats.isFile()) {
    throw new OnnxFileError(
      'EXTERNAL_DATA_INVALID',
      modelPath,
      `tensor '${tensor}' lies in '${path}', which is no file`,
    );
  }
  return { path, localPath, bytes: stats.size };
}
