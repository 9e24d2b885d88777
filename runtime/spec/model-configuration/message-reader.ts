import { SpecError, type SpecErrorCode } from '../errors';
import { nearest } from '../nearest';
import type { RawField, RawMessage, RawScalar, RawValue } from './raw-message';

/** What all messages of one file share. */
export interface ReadContext {
  readonly file: string;
  /** Fields that were accepted and change nothing, each with the reason. */
  readonly notes: string[];
}

/**
 * Gives the fields of one message their types. Every field that is read, refused or said to be without effect is known;
 * `finish` refuses the others by name.
 */
export class MessageReader {
  private readonly known = new Set<string>();

  constructor(
    private readonly message: RawMessage,
    /** Where the message is, in the file's own names; empty for the outermost. */
    private readonly path: string,
    private readonly context: ReadContext,
  ) {}

  string(name: string): string | undefined {
    return this.scalar(name, (value) => this.readString(name, value));
  }

  /** A string that is empty counts as absent, as it does on the wire. */
  text(name: string): string | undefined {
    const value = this.string(name);
    return value === '' ? undefined : value;
  }

  /** A path that stays below the folder it is looked for in. */
  relativePath(name: string): string | undefined {
    const path = this.text(name);
    if (path === undefined) return undefined;
    const isBelow = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
    if (isBelow && /^[^\\\0]{1,255}$/.test(path)) return path;
    throw this.invalid(name, `must be a relative path without '..', got '${path.slice(0, 80)}'`);
  }

  integer(name: string, min: number, max: number): number | undefined {
    return this.scalar(name, (value) => this.readInteger(name, value, min, max));
  }

  integers(name: string, min: number, max: number): readonly number[] {
    return this.repeated(name, (value) => this.readInteger(name, value, min, max));
  }

  boolean(name: string): boolean | undefined {
    return this.scalar(name, (value) => {
      const isTrue =
        value.kind === 'boolean' ? value.text === 'true' : TRUE.test(value.text) && value.kind !== 'string';
      const isFalse =
        value.kind === 'boolean' ? value.text === 'false' : FALSE.test(value.text) && value.kind !== 'string';
      if (isTrue === isFalse) throw this.invalid(name, `must be true or false, got ${show(value)}`, value);
      return isTrue;
    });
  }

  /** One of the values, given by name or, as protocol buffers allow, by number. */
  choice<T extends string>(name: string, values: Readonly<Record<T, number>>): T | undefined {
    return this.scalar(name, (value) => {
      const isByName = value.kind === (this.message.form === 'text' ? 'word' : 'string');
      for (const [choice, number] of Object.entries(values) as [T, number][]) {
        if (isByName ? value.text === choice : value.kind === 'number' && value.text === String(number)) return choice;
      }
      throw this.invalid(name, `must be ${Object.keys(values).join(', ')}, got ${show(value)}`, value);
    });
  }

  child<T>(name: string, read: (reader: MessageReader) => T): T | undefined {
    const value = this.single(name);
    return value === undefined ? undefined : this.readChild(this.at(name), name, value, read);
  }

  children<T>(name: string, read: (reader: MessageReader) => T): readonly T[] {
    const values = this.field(name)?.values ?? [];
    this.assertList(name);
    return values.map((value, i) => this.readChild(`${this.at(name)}[${i}]`, name, value, read));
  }

  strings(name: string): ReadonlyMap<string, string> {
    return this.map(name, (entry) => entry.string('value') ?? '');
  }

  /** A map field. `read` gets a reader whose field `value` is the entry's value, whichever way the map is written. */
  map<T>(name: string, read: (entry: MessageReader, key: string) => T): ReadonlyMap<string, T> {
    const map = new Map<string, T>();
    for (const [key, entry] of this.entries(name, 'string')) {
      if (map.has(key)) throw this.invalid(name, `names '${key}' twice`);
      map.set(key, read(entry, key));
    }
    return map;
  }

