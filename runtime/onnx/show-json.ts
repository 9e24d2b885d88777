const MAX_TEXT = 40;
const MAX_ELEMENTS = 8;

/**
 * A JSON value for an error message: short, and read only one level deep, so that neither a huge nor a deeply nested
 * value costs anything to refuse.
 */
export function showJson(value: unknown): string {
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_ELEMENTS).map((element) => (Array.isArray(element) ? '[…]' : showJson(element)));
    return `[${shown.join(',')}${value.length > MAX_ELEMENTS ? ',…' : ''}]`;
  }
  if (typeof value === 'string') {
    return JSON.stringify(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value);
  }
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return typeof value === 'object' && value !== null ? '{…}' : JSON.stringify(value);
}
