import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';

/**
 * Refuses a value that only an update knows, or a secret, where the program decides by it what there is to make. Types say so
 * already; programs in JavaScript, and casts, get past them, and a preview would show something else than what is made.
 * @param late paths of arguments that may come late, with all that is in them; `*` for whatever stands in a list or a map.
 * @throws SpecError VALUE_NOT_PLAIN.
 */
export function assertPlain(args: object, late: readonly string[], path = ''): void {
  for (const [name, value] of Object.entries(args) as [string, unknown][]) {
    const below = late.flatMap((one) => pathsBelow(one, name));
    if (below.includes('')) continue;
    const where = Array.isArray(args) ? `${path}[${name}]` : `${path}${path === '' ? '' : '.'}${name}`;
    if (pulumi.Output.isInstance(value) || value instanceof Promise) {
      throw new SpecError(
        'VALUE_NOT_PLAIN',
        where,
        'must be known while the program runs and be no secret, got an output; give the value itself, as from the configuration of the stack',
      );
    }
    if (typeof value === 'object' && value !== null) assertPlain(value, below, where);
  }
}

/** What is left of a path behind a name that it begins with: nothing, where it ends there. */
function pathsBelow(path: string, name: string): readonly string[] {
  const dot = path.indexOf('.');
  const first = dot < 0 ? path : path.slice(0, dot);
  if (first !== name && first !== '*') return [];
  return [dot < 0 ? '' : path.slice(dot + 1)];
}
