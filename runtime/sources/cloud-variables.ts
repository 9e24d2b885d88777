/** Variables by name: what a source of models decides by, as an argument, so that tests can pass their own. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Where the tools of each cloud look for identities, endpoints and static keys. SDKs look there by themselves. */
export function cloudVariables(): Variables {
  return process.env;
}
