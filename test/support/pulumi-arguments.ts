import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A type as Pulumi's schema says it. */
interface TypeSpec {
  readonly type?: string;
  readonly plain?: true;
  readonly $ref?: string;
  readonly items?: TypeSpec;
  readonly additionalProperties?: TypeSpec;
}

interface ObjectSpec {
  readonly properties?: Readonly<Record<string, TypeSpec>>;
  readonly enum?: readonly unknown[];
}

interface Schema {
  readonly resources: Readonly<Record<string, { readonly inputProperties: Readonly<Record<string, TypeSpec>> }>>;
  readonly types: Readonly<Record<string, ObjectSpec>>;
}

/** One argument of a component, however deep: `tags`, `tags.any`, `reads.0.bucket.name`. */
export interface ArgumentSpec {
  /** Names, `0` in a list and `any` in a map. */
  readonly path: readonly string[];
  /** Whether it must be known while the program runs. */
  readonly isPlain: boolean;
  readonly type: string | undefined;
}

const file = path.resolve(__dirname, '../../pulumi/plugin/schema.json');
const schema = JSON.parse(readFileSync(file, 'utf8')) as Schema;

/** Type tokens of all components. */
export const COMPONENTS: readonly string[] = Object.keys(schema.resources);

/** Every argument of a component: what a new one is, the schema says first. */
export function argumentsOf(token: string): readonly ArgumentSpec[] {
  return below(schema.resources[token]!.inputProperties, []);
}

function below(properties: Readonly<Record<string, TypeSpec>>, where: readonly string[]): readonly ArgumentSpec[] {
  return Object.entries(properties).flatMap(([name, spec]) => atAndBelow(spec, [...where, name]));
}

function atAndBelow(spec: TypeSpec, where: readonly string[]): readonly ArgumentSpec[] {
  // Of a type that a component gives, too, the schema calls no field plain; what rights are called by must be all the same.
  const isPlain = spec.plain === true || where.at(-1) === 'label';
  const own = { path: where, isPlain, type: spec.type };
  if (!isPlain) return [own];
  const object = spec.$ref === undefined ? undefined : schema.types[spec.$ref.replace('#/types/', '')];
  if (object?.properties !== undefined) return [own, ...below(object.properties, where)];
  if (spec.items !== undefined) return [own, ...atAndBelow(spec.items, [...where, '0'])];
  if (spec.additionalProperties !== undefined)
    return [own, ...atAndBelow(spec.additionalProperties, [...where, 'any'])];
  return [own];
}

/** Arguments in which nothing is but one value. */
export function withValueAt(where: readonly string[], value: unknown): Record<string, unknown> {
  const made = where.reduceRight<unknown>((inner, name) => (name === '0' ? [inner] : { [name]: inner }), value);
  return made as Record<string, unknown>;
}
