/**
 * Eight hexadecimal digits that differ where texts do, as good as always (FNV-1a, 32 bits): for names that must change with
 * something long. It keeps no secret and proves nothing.
 */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of utf8(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function* utf8(text: string): Generator<number> {
  const escaped = encodeURIComponent(text);
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] === '%') {
      yield parseInt(escaped.slice(i + 1, i + 3), 16);
      i += 2;
    } else {
      yield escaped.charCodeAt(i);
    }
  }
}
