export { InferenceService, type InferenceServiceArgs, type ServiceIdentity } from './inference-service';
export type { LateString } from './late-bound';
export { modelAt, type Model, type ModelSource } from './model';
