import type { Template } from 'aws-cdk-lib/assertions';

/** What each resource of a template needs, itself or through others: CloudFormation deletes it before all of them. */
export type Needs = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Reads what CloudFormation reads: `DependsOn`, `Ref`, `Fn::GetAtt`, and the names in `Fn::Sub`.
 * @throws Error where resources wait for each other in a circle, which no deployment survives.
 */
export function needsOf(template: Template): Needs {
  const resources = template.toJSON().Resources as Record<
    string,
    { DependsOn?: string | string[]; Properties?: unknown }
  >;
  const direct = new Map(
    Object.entries(resources).map(([id, { DependsOn = [], Properties }]) => [
      id,
      [...new Set([DependsOn, ...namesIn(Properties)].flat())].filter((name) => name in resources && name !== id),
    ]),
  );
  const known = new Map<string, ReadonlySet<string>>();
  const visit = (id: string, path: readonly string[]): ReadonlySet<string> => {
    if (path.includes(id)) throw new Error(`a circle: ${[...path, id].join(' → ')}`);
    const earlier = known.get(id);
    if (earlier !== undefined) return earlier;
    const needs = new Set<string>();
    for (const name of direct.get(id)!) {
      needs.add(name);
      for (const further of visit(name, [...path, id])) needs.add(further);
    }
    known.set(id, needs);
    return needs;
  };
  for (const id of direct.keys()) visit(id, []);
  return known;
}

function namesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(namesIn);
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === 'Ref') return [String(inner)];
    if (key === 'Fn::GetAtt') return [Array.isArray(inner) ? String(inner[0]) : String(inner).split('.')[0]!];
    if (key === 'Fn::Sub') {
      const [text, ...values] = Array.isArray(inner) ? (inner as readonly unknown[]) : [inner];
      const names = [...String(text).matchAll(/\$\{([^!.}]+)/g)].map(([, name]) => name!);
      return [...names, ...values.flatMap(namesIn)];
    }
    return namesIn(inner);
  });
}
