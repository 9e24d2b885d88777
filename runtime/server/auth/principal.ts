import type { RouteGroup } from '../router';

/** What a caller may be let into; a route of the group `public` asks nobody. */
export const GROUPS = ['infer', 'metadata', 'admin'] as const;
export type Group = (typeof GROUPS)[number];

/** Who calls. */
export interface Principal {
  /** Of the key, the token's subject or the certificate's common name; empty when nobody was asked. */
  readonly name: string;
  /** Whom the queue is shared fairly between: the name, unless the key or token says another. */
  readonly tenant: string;
  readonly groups: ReadonlySet<Group>;
}

/** Longer names are cut: they go to the log and into the table of tenants. */
export const MAX_NAME_LENGTH = 128;

export const ANONYMOUS: Principal = { name: '', tenant: '', groups: new Set(GROUPS) };

export function isGroup(value: unknown): value is Group {
  return (GROUPS as readonly unknown[]).includes(value);
}

export function mayCall(principal: Principal, group: RouteGroup): boolean {
  return group === 'public' || principal.groups.has(group);
}