  /** A map whose keys are whole numbers. */
  numberMap<T>(name: string, min: number, max: number, read: (entry: MessageReader) => T): ReadonlyMap<number, T> {
    const map = new Map<number, T>();
    for (const [key, entry] of this.entries(name, 'number')) {
      const number = TEXT_INTEGER.test(key) ? parseInteger(key) : NaN;
      if (!(number >= min && number <= max)) {
        throw this.invalid(name, `must have keys from ${min} to ${max}, got '${key.slice(0, 60)}'`);
      }
      if (map.has(number)) throw this.invalid(name, `names ${number} twice`);
      map.set(number, read(entry));
    }
    return map;
  }

  /** Refuses a field that Triton knows and this server cannot honour. */
  refuse(name: string, reason: string, when: (value: RawValue) => boolean = isSet): void {
    const given = this.field(name)?.values.find(when);
    if (given !== undefined) throw this.error('MODEL_CONFIGURATION_UNSUPPORTED', name, reason, given);
  }

  /** Accepts a field that changes nothing here, and says so. */
  withoutEffect(name: string, reason: string, when: (value: RawValue) => boolean = isSet): void {
    const given = this.field(name)?.values.find(when);
    if (given === undefined) return;
    const place = given.line === undefined ? '' : ` (line ${given.line})`;
    this.context.notes.push(`${this.at(name)}${place} is without effect: ${reason}`);
  }

  has(name: string): boolean {
    return this.field(name) !== undefined;
  }

  /** The message, once all its fields are known. */
  finish<T extends object>(result: T): Readonly<T> {
    for (const [name, field] of this.message.fields) {
      if (this.known.has(name)) continue;
      const where = this.path === '' ? 'a model configuration' : this.path;
      const { line } = field;
      throw this.error(
        'MODEL_CONFIGURATION_UNSUPPORTED',
        name,
        `is no field of ${where} that this server knows; did you mean '${nearest(name, [...this.known])}'?`,
        { line },
      );
    }
    return Object.freeze(result);
  }

  invalid(name: string, message: string, value: { readonly line: number | undefined } = this.place(name)): SpecError {
    return this.error('MODEL_CONFIGURATION_INVALID', name, message, value);
  }

  unsupported(name: string, message: string): SpecError {
    return this.error('MODEL_CONFIGURATION_UNSUPPORTED', name, message, this.place(name));
  }

  private place(name: string): { readonly line: number | undefined } {
    return this.field(name) ?? this.message;
  }

  private error(
    code: SpecErrorCode,
    name: string,
    message: string,
    { line }: { readonly line: number | undefined },
  ): SpecError {
    const { file } = this.context;
    return new SpecError(code, line === undefined ? file : `${file}:${line}`, `${this.at(name)} ${message}`);
  }

  private at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  private field(name: string): RawField | undefined {
    const camelCase = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    this.known.add(name);
    const { fields, form } = this.message;
    if (form === 'text') return fields.get(name);
    this.known.add(camelCase);
    return fields.get(name) ?? fields.get(camelCase);
  }

  private single(name: string): RawValue | undefined {
    const field = this.field(name);
    if (field === undefined) return undefined;
    const isListInJson = this.message.form === 'json' && field.isList;
    if (field.values.length > 1 || isListInJson) throw this.invalid(name, 'must be given once, not as a list');
    return field.values[0];
  }

  private scalar<T>(name: string, read: (value: RawScalar) => T): T | undefined {
    const value = this.single(name);
    return value === undefined ? undefined : read(this.assertScalar(name, value));
  }

  private repeated<T>(name: string, read: (value: RawScalar) => T): readonly T[] {
    const values = this.field(name)?.values ?? [];
    this.assertList(name);
    return Object.freeze(values.map((value) => read(this.assertScalar(name, value))));
  }

