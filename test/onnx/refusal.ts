import { expect } from 'vitest';
import { OnnxFileError, type OnnxFileErrorCode } from '../../runtime/onnx/onnx-file-error';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';

/** The error that a file is refused with; any other error, or none, fails the test. */
export function refusal(path: string): OnnxFileError {
  try {
    readOnnxModel(path);
  } catch (error) {
    if (OnnxFileError.is(error)) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

export function expectRefusal(path: string, code: OnnxFileErrorCode, message: string): void {
  expect(refusal(path).message).toBe(`${code} ${path}: ${message}`);
}
