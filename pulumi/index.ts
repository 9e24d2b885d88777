export { anyOf } from '../runtime/spec';
export { ImagePrewarm, type ImagePrewarmArgs } from './image-prewarm';
export { InferenceService, type InferenceServiceArgs, type QueueWakeArgs, type WakeArgs } from './inference-service';
export type { LateString } from './late-bound';
export type { ModelSource } from '../runtime/onnx/resolve-model';
export {
  modelAt,
  modelInImage,
  modelOnVolume,
  type CsiVolumeArgs,
  type Model,
  type ModelArgs,
  type ModelVolumeArgs,
} from './model';
export { ModelJob, type ModelJobArgs } from './model-job';
export { ModelStore, type ModelStoreArgs, type StoredModelSource } from './model-store';
export {
  PlatformAddons,
  type AddonArgs,
  type DevicePluginArgs,
  type GpuOperatorArgs,
  type KarpenterArgs,
  type MirrorArgs,
  type MonitoringStackArgs,
  type PlatformAddonsArgs,
  type PlatformFacts,
} from './platform-addons';
export { GpuSharingStrategy, type GpuSharingArgs } from './gpu-sharing';
export type { ServiceIdentity } from './service-identity';
export type { CanaryArgs, ShadowArgs } from './traffic';
