import { NumberList } from '../../onnx/json-numbers';
import type { Tensor } from '../../onnx/tensor-encoding';
import { PreprocessError } from '../../preprocess/preprocess-error';
import type { Preprocessor, UserField, UserRow } from '../../preprocess/preprocessor';
import { checkInput } from '../check-inputs';
import { ServerError } from '../errors';
import type { InferTarget } from '../infer-request';
import { isJsonObject, malformed, showGiven } from '../json-body';

/** A model whose manifest says how users' data becomes its inputs. */
export type UserTarget = InferTarget & { readonly preprocessor: Preprocessor };

export function takesUserData(target: InferTarget): target is UserTarget {
  return target.preprocessor !== undefined;
}

/** Whether the model takes nothing but one text, or one picture, for each row. */
export function takesOnly(target: InferTarget, kind: UserField['kind']): target is UserTarget {
  return target.preprocessor?.onlyField?.kind === kind;
}

/**
 * Makes a model's inputs of users' rows.
 * @throws ServerError MALFORMED_REQUEST for what nothing can be made of, INPUT_INVALID for too many rows, NOT_IMPLEMENTED
 * without a package.
 */
export async function readUserRows(rows: readonly UserRow[], target: UserTarget): Promise<readonly Tensor[]> {
  const most = target.maxRows ?? 1;
  // Before the work, not behind it: a text costs more than its place in a batch.
  if (rows.length > most) {
    throw new ServerError(
      'INPUT_INVALID',
      `model '${target.name}' takes at most ${most} rows in one request, got ${rows.length}; send them in several`,
    );
  }
  try {
    const inputs = await target.preprocessor.make(rows);
    inputs.forEach((input, i) => checkInput(input, target.inputs[i]!, target));
    return inputs;
  } catch (error) {
    throw PreprocessError.is(error) ? refusalOf(error) : error;
  }
}

/** One text or picture that is the whole body. */
export function onlyRow(value: string | Uint8Array, { preprocessor }: UserTarget): UserRow {
  return new Map([[preprocessor.onlyField!.name, value]]);
}

/**
 * The rows of JSON that is users' data: a text, a record, a picture as `{"b64": …}`, or a list of such, plain or in
 * `instances` or `inputs`.
 * @returns undefined for JSON that holds tensors instead.
 * @throws ServerError MALFORMED_REQUEST for a list of different things, and records that lack a field.
 */
export function userRowsOf(json: unknown, target: UserTarget): readonly UserRow[] | undefined {
  const { fields } = target.preprocessor;
  if (isUserRow(json, target) && (!isRequest(json) || fields.every(({ name }) => hasField(json, name)))) {
    return [rowOf(json, undefined, target)];
  }
  const listed = isJsonObject(json) ? (json['instances'] ?? json['inputs']) : json;
  if (isUserRow(listed, target)) return [rowOf(listed, undefined, target)];
  if (!Array.isArray(listed) || !isUserRow(listed[0], target)) return undefined;
  return listed.map((row, i) => rowOf(row, i, target));
}

function isRequest(json: unknown): boolean {
  return isJsonObject(json) && (Object.hasOwn(json, 'instances') || Object.hasOwn(json, 'inputs'));
}

function isUserRow(json: unknown, { preprocessor }: UserTarget): boolean {
  if (typeof json === 'string') return preprocessor.onlyField?.kind === 'text';
  if (!isJsonObject(json)) return false;
  if (isBase64(json)) return preprocessor.onlyField?.kind === 'image';
  return preprocessor.fields.some(({ name }) => hasField(json, name));
}

function hasField(json: unknown, name: string): boolean {
  return isJsonObject(json) && Object.hasOwn(json, name);
}

function rowOf(json: unknown, index: number | undefined, target: UserTarget): UserRow {
  const where = index === undefined ? '' : `row ${index}: `;
  const { fields, onlyField } = target.preprocessor;
  if (typeof json === 'string' && onlyField?.kind === 'text') return new Map([[onlyField.name, json]]);
  if (isBase64(json) && onlyField?.kind === 'image') return new Map([[onlyField.name, bytesOf(json, where)]]);
  if (!isJsonObject(json)) throw malformed(`${where}must be ${describeRow(target)}, got ${showGiven(json)}`);
  return new Map(
    fields.map(({ name, kind }) => {
      if (!Object.hasOwn(json, name)) throw malformed(`${where}the record must have '${name}'`);
      const value = json[name];
      if (kind === 'image') return [name, bytesOf(value, where)];
      if (value instanceof NumberList) throw malformed(`${where}'${name}' must hold one value, got a list`);
      return [name, value];
    }),
  );
}

/** What a row is, for those who sent something else. */
export function describeRow({ preprocessor }: UserTarget): string {
  const { onlyField, fields } = preprocessor;
  if (onlyField?.kind === 'text') return 'a text';
  if (onlyField?.kind === 'image') return 'a picture, as {"b64": …}';
  const names = fields.map(({ name }) => name);
  return `a record with ${names.slice(0, SHOWN_FIELDS).join(', ')}${names.length > SHOWN_FIELDS ? ', …' : ''}`;
}

const SHOWN_FIELDS = 10;

function isBase64(json: unknown): boolean {
  return isJsonObject(json) && Object.keys(json).length === 1 && typeof json['b64'] === 'string';
}

function bytesOf(json: unknown, where: string): Uint8Array {
  if (isJsonObject(json) && isBase64(json)) return Buffer.from(json['b64'] as string, 'base64');
  throw malformed(
    `${where}a picture must be {"b64": …}, the base64 of a PNG, JPEG or WebP file, got ${showGiven(json)}`,
  );
}

/** What a client is told of data that nothing can be made of. */
export function refusalOf({ failure, message }: PreprocessError): ServerError {
  if (failure === 'missing') return new ServerError('NOT_IMPLEMENTED', message);
  return malformed(message.startsWith('must ') ? `the request ${message}` : message);
}
