export { publishModel, type PublishedModel, type PublishOptions } from './model/publish-model';
export type { GoldenOptions } from './model/golden-proof';
export { PublishError, type PublishErrorCode } from './model/publish-error';
export { readManifestFile, type ManifestFile } from './onnx/read-manifest-file';
export { OnnxFileError, type OnnxFileErrorCode } from './onnx/onnx-file-error';
export { readOnnxModel, type OnnxModel, type OnnxModelFile } from './onnx/read-onnx-model';
export { digestPath } from './model/digest-path';
export { extendProvenance, provenanceFile, readProvenance, writeProvenance, type ToolStep } from './model/provenance';
export { openDataset, type DatasetOptions } from './model/data/open-dataset';
export type { DataBatch, Dataset, DatasetFormat, LabelKind, LabelOf } from './model/data/dataset';
export { openModelFile, type ModelFileOptions } from './model/measure/open-model-file';
export type { RunnableModel } from './model/measure/runnable-model';
export {
  compareSpeed,
  measureSpeed,
  type BatchSpeed,
  type SpeedOptions,
  type SpeedRatio,
} from './model/measure/measure-speed';
export { evaluateModels, type EvaluatedModel, type EvaluationOptions } from './model/evaluate/evaluate-models';
export { evidenceOf, type EvaluationReport, type ModelEvaluation } from './model/evaluate/evaluation-report';
export { evaluationPage } from './model/evaluate/evaluation-page';
export { openEvaluatedFile } from './model/evaluate/open-evaluated-file';
export { openEndpoint, type EndpointOptions, type EndpointProtocol } from './model/evaluate/endpoint/open-endpoint';
export { ModelToolError, type ModelToolErrorCode } from './model/tool-error';
export { convertModel, type Conversion, type ConvertOptions } from './model/convert/convert-model';
export { parseInput, type InputSignature } from './model/convert/input-signature';
export { distilModel, type Distillation, type DistilOptions } from './model/distil/distil-model';
export { pythonFor, type PythonEnvironment, type PythonOptions } from './model/python/environment';
