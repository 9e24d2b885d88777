import { expect, test } from 'vitest';
import { buildModel, identityModel, matmulModel, node, value } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

test('what the doctor found stands in the metadata of the model and, if it warns, in the log', async () => {
  const { get, log } = await startServer({
    modelRepository: plainRepository({ fixed: identityModel({ shape: [1, 4] }), free: matmulModel() }),
  });
  const fixed = (await get('/v2/models/fixed')).json.properties as Record<string, string>;
  expect(fixed['slipway.doctor.first-dimension-fixed']).toMatch(
    /^requests cannot be joined into batches: input 'input' has the fixed first dimension 1/,
  );
  const free = (await get('/v2/models/free')).json.properties as Record<string, string>;
  const doctors = Object.keys(free).filter((name) => name.startsWith('slipway.doctor.'));
  expect(doctors).toEqual(['slipway.doctor.memory']);
  const warnings = log.filter(({ finding, level }) => finding !== undefined && level === 'warn');
  expect(warnings.map(({ model, finding }) => [model, finding])).toEqual([['fixed', 'first-dimension-fixed']]);
});

test('a model whose rows depend on each other says so after it was run', async () => {
  const mixing = buildModel({
    node: [node('CumSum', ['input', 'axis'], ['output'])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('output', 'FP32', ['batch', 2])],
    initializer: [{ name: 'axis', dims: [], dataType: 7, int64Data: [0n] }],
  });
  const { get } = await startServer({ modelRepository: plainRepository({ mixing }) });
  const { json } = await get('/v2/models/mixing');
  expect(json.properties['slipway.doctor.rows-not-independent']).toMatch(
    /^requests are not joined into batches: a row comes out differently beside another one: /,
  );
});

test('a model with an output that no answer can carry is refused with the way out', async () => {
  const zipmap = buildModel(
    {
      node: [
        node(
          'ZipMap',
          ['scores'],
          ['probabilities'],
          [{ name: 'classlabels_int64s', type: 7, ints: [0n, 1n, 2n] }],
          'ai.onnx.ml',
        ),
      ],
      input: [value('scores', 'FP32', ['batch', 3])],
      output: [
        {
          name: 'probabilities',
          type: { value: { case: 'sequenceType', value: {} } },
        },
      ],
    },
    {
      opsetImport: [
        { domain: '', version: 17n },
        { domain: 'ai.onnx.ml', version: 3n },
      ],
    },
  );
  const { get, infer } = await startServer({ modelRepository: plainRepository({ zipmap, fine: matmulModel() }) });
  const reason =
    "output 'probabilities' is a sequence, and a request carries tensors only; for a scikit-learn classifier export with zipmap=False: slipway model convert MODEL.skops -o MODEL.onnx";
  const { status, json } = await get('/v2/models/zipmap/ready');
  expect([status, json.reason]).toEqual([503, reason]);
  const answer = await infer('zipmap', {});
  expect([answer.status, answer.json.error]).toEqual([503, `model 'zipmap' version 1 is not ready: ${reason}`]);
  expect((await get('/v2/models/fine/ready')).status).toBe(200);
});
