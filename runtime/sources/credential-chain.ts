/** Keys that sign requests, as the AWS SDK takes them. */
export interface SigningKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they are to be asked for again; never without it. */
  readonly expiration?: Date;
}

/**
 * The keys of the first identity that has some, asked in this order. The one that worked is kept: a machine that once
 * answered for a role is not passed over because of one slow answer.
 * @throws Error with the reason of each identity when none has keys.
 */
export function credentialChain<K extends string>(
  order: readonly K[],
  ask: (kind: K) => Promise<SigningKeys>,
): () => Promise<SigningKeys> {
  let chosen: K | undefined;
  return async () => {
    if (chosen !== undefined) return ask(chosen);
    const reasons: string[] = [];
    for (const kind of order) {
      try {
        const keys = await ask(kind);
        chosen = kind;
        return keys;
      } catch (error) {
        reasons.push(`${kind}: ${(error as Error).message}`);
      }
    }
    throw new Error(`no credentials: ${reasons.join('; ') || 'the environment names no identity'}`);
  };
}
