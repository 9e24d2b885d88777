/**
 * Names of every metric a replica publishes. They are public API: dashboards, alarms and scaling policies name them.
 * Durations are in seconds. Labels are closed sets; no path, identifier or client string ever becomes a label.
 */
export const METRICS = {
  saturation: 'slipway_saturation',
  requests: 'slipway_requests_total',
  requestDuration: 'slipway_request_duration_seconds',
  queueDuration: 'slipway_queue_duration_seconds',
  runDuration: 'slipway_run_duration_seconds',
  batchRows: 'slipway_batch_rows',
  queueRows: 'slipway_queue_rows',
  modelReady: 'slipway_model_ready',
  modelLoadDuration: 'slipway_model_load_duration_seconds',
  coldStart: 'slipway_cold_start_seconds',
  nonfiniteOutputs: 'slipway_nonfinite_outputs_total',
  efficiency: 'slipway_efficiency_ratio',
  modelReloads: 'slipway_model_reloads_total',
  cacheHits: 'slipway_cache_hits_total',
  cacheMisses: 'slipway_cache_misses_total',
  cacheSavedSeconds: 'slipway_cache_saved_seconds_total',
  connections: 'slipway_connections',
  connectionsRefused: 'slipway_connections_refused_total',
  requestsUnauthorized: 'slipway_requests_unauthorized_total',
  eventLoopDelay: 'slipway_event_loop_delay_seconds',
  gpuUtilization: 'slipway_gpu_utilization_ratio',
  gpuMemoryUsed: 'slipway_gpu_memory_used_bytes',
  gpuMemoryTotal: 'slipway_gpu_memory_total_bytes',
  gpuPower: 'slipway_gpu_power_watts',
  gpuEnergy: 'slipway_gpu_energy_joules_total',
  gpuTemperature: 'slipway_gpu_temperature_celsius',
} as const;

/** Values of the `port` label. */
export const PORT_LABELS = ['http', 'grpc', 'metrics', 'admin'] as const;
export type PortLabel = (typeof PORT_LABELS)[number];

/** Values of the `reason` label of `slipway_requests_unauthorized_total`. */
export const UNAUTHORIZED_REASONS = ['missing', 'refused', 'forbidden', 'unavailable'] as const;
export type UnauthorizedReason = (typeof UNAUTHORIZED_REASONS)[number];

/** Values of the `protocol` label: how a request came. KServe V1 is `tensorflow`: its predict call is one of TensorFlow Serving's. */
export const PROTOCOLS = [
  'oip-json',
  'oip-binary',
  'oip-grpc',
  'tensorflow',
  'sagemaker',
  'vertex',
  'predict',
] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Values of the `outcome` label of `slipway_requests_total`. */
export const OUTCOMES = ['ok', 'client_error', 'queue_full', 'unavailable', 'deadline', 'cancelled', 'error'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/**
 * Where metrics go in CloudWatch (Embedded Metric Format on standard output), the scaling signal among them.
 * There is one dimension set, so the policy and the publisher cannot disagree about it.
 */
export const CLOUDWATCH = {
  namespace: 'Slipway',
  dimensions: ['cluster', 'service'],
  periodSeconds: 10,
} as const;

/**
 * What goes there of each period, the scaling signal first: what alarms and dashboards need and no load balancer can say.
 * Every name is a metric that CloudWatch charges for, so they are few, and have no dimensions of their own.
 */
export const CLOUDWATCH_METRICS = [
  { name: METRICS.saturation, unit: 'None' },
  { name: METRICS.requests, unit: 'Count' },
  { name: 'slipway_requests_failed_total', unit: 'Count' },
  { name: METRICS.queueDuration, unit: 'Seconds' },
  { name: METRICS.runDuration, unit: 'Seconds' },
  { name: METRICS.batchRows, unit: 'None' },
  { name: METRICS.efficiency, unit: 'None' },
  { name: METRICS.eventLoopDelay, unit: 'Seconds' },
  { name: METRICS.coldStart, unit: 'Seconds' },
  { name: METRICS.gpuUtilization, unit: 'None' },
] as const;
