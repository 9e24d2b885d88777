/** What stands where a template refers to: parameters and pseudo-parameters by name, attributes as `Logical.Attribute`. */
export type Names = Readonly<Record<string, string>>;

/**
 * What CloudFormation makes of a value of a template: the functions that join and cut text, with these names for
 * whatever only a deployment knows. A name that is not given is an error, for a test would compare nonsense.
 */
export function evaluate(value: unknown, names: Names): any {
  if (Array.isArray(value)) return value.map((item) => evaluate(item, names));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && /^(Ref|Fn::\w+)$/.test(first[0])) {
    return evaluateFunction(first[0], first[1], names);
  }
  return Object.fromEntries(entries.map(([key, field]) => [key, evaluate(field, names)]));
}

function evaluateFunction(name: string, argument: unknown, names: Names): unknown {
  const find = (key: string): string => {
    if (names[key] === undefined) throw new Error(`the template refers to ${key}, and the test gives no value for it`);
    return names[key];
  };
  if (name === 'Ref') return find(argument as string);
  if (name === 'Fn::GetAtt') return find((argument as string[]).join('.'));
  if (name === 'Fn::Sub') return (argument as string).replaceAll(/\$\{([^}]+)\}/g, (_, key: string) => find(key));
  const [head, tail] = evaluate(argument, names) as [any, any];
  switch (name) {
    case 'Fn::Join':
      return (tail as string[]).join(head as string);
    case 'Fn::Split':
      return (tail as string).split(head as string);
    case 'Fn::Select':
      return (tail as string[])[Number(head)];
    default:
      throw new Error(`no test evaluates ${name}`);
  }
}
