import { readFileSync } from 'node:fs';
import { decodeModel, type DecodedModel } from '../decode-model';
import { findExternalFiles } from '../external-data';
import { OnnxFileError } from '../onnx-file-error';
import { sizeOfModelFile } from '../read-onnx-model';
import { tensorBytes } from '../tensor-bytes';
import { walkModel } from '../walk-model';

/** A whole model in memory, to change and to write again. External data stays in its files until it is asked for. */
export interface EditableModel {
  /** The file that it was read from; external data lies beside it. */
  readonly path: string;
  /** Every field of the file, those of a later ONNX included. */
  readonly proto: DecodedModel;
}

/**
 * Reads a model with everything that is in it. All its tensors are known to fit their shapes, and all its external data to lie
 * in the model's folder.
 * @throws OnnxFileError saying in one sentence what is wrong with the file
 */
export function readEditableModel(path: string): EditableModel {
  const fileBytes = sizeOfModelFile(path);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
  const proto = decodeModel(bytes, path, fileBytes, { keepUnknownFields: true });
  const { tensors } = walkModel(proto);
  for (const tensor of tensors) tensorBytes(tensor, path);
  findExternalFiles(tensors, path);
  return { path, proto };
}
