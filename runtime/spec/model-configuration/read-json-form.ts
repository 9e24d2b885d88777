import { SpecError } from '../errors';
import type { RawField, RawMessage, RawScalar, RawValue } from './raw-message';

// As for text format: JSON.parse itself has no limit that we could rely on.
const MAX_DEPTH = 32;

/**
 * Reads the JSON form of a protocol buffer message (https://protobuf.dev/programming-guides/json/) without a schema.
 * Field names are as in the `.proto` file, or the camelCase of them; a `null` field is absent.
 * @throws SpecError MODEL_CONFIGURATION_SYNTAX.
 */
export function readJsonForm(text: string, file: string): RawMessage {
  const fail = (message: string): never => {
    throw new SpecError('MODEL_CONFIGURATION_SYNTAX', file, message);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`is no JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail('must be a JSON object');
  return readObject(value, 0, fail);
}

type Fail = (message: string) => never;

function readObject(object: object, depth: number, fail: Fail): RawMessage {
  if (depth > MAX_DEPTH) fail(`nests deeper than ${MAX_DEPTH} objects`);
  const fields = new Map<string, RawField>();
  for (const [key, value] of Object.entries(object) as [string, unknown][]) {
    if (value === null) continue;
    const isList = Array.isArray(value);
    const values = (isList ? (value as unknown[]) : [value]).map((item) => readValue(item, key, depth, fail));
    fields.set(key, { line: undefined, isList, values });
  }
  return { kind: 'message', line: undefined, form: 'json', fields };
}

function readValue(value: unknown, key: string, depth: number, fail: Fail): RawValue {
  const scalar = (kind: RawScalar['kind']): RawScalar => ({ kind, line: undefined, text: String(value) });
  if (typeof value === 'string') return scalar('string');
  if (typeof value === 'number') return scalar('number');
  if (typeof value === 'boolean') return scalar('boolean');
  if (value === null || Array.isArray(value)) return fail(`'${key}' holds a list or null where a value must be`);
  return readObject(value as object, depth + 1, fail);
}
