import { expect, test } from 'vitest';
import { addOneModel } from '../support/onnx-models';
import { connectInference, floatsOf, infer, rawFloats } from './grpc/grpc-client';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

test('answers a raw request with raw tensors', async () => {
  const server = await startServer({ modelRepository: plainRepository({ plus: addOneModel() }) });
  const client = connectInference(server.grpcPort);
  const answer = await infer(client, { ...rawFloats('plus', [1, 4], [1, 2, 3, 4]), id: '42' });
  expect(answer).toMatchObject({ model_name: 'plus', model_version: '1', id: '42' });
  expect(answer.outputs).toMatchObject([{ name: 'output', datatype: 'FP32', shape: ['1', '4'] }]);
  expect(floatsOf(answer.raw_output_contents[0])).toEqual([2, 3, 4, 5]);
});
