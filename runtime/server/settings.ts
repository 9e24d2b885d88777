import { readEnvironment, type ServerSettings } from '../spec/environment';

/**
 * The settings of this process. No other file of the server reads the environment, so everything else can be built
 * twice in one process.
 * @throws SpecError when a variable is unknown or cannot be read.
 */
export function readSettings(): ServerSettings {
  return readEnvironment(process.env);
}

/**
 * Keeps onnxruntime from writing and sending usage data. It looks with getenv when it loads, and only the main
 * thread's `process.env` reaches the C environment: call this before the first worker starts.
 */
export function turnTelemetryOff(): void {
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
}

/** Whether S3 is asked at another address than Amazon's: such stores rarely have a host name per bucket. */
export function hasOwnS3Endpoint(): boolean {
  return (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'] ?? '') !== '';
}
