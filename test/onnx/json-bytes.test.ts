import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonBytes } from '../../runtime/onnx/json-bytes';
import { NumberList, withoutNumberLists } from '../../runtime/onnx/json-numbers';
import { parseJsonText } from '../../runtime/onnx/json-text';
import { scanJsonNumbers } from '../../runtime/onnx/scan-json-numbers';
import { tensorDataFromJson } from '../../runtime/onnx/tensor-json';
import { elementCount } from '../../runtime/onnx/tensor-encoding';
import type { Datatype } from '../../runtime/spec/datatypes';

/** Makes a text long enough for the reader of bytes. */
const LONG = `"${'x'.repeat(1_100)}"`;

function parse(text: string): unknown {
  return parseJsonBytes(Buffer.from(text));
}

/** Comparable: a bigint is not what a number is, nor -0 what 0 is. */
function show(value: unknown): string {
  return JSON.stringify(withNullPrototypesGone(value), (_, part: unknown) => {
    if (typeof part === 'bigint') return `bigint ${part}`;
    return typeof part === 'number' && (!Number.isFinite(part) || Object.is(part, -0))
      ? `number ${part === 0 ? '-0' : part}`
      : part;
  });
}

function withNullPrototypesGone(value: unknown): unknown {
  const plain = withoutNumberLists(value);
  if (Array.isArray(plain)) return plain.map(withNullPrototypesGone);
  if (typeof plain !== 'object' || plain === null) return plain;
  return Object.entries(plain).map(([key, part]) => [key, withNullPrototypesGone(part)]);
}

function outcome(read: () => unknown): string {
  try {
    return show(read());
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

const digits = fc.stringMatching(/^[0-9]{1,25}$/);
/** Numbers as text, valid and nearly so. */
const numberText = fc.oneof(
  fc.double().map(String),
  fc.float().map(String),
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.nat({ max: 999 }),
      digits,
      fc.constantFrom('', 'e-3', 'E+5', 'e300', 'e-320', 'e22', 'e-22'),
    )
    .map(([sign, whole, fraction, exponent]) => `${sign}${whole}.${fraction}${exponent}`),
  fc.tuple(digits, fc.constantFrom('', '.', 'e', 'e+', '.5', '-', '0x1')).map(([whole, rest]) => whole + rest),
  fc.constantFrom(
    'NaN',
    'Infinity',
    '-Infinity',
    '-0',
    '0',
    '-0.0',
    '0e5',
    '1e23',
    '9007199254740993',
    '-NaN',
    '+1',
    '00',
    '-',
    '1.',
    '.5',
    'true',
    'null',
    'Nan',
  ),
);
const space = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\r\n');
const listText = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(
      fc.tuple(space, item, space).map((parts) => parts.join('')),
      { maxLength: 50 },
    )
    .map((items) => `[${items.join(',')}]`);
const validNumber = numberText.filter((text) => /^(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|NaN|-?Infinity)$/.test(text));
const numbersText = fc.oneof(listText(validNumber), listText(listText(validNumber)), listText(numberText));

test('reads lists of numbers as the exact reader of text does, whatever is in them', () => {
  fc.assert(
    fc.property(numbersText, (numbers) => {
      const text = `{"data":${numbers},"more":${LONG}}`;
      expect(outcome(() => parse(text))).toBe(outcome(() => parseJsonText(text)));
    }),
    { numRuns: 3_000 },
  );
});

test('lists longer than what is read at a time come out the same, wherever they are cut and however far apart', () => {
  const gap = fc.oneof(
    { weight: 30, arbitrary: space },
    { weight: 1, arbitrary: fc.nat({ max: 120 }).map((n) => ' '.repeat(n)) },
  );
  const items = fc.array(fc.tuple(gap, validNumber, gap), { minLength: 20, maxLength: 60 });
  fc.assert(
    fc.property(fc.array(items, { minLength: 1, maxLength: 4 }), fc.nat({ max: 80 }), (pieces, shift) => {
      const piece = pieces.map((list) => list.map((parts) => parts.join('')).join(',')).join(',');
      const text = `${' '.repeat(shift)}[${Array.from({ length: Math.ceil(150_000 / piece.length) }, () => piece).join(',')}]`;
      const { list, end } = scanJsonNumbers(Buffer.from(`${text} `), shift, false)!;
      expect(end).toBe(text.length);
      const expected = parseJsonText(text) as (number | bigint)[];
      expect(list.values).toEqual(Float64Array.from(expected, Number));
      for (const [i, value] of expected.entries()) {
        if (typeof value === 'bigint') expect(list.exact!.get(i)).toBe(value);
      }
    }),
    { numRuns: 40 },
  );
});

test('reads every double and every float back bit by bit', () => {
  const bits = fc.oneof(
    fc
      .bigInt({ min: 0n, max: 2n ** 64n - 1n })
      .map((pattern) => new Float64Array(BigUint64Array.of(pattern).buffer)[0]!),
    fc.double({ min: -1e6, max: 1e6 }),
    fc.float({ min: -100, max: 100 }),
    fc.integer({ min: -1_000_000, max: 1_000_000 }).map((whole) => whole / 1_000),
  );
  fc.assert(
    fc.property(fc.array(bits, { minLength: 40, maxLength: 200 }), (values) => {
      const text = `[${values.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join(', ')}]`;
      const { list } = scanJsonNumbers(Buffer.from(text), 0, false)!;
      expect(list.values).toEqual(Float64Array.from(values));
    }),
    { numRuns: 1_000 },
  );
});

test('decimal texts near the middle of two doubles are rounded as the engine rounds them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 }), fc.integer({ min: -4, max: 4 })), {
        minLength: 1,
        maxLength: 50,
      }),
      (middles) => {
        // Half a unit beyond a double of 54 bits, as exact decimals with 17 to 19 digits, and their neighbours.
        const texts = middles.flatMap(([high, offset]) => {
          const whole = BigInt(high) * 2n ** 23n * 2n + 1n + BigInt(offset);
          return [`${whole}.0`, `${whole.toString().slice(0, 3)}.${whole.toString().slice(3)}`, `0.${whole}`];
        });
        const { list } = scanJsonNumbers(Buffer.from(`[${texts.join(',')}]`), 0, false)!;
        expect(list.values).toEqual(Float64Array.from(texts, Number));
      },
    ),
    { numRuns: 1_000 },
  );
});

