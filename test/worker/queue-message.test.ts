import { expect, test } from 'vitest';
import { MalformedMessageError, parseQueueMessage } from '../../runtime/worker/queue-message';

const VALID = { model: 'digits', input: { json: { inputs: [] } } };
const parse = (fields: unknown): unknown => parseQueueMessage(JSON.stringify(fields), 'fallback-id');

test('a message names a model and brings its input, or says where that lies', () => {
  expect(parse(VALID)).toEqual({ id: 'fallback-id', model: 'digits', input: { json: '{"inputs":[]}' } });
  expect(
    parse({
      model: 'digits',
      version: 3,
      id: 'order-17.a_b',
      input: { uri: 's3://team-inputs/a b/ü.bin' },
      contentType: 'application/octet-stream',
      inferenceHeaderLength: 120,
    }),
  ).toEqual({
    model: 'digits',
    version: 3,
    id: 'order-17.a_b',
    input: { uri: 's3://team-inputs/a b/ü.bin' },
    contentType: 'application/octet-stream',
    inferenceHeaderLength: 120,
  });
});

test.each([
  ['{', 'is no JSON'],
  ['[]', 'the message must be an object'],
  [JSON.stringify({ ...VALID, inputs: [] }), 'has 1 unknown fields; known: model, version, input'],
])('%s is refused', (text, reason) => {
  expect(() => parseQueueMessage(text, 'id')).toThrow(reason);
  expect(() => parseQueueMessage(text, 'id')).toThrow(MalformedMessageError);
});

test.each(['../../other', 'a/b', '.', '..', '.hidden', '', 'a'.repeat(129), 'a\nb', 'ü', 7, null])(
  'what would leave the place of results or of the model is no name: %j',
  (name) => {
    expect(() => parse({ ...VALID, id: name })).toThrow('id must be');
    expect(() => parse({ ...VALID, model: name })).toThrow('model must be');
  },
);

test.each([0, 1.5, -1, '3', 2 ** 60])('%j is no version', (version) => {
  expect(() => parse({ ...VALID, version })).toThrow('version must be');
});

test.each(['text', 'a/b\r\nX-Evil: 1', 'a/b; boundary="x"', 'a/' + 'b'.repeat(200), 5])(
  '%j is no content type: it becomes a header',
  (contentType) => {
    expect(() => parse({ ...VALID, contentType })).toThrow('contentType must be a media type');
  },
);

test.each([-1, 1.5, '5', 2 ** 60])('%j is no length', (inferenceHeaderLength) => {
  expect(() => parse({ ...VALID, inferenceHeaderLength })).toThrow('inferenceHeaderLength must be');
});

test.each([
  undefined,
  's3://b/k',
  {},
  { uri: 'https://example.com/a' },
  { uri: 's3://Bucket_/a' },
  { uri: 's3://bucket' },
  { uri: 's3://bucket/k', json: {} },
  { json: [1] },
  { json: 'text' },
])('%j is no input', (input) => {
  expect(() => parse({ model: 'digits', input })).toThrow(MalformedMessageError);
});

test('the reason repeats nothing of the message', () => {
  for (const fields of [
    { ...VALID, id: 'SECRET/' },
    { ...VALID, model: 'SECRET!' },
    { ...VALID, SECRET: 1 },
    { ...VALID, contentType: 'SECRET' },
    { ...VALID, input: { uri: 'SECRET' } },
  ]) {
    expect(() => parse(fields)).toThrow(/^(?!.*SECRET)/);
  }
});
