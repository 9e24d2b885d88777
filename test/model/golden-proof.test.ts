import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { PublishErrorCode } from '../../runtime/model/publish-error';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { decodeTensorData } from '../../runtime/onnx/tensor-encoding';
import {
  buildModel,
  externalDataModel,
  identityModel,
  lookupModel,
  node,
  noisyModel,
  pickyModel,
  twoInputsModel,
  value,
} from '../support/onnx-models';
import { emptyFolder, written } from '../support/written-files';
import { refusal } from './refusal';

describe('the golden proof', () => {
  const publish = (source: string, options: Partial<PublishOptions> = {}) =>
    publishModel({ source, name: 'm', repository: emptyFolder(), ...options });
  const request = (inputs: unknown) => written(JSON.stringify({ inputs }), 'golden.json');

  test('asks for an input when a generated one does not run', async () => {
    const source = written(pickyModel());
    const error = await refusal(publish(source));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_RUN_FAILED');
    expect(error.message).toContain(
      `${source}: does not run on an input made from its signature; give one that works with --golden <file>: `,
    );
  });

  test('is not asked of a model that ONNX Runtime cannot load', async () => {
    const source = written(
      buildModel({ node: [node('NoSuchOperator', ['x'], ['y'])], input: [value('x', 'FP32', [1])] }),
    );
    const error = await refusal(publish(source));
    expect(error.message).toMatch(
      /^MODEL_NOT_LOADED .*model\.onnx: ONNX Runtime 1\.30\.0 cannot load it: .*NoSuchOperator/,
    );
    expect(error.message).not.toContain('\n');
  });

  test('is made from the given input', async () => {
    const goldenFile = request([{ name: 'input', datatype: 'FP32', shape: [21], data: Array(21).fill(0.5) }]);
    const { manifest, uri } = await publish(written(pickyModel()), { goldenFile });
    expect(manifest.golden?.outputs[0]?.shape).toEqual([3, 7]);
    const output = readFileSync(join(fileURLToPath(uri), 'golden/output-0.bin'));
    expect(decodeTensorData('FP32', [21], output)).toEqual(new Float32Array(21).fill(0.5));
  });

  test('names the given file when the model does not run on it', async () => {
    const goldenFile = request([{ name: 'index', datatype: 'INT64', shape: [1], data: [10] }]);
    const error = await refusal(publish(written(lookupModel()), { goldenFile }));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_RUN_FAILED');
    expect(error.message).toContain(`${goldenFile}: the model does not run on it: `);
    expect(error.message).toContain('idx=10 must be within the inclusive range [-10,9]');
  });

  test('is refused to a model that gives another output the second time', async () => {
    const error = await refusal(publish(written(noisyModel())));
    expect(error.code).toBe<PublishErrorCode>('MODEL_NOT_DETERMINISTIC');
    expect(error.message).toMatch(/two runs on one input disagree in output 'output' \(element \d+ is /);
  });

  test('demands equality of everything that is not floating point, and takes the tolerance that the author names', async () => {
    const source = written(twoInputsModel());
    const tolerance = async (options: Partial<PublishOptions>) =>
      (await publish(source, options)).manifest.golden?.outputs.map((output) => output.tolerance.kind);
    expect(await tolerance({})).toEqual(['elementwise', 'exact']);
    expect(await tolerance({ tolerances: { sum: { kind: 'top1' } } })).toEqual(['top1', 'exact']);
    const error = await refusal(publish(source, { tolerances: { total: { kind: 'top1' } } }));
    expect(error.message).toBe(
      "TOLERANCE_INVALID tolerances.total: must be an output of the model (sum, larger), got 'total'",
    );
  });

  test.each([
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
    'BYTES',
  ] as const)('of a model that repeats its %s input has equal input and output', async (datatype) => {
    const { uri, manifest } = await publish(written(identityModel({ datatype, shape: ['batch', 2, 'length'] })));
    expect(manifest.golden?.inputs[0]?.shape).toEqual([2, 2, 1]);
    const [input, output] = ['input', 'output'].map((side) =>
      readFileSync(join(fileURLToPath(uri), `golden/${side}-0.bin`)),
    );
    expect(output).toEqual(input);
    expect(input!.byteLength).toBeGreaterThan(0);
  });

  test.each([
    ['not JSON', '{', 'must be JSON: '],
    ['no list of inputs', '{"input": []}', 'must be an object with a list of inputs'],
    ['an unknown input', '{"inputs": [{"name": "x"}]}', "has an input 'x', the model has index"],
    ['no input', '{"inputs": []}', "lacks the input 'index'"],
    [
      'another datatype',
      '{"inputs": [{"name": "index", "datatype": "FP32", "shape": [1], "data": [1]}]}',
      `input 'index' must be INT64, got "FP32"`,
    ],
    [
      'another rank',
      '{"inputs": [{"name": "index", "datatype": "INT64", "shape": [1, 1], "data": [1]}]}',
      "input 'index' must have the shape [batch], got [1,1]",
    ],
    [
      'too few elements',
      '{"inputs": [{"name": "index", "datatype": "INT64", "shape": [2], "data": [1]}]}',
      "input 'index' has wrong data: data of shape [2] must hold 2 elements, got 1",
    ],
  ])('refuses a file with %s', async (_, text, message) => {
    const goldenFile = written(text, 'golden.json');
    const error = await refusal(publish(written(lookupModel()), { goldenFile }));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_FILE_INVALID');
    expect(error.message).toContain(`${goldenFile}: ${message}`);
  });

  test('keeps its folder to itself', async () => {
    const { model, weights } = externalDataModel({ location: 'golden/weights.bin' });
    const source = written(model);
    mkdirSync(join(dirname(source), 'golden'));
    writeFileSync(join(dirname(source), 'golden/weights.bin'), weights);
    expect((await refusal(publish(source))).code).toBe<PublishErrorCode>('FILE_NAME_RESERVED');
  });
});
