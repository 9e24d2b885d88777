export { GpuInstanceGroup, type GpuInstanceGroupProps } from './gpu-instance-group';
export { ImageRepository, type ImageRepositoryProps } from './image-repository';
export { InferenceService, type InferenceServiceProps } from './inference-service';
export type { ModelSource } from '../runtime/onnx/resolve-model';
export { Model, type ModelAsset } from './model';
export { ModelBucket, type IModelBucket, type ModelBucketProps } from './model-bucket';
export type { ImageVariant } from '../runtime/image/image-context';
export { RuntimeImage, type RuntimeImageAssetOptions } from './runtime-image';
export type { ServiceAlarms } from './service-alarms';
