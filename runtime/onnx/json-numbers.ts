import { MAX_JSON_DEPTH } from './json-text';

/**
 * A JSON list that holds numbers only, or lists of such lists that are all of one length: a tensor as JSON has it, without
 * an object for each of its elements.
 */
export class NumberList {
  constructor(
    /** Lengths, the outermost list's first. */
    readonly dims: readonly number[],
    /** All numbers in row-major order. */
    readonly values: Float64Array,
    /** Whole numbers beyond 2^53, which `values` has rounded, by their place in it. */
    readonly exact: ReadonlyMap<number, bigint> | undefined,
  ) {}

  /** All numbers in row-major order, as `parseJsonText` gives them. */
  toElements(): (number | bigint)[] {
    return Array.from(this.values, (value, i) => this.exact?.get(i) ?? value);
  }

  /** The same as lists of JavaScript, as `parseJsonText` gives them. */
  toLists(): unknown[] {
    const { dims } = this;
    const elements = this.toElements();
    let at = 0;
    const build = (level: number): unknown[] => {
      if (level < dims.length - 1) return Array.from({ length: dims[level]! }, () => build(level + 1));
      at += dims[level]!;
      return elements.slice(at - dims[level]!, at);
    };
    return build(0);
  }
}

/** A list that `parseJsonBytes` gave as `parseJsonText` would have given it; lists in objects stay as they are. */
export function withoutNumberLists(value: unknown, depth = 0): unknown {
  if (value instanceof NumberList) return value.toLists();
  const isList = Array.isArray(value) && depth < MAX_JSON_DEPTH;
  if (!isList || !value.some((part) => typeof part === 'object')) return value;
  return value.map((part) => withoutNumberLists(part, depth + 1));
}
