/**
 * Values that exist only at deployment (a bucket's name, an image URI) pass through the plan's renderers by a type
 * parameter `S`: a CDK token is a `string`, a Pulumi value an `Output<string>`. Each engine brings its own way to join them.
 */
export interface LateBound<S> {
  concat(parts: readonly (string | S)[]): string | S;
}

/** Joins plain strings: the `concat` of CDK, whose tokens are strings, and of anything that runs by hand. */
export const PLAIN: LateBound<string> = { concat: (parts) => parts.join('') };

/** Marks a late-bound string inside a value that becomes JSON. */
export class JsonLeaf<S> {
  constructor(readonly value: string | S) {}
}

/** Marks late-bound text that is JSON itself, such as the digits of a whole number: it is written without quotes. */
export class JsonRaw<S> {
  constructor(readonly value: string | S) {}
}

/**
 * JSON text in parts, so that an engine can join it around values that are not known yet. A late-bound value is
 * quoted and not escaped: it must hold no quotation mark, backslash or control character, as URIs and names do not.
 */
export function jsonParts<S>(value: unknown): (string | S)[] {
  const parts: (string | S)[] = [];
  const write = (item: unknown): void => {
    if (item instanceof JsonLeaf) {
      if (typeof item.value === 'string') parts.push(JSON.stringify(item.value));
      else parts.push('"', item.value as S, '"');
    } else if (item instanceof JsonRaw) {
      parts.push(item.value as string | S);
    } else if (Array.isArray(item)) {
      parts.push('[');
      item.forEach((element, i) => {
        if (i > 0) parts.push(',');
        write(element);
      });
      parts.push(']');
    } else if (typeof item === 'object' && item !== null) {
      parts.push('{');
      Object.entries(item)
        .filter(([, field]) => field !== undefined)
        .forEach(([key, field], i) => {
          parts.push(`${i > 0 ? ',' : ''}${JSON.stringify(key)}:`);
          write(field);
        });
      parts.push('}');
    } else {
      parts.push(JSON.stringify(item));
    }
  };
  write(value);
  return mergeStrings(parts);
}

function mergeStrings<S>(parts: readonly (string | S)[]): (string | S)[] {
  const merged: (string | S)[] = [];
  for (const part of parts) {
    const last = merged[merged.length - 1];
    if (typeof part === 'string' && typeof last === 'string') merged[merged.length - 1] = last + part;
    else merged.push(part);
  }
  return merged;
}
