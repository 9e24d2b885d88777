import { hash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ENVIRONMENT } from '../../spec/environment';
import { SpecError } from '../../spec/errors';
import { pathOfFileUri } from '../../onnx/file-uri';
import { GROUPS, isGroup, MAX_NAME_LENGTH, type Group, type Principal } from './principal';

const MAX_KEYS = 1_000;
const MAX_FILE_BYTES = 1_048_576;
/** What a key may do whose entry does not say. */
const DEFAULT_GROUPS: readonly Group[] = ['infer', 'metadata'];
const FIELDS: ReadonlySet<string> = new Set(['name', 'sha256', 'groups', 'tenant']);

interface ApiKey {
  readonly digest: Buffer;
  readonly principal: Principal;
}

/**
 * The keys that let callers in. Only their SHA-256 is known here: keys are 256 random bits, so nothing slower is needed.
 */
export class ApiKeys {
  private constructor(private readonly keys: readonly ApiKey[]) {}

  /**
   * @param setting A JSON list of keys, or a file:// URI of one.
   * @throws SpecError ENVIRONMENT_INVALID; no digest is ever in its message.
   */
  static read(setting: string): ApiKeys {
    return new ApiKeys(parseKeys(setting.startsWith('file://') ? readText(apiKeyFile(setting)!) : setting));
  }

  /** Whose key it is. The time it takes says nothing about how much of it was right, or whose it would be. */
  find(key: string): Principal | undefined {
    const digest = hash('sha256', key, 'buffer');
    let found: Principal | undefined;
    for (const known of this.keys) if (timingSafeEqual(known.digest, digest)) found = known.principal;
    return found;
  }
}

/** The path of the file that holds the keys; undefined when the setting holds them itself. */
export function apiKeyFile(setting: string): string | undefined {
  if (!setting.startsWith('file://')) return undefined;
  try {
    return pathOfFileUri(setting);
  } catch (error) {
    throw invalid(`is no file:// URI of this machine: ${(error as Error).message}`);
  }
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw invalid(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
  }
  if (bytes.byteLength > MAX_FILE_BYTES) {
    throw invalid(`${path} must be at most ${MAX_FILE_BYTES} bytes, got ${bytes.byteLength}`);
  }
  return bytes.toString();
}

function parseKeys(text: string): readonly ApiKey[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    // The message of the parser quotes the text.
    throw invalid('must be a JSON list of { name, sha256, groups }, got no JSON');
  }
  if (!Array.isArray(list)) throw invalid('must be a JSON list of { name, sha256, groups }');
  if (list.length === 0 || list.length > MAX_KEYS) throw invalid(`must hold 1 to ${MAX_KEYS} keys, got ${list.length}`);
  const keys = list.map((entry: unknown, i) => parseKey(entry, i));
  assertDistinct(
    'name',
    keys.map(({ principal }) => principal.name),
  );
  assertDistinct(
    'sha256',
    keys.map(({ digest }) => digest.toString('hex')),
  );
  return keys;
}

function parseKey(entry: unknown, i: number): ApiKey {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw invalid(`[${i}] must be an object`);
  const unknown = Object.keys(entry).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) {
    throw invalid(`[${i}] has the unknown field '${unknown.slice(0, 40)}', known are ${[...FIELDS].join(', ')}`);
  }
  const { name, sha256, groups = DEFAULT_GROUPS, tenant = name } = entry as Readonly<Record<string, unknown>>;
  if (!isName(name)) throw invalid(`[${i}].name must be a text of 1 to ${MAX_NAME_LENGTH} characters`);
  if (!isName(tenant)) throw invalid(`[${i}].tenant must be a text of 1 to ${MAX_NAME_LENGTH} characters`);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw invalid(`[${i}].sha256 must be the 64 hexadecimal digits of the key's SHA-256`);
  }
  if (!Array.isArray(groups) || groups.length === 0 || !groups.every(isGroup)) {
    throw invalid(`[${i}].groups must be a list of ${GROUPS.join(', ')}`);
  }
  return { digest: Buffer.from(sha256, 'hex'), principal: { name, tenant, groups: new Set(groups) } };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH;
}

function assertDistinct(field: string, values: readonly string[]): void {
  const twice = values.findIndex((value, i) => values.indexOf(value) !== i);
  if (twice >= 0) throw invalid(`[${twice}].${field} is given twice`);
}

function invalid(message: string): SpecError {
  return new SpecError('ENVIRONMENT_INVALID', ENVIRONMENT.apiKeys.variable, message);
}
