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
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value);
    case 'object':
      return value === null ? 'null' : '{…}';
    case 'undefined':
      return 'nothing';
    default:
      return String(value);
  }
}
