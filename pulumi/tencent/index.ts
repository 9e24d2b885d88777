export { Cluster, type ClusterArgs } from './cluster';
export type { ClusterFacts } from './cluster-facts';
export { GpuInstanceGroup, type GpuInstanceGroupArgs } from './gpu-instance-group';
export { ImageRepository, type ImageRepositoryArgs, type ImageMirrorArgs, type RegistryArgs } from './image-repository';
export {
  ModelBucket,
  type BucketFacts,
  type BucketModel,
  type ExistingBucketArgs,
  type ModelBucketArgs,
} from './model-bucket';
export { Provider } from './provider';
export { WorkloadIdentity, type ReadableModel, type WorkloadIdentityArgs } from './workload-identity';
