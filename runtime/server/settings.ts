import { readEnvironment, type ServerSettings } from '../spec/environment';
import type { Variables } from '../sources/cloud-variables';

/**
 * The settings of this process. No other file of the server reads the environment, so everything else can be built
 * twice in one process.
 * @throws SpecError when a variable is unknown or cannot be read.
 */
export function readSettings(): ServerSettings {
  return readEnvironment(withPlatformVariables(process.env));
}

/** What hosting platforms tell a container, by the variable of ours that says the same. */
const PLATFORM_VARIABLES = {
  // https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
  SAGEMAKER_BIND_TO_PORT: 'SLIPWAY_HTTP_PORT',
  // https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
  AIP_HTTP_PORT: 'SLIPWAY_HTTP_PORT',
  AIP_HEALTH_ROUTE: 'SLIPWAY_VERTEX_HEALTH_ROUTE',
  AIP_PREDICT_ROUTE: 'SLIPWAY_VERTEX_PREDICT_ROUTE',
  AIP_DEPLOYED_MODEL_ID: 'SLIPWAY_VERTEX_DEPLOYED_MODEL_ID',
  AIP_STORAGE_URI: 'SLIPWAY_MODEL_REPOSITORY',
} as const;

/** Our own variables win, and models by reference take the place of a model repository. */
export function withPlatformVariables(environment: Variables): Variables {
  const ours: Record<string, string | undefined> = { ...environment };
  for (const [theirs, name] of Object.entries(PLATFORM_VARIABLES)) {
    const isReplaced = name === 'SLIPWAY_MODEL_REPOSITORY' && (environment['SLIPWAY_MODELS'] ?? '') !== '';
    if ((ours[name] ?? '') === '' && !isReplaced && (environment[theirs] ?? '') !== '')
      ours[name] = environment[theirs];
  }
  return ours;
}

/**
 * Keeps onnxruntime from writing and sending usage data. It looks with getenv when it loads, and only the main
 * thread's `process.env` reaches the C environment: call this before the first worker starts.
 */
export function turnTelemetryOff(): void {
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
}

/** The GPUs that CUDA lets this process use, as its variable names them; undefined when it may use all. */
export function visibleCudaDevices(): string | undefined {
  return process.env['CUDA_VISIBLE_DEVICES'];
}
