import { mayBeSlip, nearest } from '../spec/nearest';

/** What a value of a spec file may be. The reader and the published JSON schema are made from the same shapes. */
export type Shape =
  | { readonly kind: 'text' | 'number' | 'boolean' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'list'; readonly of: Shape }
  /** Any names, all of them with values of one shape. */
  | { readonly kind: 'map'; readonly of: Shape }
  | ObjectShape;

export interface ObjectShape {
  readonly kind: 'object';
  readonly fields: Fields;
  readonly required: readonly string[];
  /** What must hold beside the single fields: some of these sets of fields, and never these together. */
  readonly some?: readonly (readonly string[])[];
  readonly never?: readonly (readonly [string, string])[];
}

/** One field: what it may be, and what it means. */
export interface Field {
  readonly shape: Shape;
  readonly about: string;
}

export type Fields = Readonly<Record<string, Field>>;

export const text = (about: string): Field => ({ shape: { kind: 'text' }, about });
export const number = (about: string): Field => ({ shape: { kind: 'number' }, about });
export const boolean = (about: string): Field => ({ shape: { kind: 'boolean' }, about });
export const oneOf = (choices: object, about: string): Field => ({
  shape: { kind: 'choice', choices: Object.values(choices) as string[] },
  about,
});
export const texts = (about: string): Field => ({ shape: { kind: 'list', of: { kind: 'text' } }, about });
export const textsByName = (about: string): Field => ({ shape: { kind: 'map', of: { kind: 'text' } }, about });
export const list = (of: Shape, about: string): Field => ({ shape: { kind: 'list', of }, about });
export const object = (shape: ObjectShape, about: string): Field => ({ shape, about });

/** An object with these fields and no others. */
export function fields(
  known: Fields,
  required: readonly string[] = [],
  rules: Pick<ObjectShape, 'some' | 'never'> = {},
): ObjectShape {
  return { kind: 'object', fields: known, required, ...rules };
}

/**
 * Holds a value against a shape.
 * @param where its path, '' for the whole file
 * @throws Error naming the first path that is wrong, what would work and what is there; of an unknown field the nearest one.
 */
export function assertShape(value: unknown, shape: Shape, where: string): void {
  if (!isOfKind(value, shape))
    throw new Error(`${where} must be ${expected(shape)}, got ${describe(value)}`.trimStart());
  switch (shape.kind) {
    case 'list':
      return (value as unknown[]).forEach((item, i) => assertShape(item, shape.of, `${where}[${i}]`));
    case 'map':
      return Object.entries(value as object).forEach(([name, item]) => assertShape(item, shape.of, `${where}.${name}`));
    case 'object':
      return assertFields(value as Record<string, unknown>, shape, where === '' ? '' : `${where}.`);
    case 'text':
    case 'number':
    case 'boolean':
    case 'choice':
      return;
  }
}

function assertFields(value: Record<string, unknown>, shape: ObjectShape, prefix: string): void {
  const known = Object.keys(shape.fields);
  for (const [name, item] of Object.entries(value)) {
    if (!Object.hasOwn(shape.fields, name)) {
      throw new Error(`${prefix}${name} is not a known field, ${nearestOf(name, known, prefix)}`);
    }
    assertShape(item, shape.fields[name]!.shape, `${prefix}${name}`);
  }
  const has = (name: string): boolean => Object.hasOwn(value, name);
  const missing = shape.required.find((name) => !has(name));
  if (missing !== undefined) throw new Error(`${prefix}${missing} is missing: ${shape.fields[missing]!.about}`);
  const where = prefix.replace(/\.$/, '');
  const both = shape.never?.find((pair) => pair.every(has));
  if (both !== undefined) throw new Error(`${where} has both ${both.join(' and ')}; give one of them`);
  if (shape.some !== undefined && !shape.some.some((set) => set.every(has))) {
    const ways = shape.some.map((set) => set.join(' and '));
    throw new Error(`${where} must have ${ways.slice(0, -1).join(', ')}, or ${ways.at(-1)}, got ${describe(value)}`);
  }
}

/** `replica` is nearer to `maxReplicas` than the letters that differ say. */
function nearestOf(name: string, known: readonly string[], prefix: string): string {
  const closest = nearest(name, known);
  if (mayBeSlip(name, closest)) return `the nearest one is ${prefix}${closest}`;
  const holding = known.filter((each) => each.toLowerCase().includes(name.toLowerCase()));
  if (holding.length <= 1) return `the nearest one is ${prefix}${holding[0] ?? closest}`;
  return `the nearest ones are ${holding.map((each) => `${prefix}${each}`).join(', ')}`;
}

function isOfKind(value: unknown, shape: Shape): boolean {
  switch (shape.kind) {
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'choice':
      return typeof value === 'string' && shape.choices.includes(value);
    case 'list':
      // A list is named as a whole where its entries are no objects, which can be named one by one.
      return Array.isArray(value) && (isNested(shape.of) || value.every((item) => isOfKind(item, shape.of)));
    case 'map':
      return isRecord(value);
    case 'object':
      return isRecord(value);
  }
}

function expected(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return 'a string';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'choice':
      return shape.choices.map((choice) => `'${choice}'`).join(' or ');
    case 'list':
      return `a list of ${isNested(shape.of) ? 'objects' : 'strings'}`;
    case 'map':
      return 'an object with a string for each name';
    case 'object':
      return shape.required.length === 0 ? 'an object' : `an object with ${shape.required.join(' and ')}`;
  }
}

function isNested({ kind }: Shape): boolean {
  return kind === 'object' || kind === 'map';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 100);
}
