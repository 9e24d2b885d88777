export { InferenceService, type InferenceServiceArgs, type ServiceIdentity } from './inference-service';
export type { LateString } from './late-bound';
export type { ModelSource } from '../runtime/onnx/resolve-model';
export { modelAt, type Model } from './model';
