export { GpuInstanceGroup, type GpuInstanceGroupArgs } from './gpu-instance-group';
export { ImageRepository, type ImageRepositoryArgs } from './image-repository';
export { ModelBucket, type BucketFacts, type BucketModel, type ModelBucketArgs } from './model-bucket';
export { WorkloadIdentity, type WorkloadIdentityArgs } from './workload-identity';
