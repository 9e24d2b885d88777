import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeNpy } from '../../runtime/onnx/npy';
import { identityModel, lookupModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { request, startServer } from './harness/running-server';

const MODELS = {
  rows: identityModel({ shape: ['n', 3] }),
  two: twoInputsModel(),
  lookup: lookupModel(),
  text: identityModel({ datatype: 'BYTES', shape: ['n', 'm'] }),
  long: identityModel({ datatype: 'INT64', shape: ['n'] }),
  image: identityModel({ datatype: 'UINT8', shape: ['n', 4, 6, 3] }),
  scalar: identityModel({ datatype: 'BOOL', shape: [] }),
};

const leaf = fc.oneof(
  fc.integer({ min: -12, max: 12 }),
  fc.double(),
  fc.string(),
  fc.constantFrom(null, true, 2 ** 60, {}, [], { b64: 'YQ==' }, { b64: 7 }),
);
const row = fc.oneof(
  fc.array(leaf, { maxLength: 4 }),
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 3, maxLength: 3 }),
  fc.dictionary(
    fc.constantFrom('left', 'right', 'input', 'index', 'b64', '__proto__'),
    fc.array(leaf, { maxLength: 3 }),
  ),
  leaf,
);
const predict = fc.record(
  {
    instances: fc.oneof(fc.array(row, { maxLength: 4 }), row),
    inputs: fc.oneof(fc.array(row, { maxLength: 4 }), row),
    signature_name: fc.constantFrom('serving_default', '', 'x', 7, null),
    parameters: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const jsonBody = fc
  .oneof(predict, fc.array(row, { maxLength: 40 }), fc.jsonValue())
  .map((value) => Buffer.from(JSON.stringify(value)));
const csvBody = fc
  .array(
    fc.array(fc.oneof(fc.integer().map(String), fc.constantFrom('', 'a', '"', '"a,b"', 'nan', '1e5', 'left')), {
      maxLength: 7,
    }),
    { maxLength: 6 },
  )
  .map((lines) => Buffer.from(lines.map((line) => line.join(',')).join('\n')));
const npyBody = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }), fc.nat(400), fc.uint8Array({ maxLength: 8 }))
  .map(([shape, at, junk]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const file = Buffer.concat(writeNpy({ datatype: 'FP32', shape, data: new Float32Array(count) }));
    file.set(junk, Math.min(at, Math.max(0, file.byteLength - junk.byteLength)));
    return file;
  });
const junk = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
const png = junk.map((bytes) => Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), bytes]));
const typed = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('application/json'), jsonBody) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('text/csv', 'text/csv; header=present'), csvBody) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('application/x-npy'), npyBody) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('image/png', 'image/webp'), fc.oneof(png, junk)) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constantFrom(
        'application/octet-stream',
        'application/vnd.sagemaker-triton.binary+json;json-header-size=2',
        'x/y',
        ';;=',
      ),
      junk,
    ),
  },
);
const path = fc.constantFrom(
  (model: string) => `/v1/models/${model}:predict`,
  (model: string) => `/predict/${model}`,
  (model: string) => `/models/${model}/invoke`,
);
const accept = fc.constantFrom('*/*', 'application/json', 'text/csv', 'application/x-npy', 'a, ;q=x', '');
const encoding = fc.constantFrom('', '', '', '', 'gzip', 'deflate', 'br', 'x');

test('no body of any protocol gets a 5xx or no answer, and the server goes on', async () => {
  const server = await startServer({ modelRepository: plainRepository(MODELS) });
  const call = fc.record({ model: fc.constantFrom(...Object.keys(MODELS)), path, typed, accept, encoding });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 8 }), async (calls) => {
      const answers = await Promise.all(
        calls.map(({ model, path: pathOf, typed: [type, body], accept: accepted, encoding: encoded }) =>
          request(`${server.url}${pathOf(model)}`, {
            method: 'POST',
            headers: {
              'Content-Type': type,
              Accept: accepted,
              ...(encoded === '' ? {} : { 'Content-Encoding': encoded }),
            },
            body,
          }),
        ),
      );
      for (const { status, text } of answers) {
        expect([200, 400, 413, 415], text).toContain(status);
        if (status !== 200) expect(text).toMatch(/^\{"error":"[^]+"\}$/);
      }
    }),
    { numRuns: 300 },
  );
  expect(server.log.filter(({ msg }) => msg === 'request failed')).toEqual([]);
  expect((await server.post('/predict/rows', [[1, 2, 3]])).json).toEqual({ predictions: [[1, 2, 3]] });
});
