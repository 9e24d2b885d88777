/**
 * The text of a value inside a JSON document, as it was written: parsing and writing it again would round whole numbers of
 * 64 bits. Of keys that come twice the last one counts, as for `JSON.parse`.
 * @param text A document that `JSON.parse` takes.
 * @param path Keys of objects, from the outside in.
 * @returns undefined where there is no such value.
 */
export function rawJsonValue(text: string, path: readonly string[]): string | undefined {
  let value: string | undefined = text.trim();
  for (const key of path) {
    if (value === undefined) return undefined;
    value = member(value, key);
  }
  return value;
}

function member(object: string, wanted: string): string | undefined {
  if (!object.startsWith('{')) return undefined;
  let found: string | undefined;
  let at = skipSpace(object, 1);
  while (object[at] === '"') {
    const keyEnd = skipString(object, at);
    const key = JSON.parse(object.slice(at, keyEnd)) as string;
    const from = skipSpace(object, skipSpace(object, keyEnd) + 1);
    const to = skipValue(object, from);
    if (key === wanted) found = object.slice(from, to);
    const next = skipSpace(object, to);
    if (object[next] !== ',') break;
    at = skipSpace(object, next + 1);
  }
  return found;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

function skipString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function skipValue(text: string, from: number): number {
  if (text[from] === '"') return skipString(text, from);
  if (text[from] === '{' || text[from] === '[') return skipBrackets(text, from);
  let at = from;
  while (at < text.length && !/[\s,}\]]/.test(text[at]!)) at++;
  return at;
}

/** Past an object or a list: brackets are counted, but for those in strings. */
function skipBrackets(text: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    const character = text[at]!;
    if (character === '"') {
      at = skipString(text, at);
      continue;
    }
    if (character === '{' || character === '[') depth++;
    if (character === '}' || character === ']') depth--;
    at++;
  } while (depth > 0);
  return at;
}
