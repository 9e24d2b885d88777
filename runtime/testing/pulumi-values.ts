/**
 * A property as it crosses the wire between a Pulumi program and its engine. What JSON cannot say is tagged with
 * `$pulumi`, so that a secret, an unknown and a plain value never look alike in an assertion or in a printed recording.
 */
export type PropertyValue =
  | null
  | boolean
  | number
  | string
  | readonly PropertyValue[]
  | UnknownValue
  | SecretValue
  | ResourceReference
  | AssetValue
  | { readonly [key: string]: PropertyValue };

export type Properties = Readonly<Record<string, PropertyValue>>;

/** A value that is not known before the deployment: what an output of a resource is during a preview. */
export interface UnknownValue {
  readonly $pulumi: 'unknown';
}

/** A value that the engine keeps encrypted; `value` is what it protects. */
export interface SecretValue {
  readonly $pulumi: 'secret';
  readonly value: PropertyValue;
}

/** A whole resource given as a value. `id` is absent for components and unknown at preview. */
export interface ResourceReference {
  readonly $pulumi: 'resource';
  readonly urn: string;
  readonly id?: PropertyValue;
}

/** A file or folder given as a value, with the fields the SDK sent (`path`, `text`, `uri`, `assets`). */
export interface AssetValue {
  readonly $pulumi: 'asset' | 'archive';
  readonly content: { readonly [key: string]: PropertyValue };
}

export const UNKNOWN: UnknownValue = Object.freeze({ $pulumi: 'unknown' });

/** Marks a value secret: for expectations, and for the state that an `onResource` callback returns. */
export function secret(value: PropertyValue): SecretValue {
  return { $pulumi: 'secret', value };
}

export function isUnknown(value: PropertyValue | undefined): value is UnknownValue {
  return tagOf(value) === 'unknown';
}

export function isSecret(value: PropertyValue | undefined): value is SecretValue {
  return tagOf(value) === 'secret';
}

/** True when the value is unknown or holds something unknown at any depth. */
export function containsUnknown(value: PropertyValue | undefined): boolean {
  return contains(value, isUnknown);
}

/** True when the value is secret or holds something secret at any depth. */
export function containsSecret(value: PropertyValue | undefined): boolean {
  return contains(value, isSecret);
}

/** The value with every secret replaced by what it protects, for comparing content. */
export function reveal(value: PropertyValue): PropertyValue {
  if (isSecret(value)) return reveal(value.value);
  if (Array.isArray(value)) return value.map(reveal);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, reveal(inner)]));
}

// The signatures of the wire format, from sdk/go/common/resource in pulumi/pulumi; they never change.
const SIGNATURE = '4dabf18193072939515e22adb298388d';
const UNKNOWN_SENTINEL = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
const SECRET_SIGNATURE = '1b47061264138c4ac30d75fd1eb44270';
const RESOURCE_SIGNATURE = '5cf8f73096256a8f31e491e813e4eb8e';
const OUTPUT_SIGNATURE = 'd0e6a833031e9bbcd3f4e8bde6ca49a4';
const ASSET_SIGNATURE = 'c44067f5952c0a294b673a41bacd8c17';
const ARCHIVE_SIGNATURE = '0def7320c3a5731c473e5ecbe6d01bc7';

/** Reads one value of the wire format. */
function decodeProperty(wire: unknown): PropertyValue {
  if (wire === UNKNOWN_SENTINEL) return UNKNOWN;
  if (wire === null || wire === undefined) return null;
  if (typeof wire === 'boolean' || typeof wire === 'number' || typeof wire === 'string') return wire;
  if (Array.isArray(wire)) return wire.map(decodeProperty);
  const { [SIGNATURE]: signature, ...fields } = wire as Record<string, unknown>;
  const decoded = decodeProperties(fields);
  switch (signature) {
    case undefined:
      return decoded;
    case SECRET_SIGNATURE:
      return secret(decoded['value'] ?? null);
    case OUTPUT_SIGNATURE: {
      const value = 'value' in decoded ? (decoded['value'] ?? null) : UNKNOWN;
      return decoded['secret'] === true ? secret(value) : value;
    }
    case RESOURCE_SIGNATURE:
      return {
        $pulumi: 'resource',
        urn: decoded['urn'] as string,
        ...(decoded['id'] === undefined ? {} : { id: decoded['id'] === '' ? UNKNOWN : decoded['id'] }),
      };
    case ASSET_SIGNATURE:
      return { $pulumi: 'asset', content: decoded };
    case ARCHIVE_SIGNATURE:
      return { $pulumi: 'archive', content: decoded };
    default:
      throw new Error(
        `the program sent a value with signature '${String(signature)}', which this engine does not know`,
      );
  }
}

export function decodeProperties(wire: Record<string, unknown>): Record<string, PropertyValue> {
  return Object.fromEntries(Object.entries(wire).map(([key, value]) => [key, decodeProperty(value)]));
}

/** Writes one value in the wire format: the inverse of `decodeProperty`. */
function encodeProperty(value: PropertyValue): unknown {
  if (Array.isArray(value)) return value.map(encodeProperty);
  if (!isObject(value)) return value;
  const { $pulumi: tag, ...fields } = value;
  if (tag === undefined) return encodeProperties(value);
  if (tag === 'unknown') return UNKNOWN_SENTINEL;
  if (tag === 'secret') return { [SIGNATURE]: SECRET_SIGNATURE, ...encodeProperties(fields) };
  if (tag === 'resource') return { [SIGNATURE]: RESOURCE_SIGNATURE, ...encodeProperties(fields) };
  const signature = tag === 'asset' ? ASSET_SIGNATURE : ARCHIVE_SIGNATURE;
  return { [SIGNATURE]: signature, ...encodeProperties(fields['content'] as Properties) };
}

export function encodeProperties(properties: Properties): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, encodeProperty(value)]));
}

function isObject(value: PropertyValue | undefined): value is { readonly [key: string]: PropertyValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tagOf(value: PropertyValue | undefined): PropertyValue | undefined {
  return isObject(value) ? value['$pulumi'] : undefined;
}

function contains(value: PropertyValue | undefined, test: (value: PropertyValue) => boolean): boolean {
  if (value === undefined) return false;
  if (test(value)) return true;
  if (Array.isArray(value)) return (value as readonly PropertyValue[]).some((inner) => contains(inner, test));
  return isObject(value) && Object.values(value).some((inner) => contains(inner, test));
}