  private assertList(name: string): void {
    const field = this.field(name);
    if (field !== undefined && this.message.form === 'json' && !field.isList) {
      throw this.invalid(name, 'must be a list');
    }
  }

  private assertScalar(name: string, value: RawValue): RawScalar {
    if (value.kind === 'message') throw this.invalid(name, 'must be a single value, got a message', value);
    return value;
  }

  private readChild<T>(path: string, name: string, value: RawValue, read: (reader: MessageReader) => T): T {
    if (value.kind !== 'message') throw this.invalid(name, `must be a message in braces, got ${show(value)}`, value);
    return read(new MessageReader(value, path, this.context));
  }

  private readString(name: string, value: RawScalar): string {
    if (value.kind !== 'string') throw this.invalid(name, `must be a string in quotes, got ${show(value)}`, value);
    return value.text;
  }

  /** JSON writes 64-bit integers as strings; text format also knows hexadecimal and octal ones. */
  private readInteger(name: string, value: RawScalar, min: number, max: number): number {
    const { form } = this.message;
    const pattern = form === 'text' ? TEXT_INTEGER : JSON_INTEGER;
    const isNumber = value.kind === 'number' || (form === 'json' && value.kind === 'string');
    const number = isNumber && pattern.test(value.text) ? parseInteger(value.text) : NaN;
    if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;
    throw this.invalid(name, `must be a whole number ${range}, got ${show(value)}`, value);
  }

  private entries(name: string, keys: 'string' | 'number'): (readonly [string, MessageReader])[] {
    const field = this.field(name);
    if (field === undefined) return [];
    if (this.message.form === 'text') {
      return field.values.map((value) => {
        const entry = this.readChild(this.at(name), name, value, (reader) => reader);
        const key = entry.mapKey(keys);
        return [key, entry.inMap(`${this.at(name)}['${key}']`)] as const;
      });
    }
    const object = this.single(name);
    if (object?.kind !== 'message') throw this.invalid(name, 'must be an object');
    return [...object.fields].map(([key, entry]) => {
      const fields = new Map([['value', entry]]);
      return [key, new MessageReader({ ...object, fields }, `${this.at(name)}['${key}']`, this.context)] as const;
    });
  }

  private mapKey(kind: 'string' | 'number'): string {
    const key = this.scalar('key', (value) => value) ?? { kind, text: kind === 'string' ? '' : '0' };
    if (key.kind !== kind) throw this.invalid('key', `must be a ${kind}, got '${key.text.slice(0, 60)}'`);
    this.field('value');
    this.finish({});
    return key.text;
  }

  private inMap(path: string): MessageReader {
    return new MessageReader(this.message, path, this.context);
  }
}

/** Triton writes every field when it prints a configuration: one that has its default was not asked for. */
function isSet(value: RawValue): boolean {
  if (value.kind === 'message') return value.form === 'text' || value.fields.size > 0;
  return value.text !== '' && !FALSE.test(value.text);
}

const TRUE = /^(?:true|True|t|1)$/;
const FALSE = /^(?:false|False|f|0)$/;
const TEXT_INTEGER = /^-?(?:0[xX][0-9a-fA-F]+|\d+)$/;
const JSON_INTEGER = /^-?(?:0|[1-9]\d*)$/;

function parseInteger(text: string): number {
  const digits = text.replace('-', '');
  const radix = /^0[xX]/.test(digits) ? 16 : /^0\d/.test(digits) ? 8 : 10;
  // `0` + `o` for octal, which Number does not know by a leading zero.
  const value = radix === 8 ? Number(`0o${digits.slice(1)}`) : Number(digits);
  return text.startsWith('-') ? -value || 0 : value;
}

function show(value: RawValue): string {
  if (value.kind === 'message') return 'a message';
  const text = value.text.length > 60 ? `${value.text.slice(0, 60)}…` : value.text;
  return value.kind === 'string' ? `'${text}'` : text;
}
