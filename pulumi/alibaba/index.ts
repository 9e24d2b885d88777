export { Cluster, type ClusterArgs } from './cluster';
export type { ClusterFacts } from './cluster-facts';
export { GpuInstanceGroup, type GpuInstanceGroupArgs } from './gpu-instance-group';
export {
  ImageRepository,
  RegistryEdition,
  type ImageRepositoryArgs,
  type ImageMirrorArgs,
  type RegistrySubscriptionArgs,
} from './image-repository';
export {
  ModelBucket,
  type BucketFacts,
  type BucketModel,
  type ExistingBucketArgs,
  type ModelBucketArgs,
} from './model-bucket';
export { WorkloadIdentity, type ReadableModel, type WorkloadIdentityArgs } from './workload-identity';
