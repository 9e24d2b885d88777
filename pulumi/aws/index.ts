export { Cluster, type ClusterArgs } from './cluster';
export type { ClusterFacts, NamedCluster } from './cluster-facts';
export { GpuInstanceGroup, type GpuInstanceGroupArgs } from './gpu-instance-group';
export { ImageRegistry, type ImageRegistryArgs } from './image-registry';
export { ImageRepository, type ImageRepositoryArgs } from './image-repository';
export {
  ModelBucket,
  type BucketFacts,
  type BucketModel,
  type ExistingBucketArgs,
  type ModelBucketArgs,
} from './model-bucket';
export { WorkloadIdentity, type ReadableModel, type WorkloadIdentityArgs } from './workload-identity';
