import { expect, test } from 'vitest';
import { withPlatformVariables } from '../../runtime/server/settings';
import { readEnvironment } from '../../runtime/spec/environment';
import { addOneModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

const ROUTES = {
  vertexHealthRoute: '/v1/endpoints/7/deployedModels/8/health',
  vertexPredictRoute: '/v1/endpoints/7/deployedModels/8:predict',
  vertexDeployedModelId: '8',
};

test('answers at the paths that Vertex AI names, rows for rows', async () => {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }), ...ROUTES });
  expect(await server.get(ROUTES.vertexHealthRoute)).toMatchObject({ status: 200, json: { ready: true } });
  const body = {
    instances: [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ],
    parameters: { confidence: 0.5 },
  };
  expect(await server.post(ROUTES.vertexPredictRoute, body)).toMatchObject({
    status: 200,
    json: {
      predictions: [
        [2, 3, 4, 5],
        [6, 7, 8, 9],
      ],
      deployedModelId: '8',
    },
  });
});

test('several outputs become an object for each row', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ two: twoInputsModel() }),
    vertexPredictRoute: '/predict',
  });
  const answer = await server.post('/predict', { instances: [{ left: [1, 2, 3], right: [0, 0, 9] }] });
  expect(answer.json).toEqual({ predictions: [{ sum: [1, 2, 12], larger: [true, true, false] }] });
});

test('a request without rows gets 400', async () => {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }), ...ROUTES });
  for (const body of [{}, { inputs: [[1, 2, 3, 4]] }, { instances: [[1, 2, 3, 4]], parameters: 7 }]) {
    expect((await server.post(ROUTES.vertexPredictRoute, body)).status).toBe(400);
  }
});

test("reads Vertex AI's variables where none of ours says the same", () => {
  const theirs = {
    AIP_HTTP_PORT: '9000',
    AIP_HEALTH_ROUTE: '/h',
    AIP_PREDICT_ROUTE: '/p',
    AIP_DEPLOYED_MODEL_ID: '5',
    AIP_STORAGE_URI: 'gs://bucket/models',
  };
  expect(readEnvironment(withPlatformVariables(theirs))).toMatchObject({
    httpPort: 9000,
    vertexHealthRoute: '/h',
    vertexPredictRoute: '/p',
    vertexDeployedModelId: '5',
    modelRepository: 'gs://bucket/models',
  });
  const ours = readEnvironment(withPlatformVariables({ ...theirs, SLIPWAY_HTTP_PORT: '1', SLIPWAY_MODELS: '[]' }));
  expect(ours).toMatchObject({ httpPort: 1, models: '[]' });
  expect(ours.modelRepository).toBeUndefined();
});
