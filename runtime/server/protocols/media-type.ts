/** What a `Content-Type` says. */
export interface MediaType {
  /** In lower case, without parameters; empty when nothing is said. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export function parseMediaType(header: string | undefined): MediaType {
  const [type = '', ...rest] = (header ?? '').split(';').map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const at = part.indexOf('=');
    if (at > 0) parameters.set(part.slice(0, at).toLowerCase(), part.slice(at + 1).replace(/^"(.*)"$/, '$1'));
  }
  return { type: type.toLowerCase(), parameters };
}

/**
 * The first of the types on offer that an `Accept` header likes best; the first of all when it has no preference.
 * @returns undefined when none will do.
 */
export function chooseMediaType<T extends string>(accept: string | undefined, offered: readonly T[]): T | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0];
  const ranges = accept.split(',').map((range) => {
    const { type, parameters } = parseMediaType(range);
    return { type, quality: Number(parameters.get('q') ?? 1) };
  });
  let best: { readonly type: T; readonly quality: number } | undefined;
  for (const type of offered) {
    // The most specific range counts: `text/csv` before `text/*` before `*/*`.
    const range = [type, `${type.split('/')[0]}/*`, '*/*']
      .map((wanted) => ranges.find((candidate) => candidate.type === wanted))
      .find((candidate) => candidate !== undefined);
    if (range !== undefined && range.quality > (best?.quality ?? 0)) best = { type, quality: range.quality };
  }
  return best?.type;
}
