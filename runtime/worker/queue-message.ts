import { assertModelName, assertModelVersion } from '../spec/model-repository';
import { rawJsonValue } from './raw-json';

/** One inference that waits in a queue, as its sender wrote it. */
export interface QueueMessage {
  /** Names the result. @default - the queue's own id of the message */
  readonly id: string;
  readonly model: string;
  /** @default - the newest that serves */
  readonly version?: number;
  /** Where the request's body lies, or the body itself. */
  readonly input: { readonly uri: string } | { readonly json: string };
  /** @default - application/json for a body in the message, else what the object says of itself */
  readonly contentType?: string;
  /** `Inference-Header-Content-Length` of a binary body. @default - what the object's metadata say */
  readonly inferenceHeaderLength?: number;
}

/** A message that nobody can ever answer: no sender waits for a result of a name that cannot be read. */
export class MalformedMessageError extends Error {}

const KEYS = ['model', 'version', 'input', 'contentType', 'inferenceHeaderLength', 'id'];
// Becomes part of an object's key: no slash, and neither '.' nor '..'.
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
// Becomes a header.
const CONTENT_TYPE =
  /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}(;\s?charset=[A-Za-z0-9-]{1,32})?$/i;
const URI = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/.{1,1024}$/;

/**
 * Reads a message. Its text is a stranger's: what becomes part of a key, a path or a header is held to a small alphabet.
 * @param fallbackId The queue's own id of the message.
 * @throws MalformedMessageError saying what is wrong, without a word of what the message holds.
 */
export function parseQueueMessage(text: string, fallbackId: string): QueueMessage {
  const fields = objectOf(parseJson(text), 'the message');
  const unknown = Object.keys(fields).filter((key) => !KEYS.includes(key));
  if (unknown.length > 0)
    throw new MalformedMessageError(`has ${unknown.length} unknown fields; known: ${KEYS.join(', ')}`);
  const { model, version, contentType, inferenceHeaderLength, id = fallbackId } = fields;
  if (typeof model !== 'string' || !holds(() => assertModelName(model, 'model'))) {
    throw new MalformedMessageError('model must be the name of a model');
  }
  if (version !== undefined && !(typeof version === 'number' && holds(() => assertModelVersion(version, 'version')))) {
    throw new MalformedMessageError('version must be a whole number from 1 up');
  }
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new MalformedMessageError(
      "id must be 1 to 128 letters, digits, '.', '_' or '-' and begin with a letter or digit",
    );
  }
  if (contentType !== undefined && !(typeof contentType === 'string' && CONTENT_TYPE.test(contentType))) {
    throw new MalformedMessageError('contentType must be a media type');
  }
  if (inferenceHeaderLength !== undefined && !isLength(inferenceHeaderLength)) {
    throw new MalformedMessageError('inferenceHeaderLength must be a number of bytes');
  }
  return {
    id,
    model,
    input: parseInput(fields['input'], text),
    ...(version === undefined ? {} : { version }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(inferenceHeaderLength === undefined ? {} : { inferenceHeaderLength }),
  };
}

function parseInput(value: unknown, text: string): QueueMessage['input'] {
  const input = objectOf(value, 'input');
  const [key, ...others] = Object.keys(input);
  if (others.length === 0 && key === 'uri' && typeof input['uri'] === 'string' && URI.test(input['uri'])) {
    return { uri: input['uri'] };
  }
  if (others.length === 0 && key === 'json') {
    objectOf(input['json'], 'input.json');
    return { json: rawJsonValue(text, ['input', 'json'])! };
  }
  throw new MalformedMessageError('input must be {"uri": "s3://<bucket>/<key>"} or {"json": {…}}');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedMessageError('is no JSON');
  }
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MalformedMessageError(`${what} must be an object`);
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function holds(assertion: () => void): boolean {
  try {
    assertion();
    return true;
  } catch {
    return false;
  }
}
