export { publishModel, type PublishedModel, type PublishOptions } from './model/publish-model';
export type { GoldenOptions } from './model/golden-proof';
export { PublishError, type PublishErrorCode } from './model/publish-error';
export { readManifestFile, type ManifestFile } from './onnx/read-manifest-file';
export { OnnxFileError, type OnnxFileErrorCode } from './onnx/onnx-file-error';
export { readOnnxModel, type OnnxModel, type OnnxModelFile } from './onnx/read-onnx-model';
export { digestPath } from './model/digest-path';
export { readPreprocessingFile, type ReadPreprocessing } from './model/preprocessing-file';
export { PreprocessError } from './preprocess/preprocess-error';
export { Preprocessor, type PreprocessorOptions, type UserField, type UserRow } from './preprocess/preprocessor';
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
export { openModelStore } from './model/open-model-store';
export type { ListedFile, ModelStore, OnBytes, StoredFile, TaggedFile } from './model/model-store';
export { openSigner, type Signer } from './model/sign-manifest';
export { collectGarbage, type CollectedVersion, type GarbageOptions } from './model/versions/collect-garbage';
export { diffVersions, type VersionDifference } from './model/versions/diff-versions';
export { listVersions, type ListedVersion } from './model/versions/list-versions';
export { promoteVersion, rollBackLabel } from './model/versions/promote';
export type { LabelChange } from './model/versions/version-labels';
export { readPublicKeys, type PublicKey } from './signing/public-keys';
export { SigningError, type SigningErrorCode } from './signing/signing-error';
export { verifySignature } from './signing/verify-signature';
export { pruneModel, type PruneDetail, type PruneMethod, type PruneOptions } from './model/prune/prune-model';
export { sparsifyModel, type SparsifyDetail } from './model/compress/sparsify-model';
export { clusterModel, type ClusterDetail, type ClusterOptions } from './model/compress/cluster-model';
export { compareModels, type ModelComparison, type OutputDifference } from './model/compare/compare-models';
export type { Acceptance } from './model/compare/acceptance';
export type { EditOptions, EditReport, ModelSize } from './model/edit/edit-model';
export { inspectModel, type InspectedModel, type InspectOptions } from './model/inspect-model';
export { costOfModel, type CostOptions, type ModelCost, type NodeCost } from './model/cost/model-cost';
export { renderCostPage } from './model/cost/cost-page';
export { optimizeModel, type OptimizeDetail, type OptimizeOptions } from './model/optimize/optimize-model';
export { quantizeModel, type QuantizeDetail, type QuantizeOptions } from './model/optimize/quantize-model';
export { compileModel, type CompileOptions, type CompileReport } from './model/compile/compile-model';
export { searchModels, type SearchOptions } from './model/search/search-models';
export type { SearchReport } from './model/search/search-report';
export { pullVersion, type PullVersionOptions } from './cli/pull-version';
export { runPipeline, type PipelineOptions } from './cli/pipeline/run-pipeline';
export type { PipelineRun, StepOutcome, StepStatus } from './cli/pipeline/run-steps';
export { readClientModel, type ClientModel } from './model/codegen/describe-client';
export { renderPythonClient } from './model/codegen/python-client';
export { renderTypescriptClient } from './model/codegen/typescript-client';
export { examineModel, type Finding } from './model/doctor';
