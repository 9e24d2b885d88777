export { publishModel, type PublishedModel, type PublishOptions } from './model/publish-model';
export type { GoldenOptions } from './model/golden-proof';
export { PublishError, type PublishErrorCode } from './model/publish-error';
export { readManifestFile, type ManifestFile } from './onnx/read-manifest-file';
export { OnnxFileError, type OnnxFileErrorCode } from './onnx/onnx-file-error';
export { readOnnxModel, type OnnxModel, type OnnxModelFile } from './onnx/read-onnx-model';
export { digestPath } from './model/digest-path';
export { extendProvenance, provenanceFile, readProvenance, writeProvenance, type ToolStep } from './model/provenance';
