import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';

/** Something that rights are given on, or to. */
export interface Grantable {
  /** What the names of rights hold; one label is one thing. */
  readonly label?: string;
  readonly id: pulumi.Input<string>;
  /** Where the author said it, for messages. */
  readonly path: string;
}

/** All that a program says about one thing. */
export interface GrantGroup<T extends Grantable> {
  /** What the name of the right ends in: `/<label>`, which no counted name had, or nothing for the one thing without a label. */
  readonly suffix: string;
  readonly id: pulumi.Output<string>;
  readonly members: readonly [T, ...T[]];
}

/**
 * Gathers what is said about the same things, so that each gets one right, called by its label. Rights that are counted
 * would change places when one is put before the others, and a cloud refuses the second of two equal rights, or takes both away
 * with the first.
 * @throws SpecError NAME_TAKEN where two things have the same label or several have none.
 */
export function groupGrants<T extends Grantable>(things: readonly T[]): readonly GrantGroup<T>[] {
  const groups = new Map<unknown, [T, ...T[]]>();
  for (const thing of things) {
    const key = thing.label ?? thing.id;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [thing]);
    else group.push(thing);
  }
  const [, second] = [...groups.values()].filter(([{ label }]) => label === undefined);
  if (second !== undefined) throw unlabelled(second[0]);
  return [...groups.values()].map((members) => {
    const [{ label }] = members;
    return { suffix: label === undefined ? '' : `/${label}`, id: oneIdOf(members), members };
  });
}

/** Ids that are plain are compared at once, others when they are known. */
function oneIdOf<T extends Grantable>(members: readonly [T, ...T[]]): pulumi.Output<string> {
  const [first, ...others] = members;
  for (const other of others) {
    if (typeof first.id === 'string' && typeof other.id === 'string') assertSame(first.id, other.id, other);
  }
  const different = others.filter(({ id }) => id !== first.id);
  return pulumi.all([first.id, ...different.map(({ id }) => id)]).apply(([id, ...rest]) => {
    for (const [i, another] of rest.entries()) {
      try {
        assertSame(id!, another, different[i]!);
      } catch (error) {
        throw new pulumi.RunError((error as SpecError).message);
      }
    }
    return id!;
  });
}

function assertSame(one: string, another: string, { label, path }: Grantable): void {
  if (one === another) return;
  throw new SpecError(
    'NAME_TAKEN',
    `${path}.label`,
    `rights are called by it, and '${label}' is already another one, ${one}, got it with ${another}; give a copy of these facts another label: { ...facts, label: '…' }`,
  );
}

function unlabelled({ path }: Grantable): SpecError {
  return new SpecError(
    'NAME_TAKEN',
    `${path}.label`,
    "must be given for all but one, got several without: rights are called by it, and else each would take another's place when one is added; { ...facts, label: '…' }",
  );
}