/** A double from 2^-30 to 10, times 10^100. */
function decimalDigits(value: number): bigint {
  const [whole, behind] = value.toFixed(100).split('.') as [string, string];
  return BigInt(whole + behind);
}

/** The next double further from zero. */
function nextDouble(value: number): number {
  const bits = BigUint64Array.from([0n]);
  const doubles = new Float64Array(bits.buffer);
  doubles[0] = value;
  bits[0]! += 1n;
  return doubles[0];
}

test('fractions near a double or the middle of two are rounded as the engine rounds them, however many digits are given', () => {
  const double = fc.double({ min: 2 ** -30, max: 10, maxExcluded: true, noNaN: true });
  const place = fc.constantFrom<'double' | 'middle'>('double', 'middle');
  // Up to eighteen digits behind one before the point are read in one way, all others in another.
  const written = fc.tuple(double, place, fc.integer({ min: 12, max: 24 }), fc.integer({ min: -2, max: 2 }));
  fc.assert(
    fc.property(fc.array(written, { minLength: 20, maxLength: 60 }), fc.constantFrom('', '-'), (numbers, sign) => {
      const texts = numbers.map(([value, where, count, offset]) => {
        const twice = decimalDigits(value) + decimalDigits(where === 'middle' ? nextDouble(value) : value);
        const cut = twice / 2n / 10n ** BigInt(100 - count) + BigInt(offset);
        const shown = cut.toString().padStart(count + 1, '0');
        return `${sign}${shown.slice(0, -count)}.${shown.slice(-count)}`;
      });
      const { list } = scanJsonNumbers(Buffer.from(`[${texts.join(',')}]`), 0, false)!;
      expect(list.values).toEqual(Float64Array.from(texts, Number));
    }),
    { numRuns: 1_500 },
  );
});

test('every count of digits on either side of the point comes out as the engine has it, to the end of the text', () => {
  const wholes = ['0', '7', '12', '255', '65535', '1234567', '12345678', '123456789', '9007199254740993'];
  const fractions = Array.from({ length: 25 }, (_, count) => '98765432109876543210987654'.slice(0, count));
  const texts = wholes.flatMap((whole) =>
    fractions.flatMap((fraction) => ['', '-'].map((sign) => `${sign}${whole}${fraction && `.${fraction}`}`)),
  );
  const zeros = fractions.slice(1).map((fraction) => `-0.${fraction.replaceAll(/\d/g, '0')}`);
  for (const separator of [',', ', ', ' ,\n\t', ',  ']) {
    const { list } = scanJsonNumbers(Buffer.from(`[${[...texts, ...zeros].join(separator)}]`), 0, false)!;
    expect(list.values).toEqual(Float64Array.from([...texts, ...zeros], Number));
    for (const [i, value] of list.values.entries()) {
      if (!Number.isSafeInteger(value) && Number.isInteger(value) && !texts[i]!.includes('.')) {
        expect(list.exact!.get(i)).toBe(BigInt(texts[i]!));
      }
    }
  }
});

