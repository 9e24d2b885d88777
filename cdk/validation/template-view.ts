import type { CloudFormationResource, CloudFormationTemplate } from './finding';

export interface Resource extends CloudFormationResource {
  readonly id: string;
}

/** A template as rules look at it: resources by type, and what refers to what. */
export class TemplateView {
  private readonly byId: ReadonlyMap<string, Resource>;

  constructor(private readonly template: CloudFormationTemplate) {
    const resources = Object.entries(template.Resources ?? {}).filter(([, resource]) => isRecord(resource));
    this.byId = new Map(resources.map(([id, resource]) => [id, { ...resource, id }]));
  }

  all(type: string): readonly Resource[] {
    return [...this.byId.values()].filter((resource) => resource.Type === type);
  }

  /** Resources of a type that a value refers to, anywhere in it. */
  referred(value: unknown, type: string): readonly Resource[] {
    return [...idsIn(value)].flatMap((id) => {
      const resource = this.byId.get(id);
      return resource?.Type === type ? [resource] : [];
    });
  }

  /** Text a value has: its own, or the default of the parameter it refers to. @returns undefined for anything else */
  textOf(value: unknown): string | undefined {
    if (isRecord(value) && typeof value['Ref'] === 'string') {
      const parameter = this.template.Parameters?.[value['Ref']];
      return textOf(parameter?.Default);
    }
    return textOf(value);
  }

  /** Whether a resource is created after another: a chain of references and DependsOn leads there. */
  dependsOn(from: Resource, to: Resource): boolean {
    const seen = new Set<string>();
    const open = [from.id];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (id === to.id) return true;
      const resource = this.byId.get(id);
      if (resource === undefined || seen.has(id)) continue;
      seen.add(id);
      open.push(...[resource.DependsOn ?? []].flat(), ...idsIn(resource.Properties));
    }
    return false;
  }
}

/**
 * Every value at a path of properties. `*` stands for each entry of a list. Both branches of an `Fn::If` are looked at, and
 * what is absent or `AWS::NoValue` is left out. What lies below another intrinsic function is that function: it may be
 * anything, but it is not absent.
 */
export function valuesAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  return path.reduce<readonly unknown[]>((values, key) => values.flatMap((each) => step(each, key)), branchesOf(value));
}

/** Texts at a path; intrinsic functions are left out. */
export function textsAt(value: unknown, ...path: readonly string[]): readonly string[] {
  return valuesAt(value, ...path).flatMap((each) => textOf(each) ?? []);
}

/** Numbers at a path, also those written as text; intrinsic functions are left out. */
export function numbersAt(value: unknown, ...path: readonly string[]): readonly number[] {
  return valuesAt(value, ...path).flatMap((each) => numberOf(each) ?? []);
}

/** Whether something is at a path and all of it is this; an intrinsic function may be anything, so it counts as this. */
export function isEverywhere(expected: string | boolean, value: unknown, ...path: readonly string[]): boolean {
  const values = valuesAt(value, ...path);
  return values.length > 0 && values.every((each) => isIntrinsic(each) || String(each) === String(expected));
}

/** The readable parts of a text that is joined or substituted. A reference reads as nothing. */
export function readableText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(readableText).join('');
  if (!isRecord(value)) return '';
  const join = value['Fn::Join'];
  if (Array.isArray(join) && Array.isArray(join[1])) return join[1].map(readableText).join(readableText(join[0]));
  const sub = value['Fn::Sub'];
  if (sub !== undefined) return readableText(Array.isArray(sub) ? sub[0] : sub);
  if (value['Fn::Base64'] !== undefined) return readableText(value['Fn::Base64']);
  return '';
}

/** Logical ids that a value refers to by Ref, Fn::GetAtt or Fn::Sub. */
export function idsIn(value: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (Array.isArray(value)) for (const each of value) idsIn(each, found);
  if (!isRecord(value)) return found;
  for (const [key, each] of Object.entries(value)) {
    if (key === 'Ref' && typeof each === 'string') found.add(each);
    else if (key === 'Fn::GetAtt') found.add(String(Array.isArray(each) ? each[0] : each).split('.')[0]!);
    else if (key === 'Fn::Sub') addSubstituted(each, found);
    idsIn(each, found);
  }
  return found;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function addSubstituted(value: unknown, found: Set<string>): void {
  const text: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof text !== 'string') return;
  for (const [, name] of text.matchAll(/\$\{([A-Za-z0-9]+)(?:\.[^}]*)?\}/g)) found.add(name!);
}

function step(value: unknown, key: string): readonly unknown[] {
  if (isIntrinsic(value)) return [value];
  if (key === '*') return Array.isArray(value) ? value.flatMap(branchesOf) : [];
  return isRecord(value) && Object.hasOwn(value, key) ? branchesOf(value[key]) : [];
}

function isIntrinsic(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const [key, ...others] = Object.keys(value);
  return others.length === 0 && key !== undefined && (key === 'Ref' || key.startsWith('Fn::'));
}

function branchesOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!isRecord(value)) return [value];
  if (value['Ref'] === 'AWS::NoValue') return [];
  const choice = value['Fn::If'];
  return Array.isArray(choice) && choice.length === 3 ? choice.slice(1).flatMap(branchesOf) : [value];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}
