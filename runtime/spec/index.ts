export { CLOUD_NAMES, CLOUDS, type Cloud } from './clouds';
export {
  describeCost,
  describePrices,
  describeServiceCost,
  describeUnknownCost,
  formatUsd,
  isKnownCost,
  planCost,
  planServiceCost,
  type Cost,
  type MachineNumbers,
  type UnknownCost,
} from './cost';
export { ELEMENT_BYTES, isDatatype, type Datatype } from './datatypes';
export { DEFAULTS, MAX_OPSETS, SIZING } from './defaults';
export {
  CACHE_FOLDER,
  CACHE_FOLDER_CONTRACT,
  CONTAINER_USER,
  CONTRACT,
  EVIDENCE_CONTRACT,
  HEALTH_COMMAND,
  LABELS,
  PATHS,
  PORTS,
  SOURCE_FOLDER,
} from './endpoints';
export {
  containerEnvironment,
  ENVIRONMENT,
  flagOfVariable,
  readEnvironment,
  writeEnvironment,
  type ContainerRefs,
  type EnvironmentVariable,
  type LogLevel,
  type ServerSettings,
} from './environment';
export { SpecError, type SpecErrorCode } from './errors';
export type { EvaluationEvidence, EvaluationGate, FileDigest } from './evaluation-evidence';
export { FARGATE_SIZES, smallestFargateSize } from './fargate-sizes';
export {
  modelAnnotations,
  planInferenceService,
  type InferenceServicePlan,
  type ModelPlan,
  type RolloutPlan,
} from './inference-service-plan';
export {
  CapacityKind,
  ExecutionProvider,
  ModelDelivery,
  Preset,
  ScalingMetricsSource,
  WakeSource,
  type CompanionSpec,
  type EngineServiceSpec,
  type InferenceServiceSpec,
  type MachineFacts,
  type ModelSpec,
  type ServiceChoices,
} from './inference-service-spec';
export {
  INSTANCE_CATALOG,
  instanceTypesOf,
  lookUpInstance,
  type Architecture,
  type InstanceFacts,
  type InstanceType,
} from './instance-catalog';
export * from './kubernetes';
export { PLAIN, type LateBound } from './late-bound';
export type { LifecyclePlan, LoadBalancerCheckPlan, ProbePlan } from './lifecycle';
export { CLOUDWATCH, CLOUDWATCH_METRICS, METRICS, OUTCOMES, type Outcome } from './metric-names';
export {
  isBatchable,
  rowBytes,
  type ModelFacts,
  type ModelFile,
  type OperatorUse,
  type OpsetImport,
  type TensorSignature,
} from './model-facts';
export {
  checkConfiguration,
  readModelConfiguration,
  writeModelConfigurationJson,
  type ConfiguredSignature,
  type ModelConfiguration,
  type ModelConfigurationJson,
  type ServedFacts,
} from './model-configuration';
export {
  isRelativePath,
  MANIFEST_SCHEMA,
  parseManifest,
  serializeManifest,
  type GoldenInput,
  type GoldenOutput,
  type GoldenProof,
  type ModelManifest,
  type OutputLabels,
  type Tolerance,
} from './model-manifest';
export {
  parseModelReferences,
  type ModelFileReference,
  type ModelLocation,
  type ModelReference,
} from './model-reference';
export {
  assertModelName,
  assertModelVersion,
  MANIFEST_FILE,
  MODEL_FILE,
  modelPrefix,
  parseVersionFolder,
  versionPrefix,
} from './model-repository';
export { adviseOnImage, assertPinnedImage } from './pinned-image';
export { READ_OBJECT_ACTIONS, type ModelPermission } from './permissions';
export {
  assertPrices,
  PRICE_TABLES,
  type InstancePrice,
  type PriceOverrides,
  type PriceRange,
  type PriceTable,
} from './prices';
export {
  PREPROCESSING_LIMITS,
  type ColumnsPreprocessing,
  type ImagePreprocessing,
  type InputPreprocessing,
  type PreprocessedColumn,
  type Preprocessing,
  type TextPreprocessing,
} from './preprocessing';
export type { Provenance, ProvenanceStep } from './provenance';
export { kubernetesMetricsSource, type ScalingPlan } from './scaling';
export type { ResourcesPlan } from './sizing';
