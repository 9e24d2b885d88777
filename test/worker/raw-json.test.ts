import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rawJsonValue } from '../../runtime/worker/raw-json';

test('whole numbers of 64 bits stay what they are', () => {
  const text = '{"input": {"json": {"data": [9007199254740993, -9223372036854775808]}}, "model": "m"}';
  expect(rawJsonValue(text, ['input', 'json'])).toBe('{"data": [9007199254740993, -9223372036854775808]}');
});

test('the last of two equal keys counts, however it is written', () => {
  expect(rawJsonValue('{"a": 1, "b": {"a": 2}, "\\u0061" : [3]}', ['a'])).toBe('[3]');
});

test('what is not there is not found, and brackets in strings are text', () => {
  expect(rawJsonValue('{"a": {"c": 1}}', ['a', 'b'])).toBeUndefined();
  expect(rawJsonValue('[1]', ['a'])).toBeUndefined();
  expect(rawJsonValue('{"a": 1}', ['a', 'b'])).toBeUndefined();
  expect(rawJsonValue('{"}{": "]\\"[", "a": "{\\\\"}', ['a'])).toBe('"{\\\\"');
});

test('of any document it finds what parsing finds', () => {
  const documents = fc.tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, '\t', ' \n'));
  fc.assert(
    fc.property(documents, ([document, space]) => {
      const text = JSON.stringify(document, undefined, space);
      for (const [key, value] of Object.entries(document)) {
        expect(JSON.parse(rawJsonValue(text, [key])!)).toEqual(JSON.parse(JSON.stringify(value)));
      }
    }),
  );
});
