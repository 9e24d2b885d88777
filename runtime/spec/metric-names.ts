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
  nonfiniteOutputs: 'slipway_nonfinite_outputs_total',
} as const;

/** Values of the `protocol` label: how a request came. */
export const PROTOCOLS = [
  'oip-json',
  'oip-binary',
  'grpc',
  'tensorflow-serving',
  'kserve-v1',
  'sagemaker',
  'vertex',
  'predict',
] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Values of the `outcome` label of `slipway_requests_total`. */
export const OUTCOMES = ['ok', 'client_error', 'queue_full', 'unavailable', 'deadline', 'cancelled', 'error'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/**
 * Where the scaling signal goes in CloudWatch (Embedded Metric Format on standard output).
 * There is one dimension set, so the policy and the publisher cannot disagree about it.
 */
export const CLOUDWATCH = {
  namespace: 'Slipway',
  dimensions: ['cluster', 'service'],
  periodSeconds: 10,
} as const;
