import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import { ELEMENT_BYTES } from '../../runtime/spec/datatypes';
import { identityModel, lookupModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

const DATATYPES = Object.keys(ELEMENT_BYTES) as Datatype[];

test('describes each model in valid OpenAPI 3.1, with an example that the model answers', async () => {
  const models = Object.fromEntries(
    DATATYPES.map((datatype) => [datatype, identityModel({ datatype, shape: ['n', 2] })]),
  );
  const server = await startServer({
    modelRepository: plainRepository({
      ...models,
      two: twoInputsModel(),
      lookup: lookupModel(),
      scalar: identityModel({ shape: [] }),
      fixed: identityModel({ shape: [2, 3] }),
    }),
  });
  for (const model of [...DATATYPES, 'two', 'lookup', 'scalar', 'fixed']) {
    const { status, json } = await server.get(`/v2/models/${model}/openapi.json`);
    expect(status).toBe(200);
    expect(await new Validator().validate(json), model).toEqual({ valid: true });
    const path = `/v2/models/${model}/infer`;
    const { example } = json.paths[path].post.requestBody.content['application/json'];
    const answer = await server.post(path, example);
    expect(answer.status, answer.text).toBe(200);
  }
});

test('types inputs and outputs from the graph', async () => {
  const server = await startServer({ modelRepository: plainRepository({ two: twoInputsModel() }), maxBatchSize: 8 });
  const { json } = await server.get('/v2/models/two/openapi.json');
  const { schema } = json.paths['/v2/models/two/infer'].post.requestBody.content['application/json'];
  const { inputs, outputs } = schema.properties;
  expect(inputs).toMatchObject({ minItems: 2, maxItems: 2 });
  expect(inputs.items.anyOf[0].properties).toMatchObject({
    name: { const: 'left' },
    datatype: { const: 'FP32' },
    shape: {
      prefixItems: [{ type: 'integer', minimum: 0, maximum: 8, title: 'batch' }, { const: 3 }],
      minItems: 2,
      maxItems: 2,
    },
    data: {
      anyOf: [{ items: { type: 'number' } }, { items: { items: { type: 'number' }, minItems: 3, maxItems: 3 } }],
    },
  });
  expect(outputs.items.properties.name).toEqual({ enum: ['sum', 'larger'] });
});

test('a version has a description of its own paths, and the server one of all models', async () => {
  const server = await startServer({ modelRepository: plainRepository({ one: lookupModel(), two: twoInputsModel() }) });
  const version = await server.get('/v2/models/two/versions/1/openapi.json');
  expect(Object.keys(version.json.paths)).toContain('/v2/models/two/versions/1/infer');
  const all = await server.get('/openapi.json');
  expect(await new Validator().validate(all.json)).toEqual({ valid: true });
  expect(Object.keys(all.json.paths)).toEqual(
    expect.arrayContaining(['/v2', '/v2/models/one/infer', '/v2/models/two/infer']),
  );
  expect((await server.get('/v2/models/nope/openapi.json')).status).toBe(404);
});

test('an input too large for a page gets no example', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ image: identityModel({ shape: ['n', 3, 64, 64] }) }),
  });
  const { json } = await server.get('/v2/models/image/openapi.json');
  const content = json.paths['/v2/models/image/infer'].post.requestBody.content['application/json'];
  expect(content.example).toBeUndefined();
  expect(content.schema.properties.inputs.items.properties.shape.prefixItems[2]).toEqual({ const: 64 });
});
