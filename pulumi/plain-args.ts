import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';

/**
 * Refuses a value that only an update knows, or a secret, where the program decides by it what there is to make. Types say so
 * already; programs in JavaScript, and casts, get past them, and a preview would show something else than what is made.
 * @param late names of arguments that may come late, with all that is in them.
 * @throws SpecError VALUE_NOT_PLAIN.
 */
export function assertPlain(args: object, late: ReadonlySet<string>, path = ''): void {
  for (const [name, value] of Object.entries(args) as [string, unknown][]) {
    if (late.has(name)) continue;
    const where = Array.isArray(args) ? `${path}[${name}]` : `${path}${path === '' ? '' : '.'}${name}`;
    if (pulumi.Output.isInstance(value) || value instanceof Promise) {
      throw new SpecError(
        'VALUE_NOT_PLAIN',
        where,
        'must be known while the program runs and be no secret, got an output; give the value itself, as from the configuration of the stack',
      );
    }
    if (typeof value === 'object' && value !== null) assertPlain(value, late, where);
  }
}
