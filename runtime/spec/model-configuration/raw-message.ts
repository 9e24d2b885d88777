/**
 * A message as it is written, before anybody knows what its fields mean. Protocol buffer text format and its JSON form
 * both end up here, so that one reader gives both their meaning.
 */
export interface RawMessage {
  readonly kind: 'message';
  /** Where it was written; undefined in JSON, whose parser keeps no lines. */
  readonly line: number | undefined;
  /** JSON writes a map as one object, text format as one `{ key value }` message per entry. */
  readonly form: 'text' | 'json';
  readonly fields: ReadonlyMap<string, RawField>;
}

/** All values that were written for one field name, in the order of the file. */
export interface RawField {
  readonly line: number | undefined;
  /** A JSON list; text format repeats a field, or lists it, or both. */
  readonly isList: boolean;
  readonly values: readonly RawValue[];
}

/** `word` is an identifier: an enum value, `true`, `inf`. JSON has no words: its literals come as booleans. */
export type RawValue = RawMessage | RawScalar;

export interface RawScalar {
  readonly kind: 'string' | 'number' | 'word' | 'boolean';
  readonly line: number | undefined;
  /** The value of a string, and the written form of everything else. */
  readonly text: string;
}
