import { expect, test } from 'vitest';
import { addOneModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

test("answers what KServe's V1 client asks: the list, readiness, predictions", async () => {
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel(), two: twoInputsModel() }),
  });
  expect((await server.get('/v1/models')).json.models.toSorted()).toEqual(['addone', 'two']);
  expect(await server.get('/v1/models/addone')).toMatchObject({ status: 200, json: { name: 'addone', ready: true } });
  const one = await server.post('/v1/models/addone:predict', { instances: [[1, 2, 3, 4]] });
  expect(one).toMatchObject({ status: 200, json: { predictions: [[2, 3, 4, 5]] } });
  const two = await server.post('/v1/models/two:predict', { instances: [{ left: [1, 2, 3], right: [3, 2, 1] }] });
  expect(two.json).toEqual({ predictions: [{ sum: [4, 4, 4], larger: [false, false, true] }] });
});

test('a model that is not ready gets 503 with both protocols’ words, an unknown one 404', async () => {
  const server = await startServer({ modelRepository: plainRepository({ broken: Buffer.from('x') }) });
  const answer = await server.get('/v1/models/broken');
  expect(answer).toMatchObject({ status: 503, json: { name: 'broken', ready: false } });
  expect((await server.post('/v1/models/broken:predict', { instances: [[1]] })).status).toBe(503);
  const unknown = await server.get('/v1/models/nope');
  expect(unknown.status).toBe(404);
  expect(unknown.json.error).toContain('nope');
});

test('explain needs an explainer, which nobody has here', async () => {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  const answer = await server.post('/v1/models/addone:explain', { instances: [[1, 2, 3, 4]] });
  expect(answer).toMatchObject({ status: 501, json: { error: expect.stringContaining('explainer') } });
});
