export { AsyncInferenceService, type AsyncInferenceServiceProps } from './async-inference-service';
export type { AsyncInferenceServiceAttributes, IAsyncInferenceService } from './imported-async-service';
export type { AsyncQueueOptions } from './async-queue';
export {
  Capacity,
  type CapacityBlockOptions,
  type FargateOptions,
  type ICapacity,
  type ManagedInstancesOptions,
  type ReservationOptions,
  type SpotFirstOptions,
} from './capacity';
export { CostGuard, type CostGuardProps } from './cost-guard';
export { GpuBudget, type GpuBudgetProps } from './gpu-budget';
export {
  GpuInstanceGroup,
  type GpuInstanceGroupAttributes,
  type GpuInstanceGroupProps,
  type IGpuInstanceGroup,
} from './gpu-instance-group';
export { ImageRegistry, type ImageRegistryProps, type PullThroughRule } from './image-registry';
export { ImageRepository, type IImageRepository, type ImageRepositoryProps } from './image-repository';
export { InferencePlatform, type InferencePlatformProps, type PlatformGroupProps } from './inference-platform';
export { InferenceTags, type InferenceTagsProps } from './inference-tags';
export { Auth, type JwtOptions, type LoadBalancerJwtOptions, type OidcOptions, type ReplicaJwtOptions } from './auth';
export { Exposure, type PublicExposureOptions } from './exposure';
export type { IInferenceService, InferenceServiceAttributes, PlatformServiceOptions } from './imported-service';
export { InferenceService } from './inference-service';
export type { InferenceServiceProps } from './inference-service-props';
export type { ModelSource } from '../runtime/onnx/resolve-model';
export { GpuMachineImage, type GpuMachineImageOptions, type MachineOs } from './machine-image';
export type { BalancedService } from './balanced-service';
export type { MeasuredService } from './measured-service';
export { Model, type ModelAsset, type RolledOutModelSource } from './model';
export { ModelBucket, type IModelBucket, type ModelBucketProps } from './model-bucket';
export type { ModelBucketGrants } from './model-bucket-grants';
export type { ModelBucketReplica } from './bucket-replication';
export { ModelPipeline, type ModelPipelineProps, type PipelineApproval, type PipelineSource } from './model-pipeline';
export { ModelRollout, type ModelRolloutProps } from './model-rollout';
export type { DeployedVersion, ModelVersion } from './model-version';
export type { ImageVariant } from '../runtime/image/image-context';
export type { IInferencePlatform, PlatformFacts, PlatformGroupFacts } from './platform';
export type { EndpointSet, PlatformNetworkProps } from './platform-network';
export {
  Rollout,
  type BlueGreenOptions,
  type CanaryOptions,
  type DeploymentOptions,
  type LinearOptions,
  type RollingOptions,
  type ShiftOptions,
  type SmokeTestOptions,
} from './rollout';
export type { CliTaskSize } from './cli-task';
export {
  PipelineStep,
  type PipelineCommandOptions,
  type PipelinePublishOptions,
  type PipelineStepFacts,
  type PipelineStepOptions,
} from './pipeline-step';
export {
  RuntimeImage,
  type ImageNeeds,
  type ImageUri,
  type RuntimeImageAssetOptions,
  type RuntimeImageTarballOptions,
} from './runtime-image';
export {
  Scaling,
  type QueueScalingOptions,
  type RequestScalingOptions,
  type SaturationScalingOptions,
  type ScalingKind,
  type ScalingTarget,
  type ScheduleScalingOptions,
  type UtilizationScalingOptions,
} from './scaling';
export type { QueueAlarms } from './queue-alarms';
export type { ServiceAlarms } from './service-alarms';
export type { PublishedMetricName } from './service-metrics';
export { ServiceDashboard, type ServiceDashboardProps } from './service-dashboard';
export type { ServiceTargets, WatchedService } from './service-parts';
export type { ISharedListener } from './shared-listener';
export type { WarmPoolProps } from './warm-pool';
export type { EndpointProps } from './service-endpoint';
export type { ServiceConnectOptions } from './service-connect';
export type { SmokeTest } from './smoke-test';
export { Waf, type ManagedWafOptions } from './waf';
export { BatchInferenceJob, type BatchInferenceJobProps } from './batch-inference-job';
export { EksGpuNodeGroup, type EksGpuNodeGroupProps } from './eks-gpu-node-group';
export { EksInferenceService, type EksInferenceServiceProps } from './eks-inference-service';
export { GpuJobQueue, type GpuJobQueueProps } from './gpu-job-queue';
export { KarpenterGpuPool, type KarpenterGpuPoolProps } from './karpenter-gpu-pool';
export { MultiNodeTrainingJob, type MultiNodeTrainingJobProps } from './multi-node-training-job';
export type { ObjectsBelow } from './objects-below';
export type { SageMakerAlarms } from './sagemaker-alarms';
export type { SageMakerAsyncProps } from './sagemaker-async';
export {
  SageMakerComponentEndpoint,
  type SageMakerComponent,
  type SageMakerComponentEndpointProps,
  type SageMakerComponentProps,
} from './sagemaker-components';
export { SageMakerEndpoint, type SageMakerEndpointProps } from './sagemaker-endpoint';
export type { SageMakerSpec } from './sagemaker-machine';
export type { ISageMakerEndpoint } from './sagemaker-metrics';
export type { SageMakerNetworkProps } from './sagemaker-model';
export {
  SageMakerRollout,
  type SageMakerCanaryOptions,
  type SageMakerLinearOptions,
  type SageMakerRollingOptions,
  type SageMakerRolloutOptions,
} from './sagemaker-rollout';
