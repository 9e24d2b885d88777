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

/** Variables by name: what a source of models decides by, as an argument, so that tests can pass their own. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Where the tools of each cloud look for identities, endpoints and static keys. SDKs look there by themselves. */
export function cloudVariables(): Variables {
  return process.env;
}
