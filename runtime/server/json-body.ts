import { parseJsonBytes } from '../onnx/json-bytes';
import { NumberList, withoutNumberLists } from '../onnx/json-numbers';
import { showJson } from '../onnx/show-json';
import { ServerError } from './errors';

/** A JSON object as it came: its keys are untrusted. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * The JSON of a request as `parseJsonBytes` reads it.
 * @throws ServerError MALFORMED_REQUEST when it is none.
 */
export function parseJsonBody(body: Uint8Array): unknown {
  try {
    return parseJsonBytes(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(`the request must be JSON: ${error.message}`);
  }
}

/** @throws ServerError MALFORMED_REQUEST when the body is no JSON object. */
export function parseJsonObject(body: Uint8Array): Json {
  const value = parseJsonBody(body);
  if (isJsonObject(value)) return value;
  throw malformed(`the request must be a JSON object, got ${showGiven(value)}`);
}

export function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberList);
}

/** A value of a request, as short as a message needs it. */
export function showGiven(value: unknown): string {
  return showJson(withoutNumberLists(value));
}

export function malformed(message: string): ServerError {
  return new ServerError('MALFORMED_REQUEST', message);
}
