import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonText } from '../../runtime/onnx/json-text';

/** Makes the exact parser run: the engine's own cannot read it. */
const EXACT = 'NaN';

test('keeps every digit of integers beyond 2^53', () => {
  expect(parseJsonText('[9007199254740993, -9223372036854775808, 18446744073709551615]')).toEqual([
    9007199254740993n,
    -9223372036854775808n,
    18446744073709551615n,
  ]);
  expect(parseJsonText('{"a":9007199254740993}')).toMatchObject({ a: 9007199254740993n });
  expect(parseJsonText('9007199254740993')).toBe(9007199254740993n);
});

test('numbers that a double holds stay numbers, however long they are written', () => {
  expect(parseJsonText('[1000000000000000, 0.10000000149011612, 12345678901234567890.5, 1e400]')).toEqual([
    1e15,
    0.10000000149011612,
    12345678901234567890.5,
    Infinity,
  ]);
  expect(parseJsonText(`[${'9'.repeat(400)}]`)).toEqual([Infinity]);
});

test('reads NaN and infinities as numbers, and as text inside strings', () => {
  expect(parseJsonText('[NaN, Infinity, -Infinity, "NaN", "9007199254740993"]')).toEqual([
    NaN,
    Infinity,
    -Infinity,
    'NaN',
    '9007199254740993',
  ]);
});

test('a key named __proto__ is a key like any other', () => {
  const object = parseJsonText('{"__proto__":{"polluted":NaN}}') as Record<string, unknown>;
  expect(Object.keys(object)).toEqual(['__proto__']);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

test('reads the same as JSON.parse', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'medium' }), fc.constantFrom('', ' ', '\n\t'), (text, space) => {
      const [value, marker] = parseJsonText(`[${space}${text}${space},${EXACT}]`) as [unknown, number];
      expect(marker).toBeNaN();
      // Objects come without a prototype, and whole numbers beyond 2^53 as bigint.
      const plain = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? Number(part) : part));
      expect(plain).toBe(JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 500 },
  );
});

test('refuses what JSON.parse refuses', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom('', '}', '"', '\\', '-', '01', '.', '\u0000'), (json, at, bad) => {
      const cut = at % (json.length + 1);
      const text = json.slice(0, cut) + bad + json.slice(cut + 1);
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const read = (): unknown => parseJsonText(`[${text},${EXACT}]`);
      if (isJson) read();
      else expect(read).toThrow(SyntaxError);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['[1 2,NaN]', "unexpected '2' in JSON at position 3"],
  ['{"a":NaN', 'unexpected end in JSON at position 8'],
  ['{a:NaN}', "unexpected 'a' in JSON at position 1"],
  ['["a,NaN]', 'unterminated string in JSON at position 1'],
  ['[NaN]]', "unexpected ']' in JSON at position 5"],
  ['[Nan,NaN]', "unexpected 'N' in JSON at position 1"],
])('says where %s is no JSON', (text, message) => {
  expect(() => parseJsonText(text)).toThrow(message);
});

test('refuses deep nesting instead of running out of stack', () => {
  expect(() => parseJsonText(`${'['.repeat(100_000)}NaN`)).toThrow('JSON nested deeper than 64 at position 65');
});