test('what is nearly a number is refused in the words of the exact reader, wherever in a long list it stands', () => {
  const nearly = [
    '00',
    '01',
    '-01.5',
    '01.5',
    '+1',
    '1.',
    '-1.',
    '.5',
    '-.5',
    '-',
    '--1',
    '1-2',
    '1.2.3',
    '1..2',
    '1/2',
  ];
  const more = [
    '0/5',
    '0.5/',
    '0.25x',
    '1e',
    '1e+',
    '1.5e-',
    '0x10',
    '0,5,',
    '1 2',
    '0.5 0.5',
    '\u0001',
    '0\u00005',
    'nan',
  ];
  for (const text of [...nearly, ...more, '0.12345678901234567.8', '-0.1234-5', '12345678.', '0.;', '5:']) {
    for (const place of [0, 15, 20, 99]) {
      const items = Array.from({ length: 100 }, (_, i) => (i === place ? text : '0.27272728085517883'));
      const json = `{"data":[${items.join(',')}],"more":${LONG}}`;
      expect(outcome(() => parse(json))).toBe(outcome(() => parseJsonText(json)));
      expect(outcome(() => parse(json))).toMatch(/^SyntaxError/);
    }
  }
});

test('reads any JSON as the exact reader of text does', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'medium', maxDepth: 6 }), space, (json, blank) => {
      const text = `[${blank}${json}${blank},${LONG}]`;
      expect(outcome(() => parse(text))).toBe(outcome(() => parseJsonText(text)));
    }),
    { numRuns: 1_000 },
  );
});

test('refuses broken JSON in the words of the exact reader of text', () => {
  const bad = fc.constantFrom(
    '',
    '}',
    ']',
    '[',
    '"',
    '\\',
    '-',
    '01',
    '.',
    ',',
    ',,',
    ':',
    '\u0001',
    'e',
    ' 1',
    '\u00e9',
  );
  fc.assert(
    fc.property(fc.json(), fc.nat(), bad, fc.boolean(), (json, at, piece, isFirst) => {
      const cut = at % (json.length + 1);
      const broken = json.slice(0, cut) + piece + json.slice(cut + 1);
      const text = isFirst ? `{"a":${broken},"b":${LONG}}` : `{"b":${LONG},"a":${broken}}`;
      expect(outcome(() => parse(text))).toBe(outcome(() => parseJsonText(text)));
    }),
    { numRuns: 2_000 },
  );
});

test('tensors come out the same, or are refused in the same words, whichever reader has read them', () => {
  const datatype = fc.constantFrom<Datatype>(
    'BOOL',
    'UINT8',
    'INT8',
    'UINT16',
    'INT16',
    'UINT32',
    'INT32',
    'INT64',
    'UINT64',
    'FP16',
    'FP32',
    'FP64',
    'BYTES',
  );
  const element = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 1 }).map(String) },
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 100 }).map(String) },
    { weight: 1, arbitrary: validNumber },
  );
  const shape = fc.constantFrom([40], [4, 10], [2, 2, 10], [1, 40], [40, 1]);
  fc.assert(
    fc.property(
      datatype,
      shape,
      fc.boolean(),
      fc.array(element, { minLength: 40, maxLength: 41 }),
      (type, sizes, isNested, elements) => {
        const nest = (level: number, from: number): string => {
          const inner = elementCount(sizes.slice(level + 1));
          if (level === sizes.length - 1) return `[${elements.slice(from, from + sizes[level]!).join(',')}]`;
          return `[${Array.from({ length: sizes[level]! }, (_, i) => nest(level + 1, from + i * inner)).join(',')}]`;
        };
        const text = `[${isNested ? nest(0, 0) : `[${elements.join(',')}]`},${LONG}]`;
        const read = (parser: (text: string) => unknown): string => {
          const [data] = parser(text) as unknown[];
          return outcome(() => Array.from(tensorDataFromJson(type, sizes, data) as ArrayLike<unknown>));
        };
        expect(read(parse)).toBe(read(parseJsonText));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('numbers in long lists are kept together with the lengths of the lists', () => {
  const row = Array.from({ length: 20 }, (_, i) => i - 0.5);
  const { rows } = parse(JSON.stringify({ rows: [row, row, row], pad: LONG })) as { rows: NumberList };
  expect(rows).toBeInstanceOf(NumberList);
  expect(rows.dims).toEqual([3, 20]);
  expect(rows.values).toEqual(Float64Array.from([...row, ...row, ...row]));
});

test('bytes that are not UTF-8 are refused, and a byte order mark is skipped', () => {
  expect(() => parseJsonBytes(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('not UTF-8');
  expect(parseJsonBytes(Buffer.from('\ufeff[1]'))).toEqual([1]);
  expect(parseJsonBytes(Buffer.from(`\ufeff["é😀",${LONG}]`))).toMatchObject({ 0: 'é😀' });
});

test('deep nesting and nothing but brackets are read or refused without running out of stack or time', () => {
  const depth = 500_000;
  expect(() => parse('['.repeat(depth))).toThrow(SyntaxError);
  expect(() => parse(`${'[1,'.repeat(depth)}NaN`)).toThrow(SyntaxError);
  expect(parse(`[${'[],'.repeat(depth)}1]`)).toHaveLength(depth + 1);
});
