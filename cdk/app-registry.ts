import type { IConstruct } from 'constructs';

/** What may be taken once per app: kept on the root, so that asking costs nothing however many constructs there are. */
export type ClaimKind = 'service' | 'listenerPriority' | 'registry' | 'platform';

// A key of the global registry, so that two installed copies of this package see each other's claims.
const REGISTRY = Symbol.for('slipway.cdk.registry');

type Claims = Map<string, IConstruct>;

/**
 * Takes a name of a kind for a construct. Whoever finds it taken reports it through `addValidation`: constructors are
 * called in any order, and the second one is not always the one to blame.
 * @returns the construct that has the name already, or undefined when it is the owner's now
 */
export function claim(owner: IConstruct, kind: ClaimKind, key: string): IConstruct | undefined {
  const claims = claimsOf(owner.node.root);
  const name = nameOf(kind, key);
  const earlier = claims.get(name);
  if (earlier === undefined) claims.set(name, owner);
  return earlier === owner ? undefined : earlier;
}

/** The construct that has a name of a kind, where one has taken it yet. */
export function ownerOf(scope: IConstruct, kind: ClaimKind, key: string): IConstruct | undefined {
  return claimsOf(scope.node.root).get(nameOf(kind, key));
}

function nameOf(kind: ClaimKind, key: string): string {
  return `${kind}\n${key}`;
}

function claimsOf(root: IConstruct & { [REGISTRY]?: Claims }): Claims {
  if (root[REGISTRY] === undefined) Object.defineProperty(root, REGISTRY, { value: new Map() });
  return root[REGISTRY]!;
}
