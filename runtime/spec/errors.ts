/**
 * Every reason why a spec is refused. A code is public API: people match on it in scripts.
 */
export type SpecErrorCode =
  | 'NAME_INVALID'
  | 'MODELS_EMPTY'
  | 'MODEL_NAME_INVALID'
  | 'MODEL_VERSION_INVALID'
  | 'MODEL_DUPLICATE'
  | 'MODEL_FACTS_MISSING'
  | 'MODEL_OPSET_UNSUPPORTED'
  | 'MODEL_NOT_BATCHABLE'
  | 'MODEL_HOOKS_UNDECIDED'
  | 'MODEL_SIGNING_KEYS'
  | 'MODEL_REFERENCE_INVALID'
  | 'MANIFEST_INVALID'
  | 'REPOSITORY_INDEX_INVALID'
  | 'VERSION_LABELS_INVALID'
  | 'MODEL_CONFIGURATION_SYNTAX'
  | 'MODEL_CONFIGURATION_UNSUPPORTED'
  | 'MODEL_CONFIGURATION_INVALID'
  | 'MODEL_CONFIGURATION_MISMATCH'
  | 'NUMBER_INVALID'
  | 'VALUE_NOT_PLAIN'
  | 'REPLICA_RANGE'
  | 'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE'
  | 'SCALING_METRIC_UNNAMED'
  | 'UNKNOWN_INSTANCE_TYPE'
  | 'NO_INSTANCE_FITS'
  | 'INSTANCE_TYPE_ON_FARGATE'
  | 'GPU_ON_FARGATE'
  | 'GPU_COUNT'
  | 'GPU_WITHOUT_CUDA'
  | 'GPU_SHARING_INVALID'
  | 'POOL_INSTANCE_TYPES'
  | 'REGISTRY_SKU'
  | 'REGISTRY_CHOICE'
  | 'IMAGE_REGION'
  | 'BUCKET_REGION'
  | 'ACCOUNT_KEY_NEEDED'
  | 'ENCRYPTION_KEY_INVALID'
  | 'CLUSTER_ADMINISTRATORS'
  | 'GPU_MEMORY'
  | 'MEMORY'
  | 'CPU'
  | 'FARGATE_SIZE'
  | 'DRAIN_EXCEEDS_STOP_TIMEOUT'
  | 'STOP_TIMEOUT_TOO_LONG'
  | 'IDLE_TIMEOUT_RANGE'
  | 'ENVIRONMENT_UNKNOWN'
  | 'ENVIRONMENT_INVALID'
  | 'CONTRACT_TOO_NEW'
  | 'LISTENER_PLAINTEXT'
  | 'IMAGE_NOT_PINNED'
  | 'IMAGE_VARIANT'
  | 'CLUSTER_MISMATCH'
  | 'NAME_TAKEN'
  | 'LOG_GROUP_CLASS'
  | 'POLICY_TOO_LARGE'
  | 'CAPACITY_CHOICE'
  | 'CAPACITY_BLOCK_TYPE'
  | 'WARM_POOL_WITH_SPOT'
  | 'MODEL_CACHE_UNSUPPORTED'
  | 'IMAGE_ARCHITECTURE'
  | 'SINGLETON_TAKEN'
  | 'PRIORITY_TAKEN'
  | 'PRIORITY_MISSING'
  | 'CLUSTER_OR_PLATFORM'
  | 'EXPOSURE_WITHOUT_CERTIFICATE'
  | 'EXPOSURE_WITHOUT_WAF'
  | 'GRPC_WITHOUT_TLS'
  | 'GRPC_WITHOUT_HOST'
  | 'LISTENER_ACTION_WITH_SHIFT'
  | 'ROLLOUT_RANGE'
  | 'ROLLOUT_BAKE_TOO_SHORT'
  | 'ROLLOUT_WITHOUT_BALANCER'
  | 'ROLLOUT_WITHOUT_ALARMS'
  | 'SMOKE_TEST_MISSING'
  | 'LISTENER_CHOICE'
  | 'SERVICE_CONNECT_NAMESPACE'
  | 'ENVIRONMENT_TAKEN'
  | 'SCALING_CONFLICT'
  | 'DEAD_LETTER_QUEUE_MISSING'
  | 'MODEL_NOT_ROLLED_OUT'
  | 'REPLICA_KEY_MISSING'
  | 'SAGEMAKER_MODEL_SOURCE'
  | 'SAGEMAKER_INSTANCE'
  | 'KUBECTL_PROVIDER_MISSING'
  | 'KUBERNETES_TOO_OLD'
  | 'MODEL_DELIVERY'
  | 'PLACEMENT_CONFLICT'
  | 'POOL_TOO_SMALL'
  | 'GPU_SHARING'
  | 'WAKE_CHOICE'
  | 'ROUTE_MISSING'
  | 'ROUTE_INVALID'
  | 'KSERVE_UNSUPPORTED'
  | 'ADDONS_CHOICE'
  | 'PREWARM_EMPTY'
  | 'MODEL_STORE_CHOICE'
  | 'MODEL_JOB_INVALID'
  | 'NETWORK_CHOICE'
  | 'PLATFORM_FACTS_INVALID'
  | 'PLATFORM_GROUP_UNKNOWN'
  | 'PIPELINE_STEP_UNKNOWN'
  | 'PIPELINE_STEPS_INVALID'
  | 'PIPELINE_SOURCE_INVALID'
  | 'PIPELINE_ROLLOUT_TWICE'
  | 'BUDGET_RECIPIENTS'
  | 'TAG_INVALID';

const BRAND = Symbol.for('slipway.SpecError');

/**
 * A spec, or something read from one, that cannot be deployed. The message always reads
 * `CODE path: what was given, what would work`.
 *
 * @example
 * throw new SpecError('REPLICA_RANGE', 'maxReplicas', 'must be at least minReplicas (3), got 2');
 */
export class SpecError extends Error {
  readonly code: SpecErrorCode;
  /** Where in the spec, in the author's own names: `models[0].version`. */
  readonly path: string;

  constructor(code: SpecErrorCode, path: string, message: string) {
    super(`${code} ${path}: ${message}`);
    this.name = 'SpecError';
    this.code = code;
    this.path = path;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is SpecError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
