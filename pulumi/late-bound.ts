import * as pulumi from '@pulumi/pulumi';
import type { LateBound } from '../runtime/spec';

/** A string that may be known only at deployment, as the plan's renderers take it. */
export type LateString = string | pulumi.Output<string>;

/** How Pulumi joins late-bound strings. What is plain stays plain, so a preview shows as much as can be known. */
export const OUTPUTS: LateBound<pulumi.Output<string>> = {
  concat: (parts) => (parts.every((part) => typeof part === 'string') ? parts.join('') : pulumi.concat(...parts)),
};

export function lateString(input: pulumi.Input<string>): LateString {
  return typeof input === 'string' ? input : pulumi.output(input);
}

export function lateStrings(inputs: { readonly [key: string]: pulumi.Input<string> }): Record<string, LateString> {
  return Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, lateString(input)]));
}
