import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addOneModel, identityModel, lookupModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';

const MODELS = {
  addone: addOneModel(),
  two: twoInputsModel(),
  lookup: lookupModel(),
  text: identityModel({ datatype: 'BYTES', shape: ['n', 'm'] }),
  half: identityModel({ datatype: 'FP16', shape: [] }),
};

const size = fc.oneof(fc.integer({ min: -2, max: 9 }), fc.constantFrom(0, 4, 2 ** 31, 2 ** 53, 1.5, '4', null));
const element = fc.oneof(
  fc.integer({ min: -12, max: 12 }),
  fc.double(),
  fc.constantFrom(null, true, 'text', 2 ** 60, [], {}, [1]),
);
const parameters = fc.option(
  fc.oneof(
    fc.record({ binary_data_size: fc.oneof(fc.integer({ min: -1, max: 64 }), fc.constantFrom('16', 2 ** 40)) }),
    fc.dictionary(
      fc.constantFrom('binary_data', 'binary_data_output', 'classification', '__proto__', 'x'),
      fc.jsonValue(),
    ),
    fc.jsonValue(),
  ),
  { nil: undefined },
);
const tensor = fc.record(
  {
    name: fc.oneof(fc.constantFrom('input', 'left', 'right', 'index', 'output'), fc.string()),
    shape: fc.oneof(fc.array(size, { maxLength: 4 }), fc.constantFrom([1, 4], [1], [2], [], [1, 3]), fc.jsonValue()),
    datatype: fc.constantFrom('FP32', 'FP16', 'INT64', 'BYTES', 'BOOL', 'BF16', '', 7, null),
    data: fc.oneof(
      fc.array(element, { maxLength: 12 }),
      fc.array(fc.array(element, { maxLength: 4 }), { maxLength: 3 }),
      fc.jsonValue(),
    ),
    parameters,
  },
  { requiredKeys: [] },
);
const inferRequest = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record(
      {
        id: fc.jsonValue(),
        inputs: fc.array(tensor, { maxLength: 3 }),
        outputs: fc.array(tensor, { maxLength: 2 }),
        parameters,
      },
      { requiredKeys: ['inputs'] },
    ),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const body = fc.oneof(
  { weight: 6, arbitrary: inferRequest.map((value) => Buffer.from(JSON.stringify(value))) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        inferRequest.map((value) => JSON.stringify(value)),
        fc.nat(),
        fc.string(),
      )
      .map(([text, at, junk]) => Buffer.from(text.slice(0, at % (text.length + 1)) + junk)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);
const tail = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
const headerLength = fc.oneof(
  { weight: 4, arbitrary: fc.constant('none') },
  { weight: 4, arbitrary: fc.constant('right') },
  { weight: 1, arbitrary: fc.constantFrom('0', '-1', '1', '99999', 'x', '1e3') },
);

test('no body whatever gets a 5xx or no answer, and the server goes on', async () => {
  const server = await startServer({ modelRepository: plainRepository(MODELS) });
  const send = fc.record({ model: fc.constantFrom(...Object.keys(MODELS)), body, tail, headerLength });
  await fc.assert(
    fc.asyncProperty(fc.array(send, { minLength: 1, maxLength: 8 }), async (requests) => {
      const answers = await Promise.all(
        requests.map(({ model, body: json, tail: bytes, headerLength: length }) =>
          request(`${server.url}/v2/models/${model}/infer`, {
            method: 'POST',
            headers:
              length === 'none'
                ? {}
                : { 'Inference-Header-Content-Length': length === 'right' ? String(json.byteLength) : length },
            body: length === 'none' ? json : Buffer.concat([json, bytes]),
          }),
        ),
      );
      for (const { status, text } of answers) {
        expect([200, 400], text).toContain(status);
        if (status === 400) expect(text).toMatch(/^\{"error":"[^]+"\}$/);
      }
    }),
    { numRuns: 300 },
  );
  expect(server.log.filter(({ msg }) => msg === 'request failed')).toEqual([]);
  expect((await server.infer('addone', floats('input', [1, 4], [1, 2, 3, 4]))).json.outputs[0].data).toEqual([
    2, 3, 4, 5,
  ]);
});

test('a body of brackets only is refused without running out of stack', async () => {
  const server = await startServer({ modelRepository: plainRepository(MODELS) });
  const nested = '['.repeat(200_000) + ']'.repeat(200_000);
  const bodies = [
    '['.repeat(400_000),
    `{"inputs":${nested}}`,
    `{"inputs":[{"name":"input","shape":${nested}}]}`,
    `{"inputs":[{"name":"input","shape":[1,4],"datatype":"BYTES","data":${nested}}]}`,
    `{"inputs":[{"name":"input","shape":[1,4],"datatype":"BYTES","data":[1,2,3,${nested}]}]}`,
    `{"inputs":[{"name":"input","shape":[NaN,4],"datatype":"BYTES","data":${nested}}]}`,
  ];
  // A model whose input has free dimensions: others refuse such a body by its length.
  for (const body of bodies) expect((await server.infer('text', body)).status).toBe(400);
});
