/** A protocol buffer message in its JSON form. */
interface Message {
  readonly [field: string]: Value | readonly Value[];
}
type Value = string | number | boolean | Message;

/** Fields that are maps in Triton's message: an object of them is written as one `{ key value }` message per entry. */
const MAPS = new Set(['parameters', 'metric_tags', 'priority_queue_policy', 'inputs']);
/** Enum values are the only strings that are written without quotes. */
const ENUM = /^(?:TYPE|KIND|FORMAT)_[A-Z0-9]+$|^(?:REJECT|DELAY)$/;

/**
 * Writes a message in text format, in all the ways that people do; `style` decides between them with a number per place.
 */
export function writePbtxt(message: object, style: () => number): string {
  return Object.entries(message as Message)
    .map(([field, value]) => writeField(field, value, style))
    .join(style() % 2 === 0 ? '\n' : ' ');
}

function writeField(field: string, value: Value | readonly Value[], style: () => number): string {
  const items = MAPS.has(field) ? entriesOf(value as Message, field) : [value].flat();
  const end = ['', ',', ';', ' # comment "{\n'][style() % 4]!;
  if (!Array.isArray(value) && !MAPS.has(field))
    return `${field}${colon(items[0]!, style)}${write(items[0]!, style)}${end}`;
  if (items.length === 0) return style() % 2 === 0 ? `${field}: []` : '';
  if (style() % 2 === 0) return `${field}: [ ${items.map((item) => write(item, style)).join(' , ')} ]${end}`;
  return items.map((item) => `${field}${colon(item, style)}${write(item, style)}${end}`).join(' ');
}

function entriesOf(map: Message, field: string): readonly Value[] {
  return Object.entries(map).map(([key, value]) => ({
    key: field === 'priority_queue_policy' ? Number(key) : key,
    value: value as Value,
  }));
}

function colon(value: Value, style: () => number): string {
  return typeof value === 'object' && style() % 2 === 0 ? ' ' : ': ';
}

function write(value: Value, style: () => number): string {
  if (typeof value === 'object') {
    const inner = writePbtxt(value, style);
    return style() % 3 === 0 ? `< ${inner}\n>` : `{ ${inner}\n}`;
  }
  if (typeof value === 'boolean')
    return [value ? 'true' : 'false', value ? 'True' : 'f', value ? '1' : '0'][style() % 3]!;
  if (typeof value === 'number') return value > 0 && style() % 5 === 0 ? `0x${value.toString(16)}` : String(value);
  return ENUM.test(value) ? value : writeString(value, style);
}

function writeString(text: string, style: () => number): string {
  const quote = style() % 2 === 0 ? '"' : "'";
  const split = style() % 4 === 0 ? Math.floor([...text].length / 2) : 0;
  const parts = split === 0 ? [text] : [[...text].slice(0, split).join(''), [...text].slice(split).join('')];
  return parts.map((part) => `${quote}${escape(part, style)}${quote}`).join(' ');
}

function escape(text: string, style: () => number): string {
  const asBytes = style() % 2 === 0;
  return [...Buffer.from(text)].every(
    (byte) => byte >= 0x20 && byte < 0x7f && !/["'\\]/.test(String.fromCharCode(byte)),
  )
    ? text
    : [...(asBytes ? Buffer.from(text) : [...text])].map((unit) => escapeUnit(unit)).join('');
}

function escapeUnit(unit: number | string): string {
  if (typeof unit === 'number') return `\\${unit.toString(8).padStart(3, '0')}`;
  const codePoint = unit.codePointAt(0)!;
  if (codePoint > 0xffff) return `\\U${codePoint.toString(16).padStart(8, '0')}`;
  return `\\u${codePoint.toString(16).padStart(4, '0')}`;
}
