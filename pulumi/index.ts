export { anyOf } from '../runtime/spec';
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
export type { ServiceIdentity } from './service-identity';
export type { CanaryArgs, ShadowArgs } from './traffic';
