const SHOWN = 3;

/** `'a', 'b', 'c' and 2 more`: names of a model may be many. */
export function listNames(tensors: readonly { readonly name: string }[]): string {
  const names = tensors.slice(0, SHOWN).map(({ name }) => `'${name}'`);
  const more = tensors.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
