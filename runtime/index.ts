export { OnnxFileError, type OnnxFileErrorCode } from './onnx/onnx-file-error';
export { readOnnxModel, type OnnxModel, type OnnxModelFile } from './onnx/read-onnx-model';
