import { describe, expect, test } from 'vitest';
import { assertAcceptable, percent } from '../../../runtime/model/compare/acceptance';
import { compareModels, type ModelComparison } from '../../../runtime/model/compare/compare-models';
import { ModelToolError } from '../../../runtime/model/tool-error';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import type { Tensor } from '../../../runtime/onnx/tensor-encoding';
import {
  addOneModel,
  buildModel,
  floatTensor,
  identityModel,
  node,
  pickyModel,
  value,
} from '../../support/onnx-models';
import { written } from '../../support/written-files';

const rows = (...data: number[]): readonly Tensor[] => [
  { name: 'input', datatype: 'FP32', shape: [data.length / 4, 4], data: Float32Array.from(data) },
];

async function* each(...samples: (readonly Tensor[])[]) {
  for (const sample of samples) yield Promise.resolve(sample);
}

const compare = (
  source: Uint8Array,
  other: Uint8Array,
  ...samples: (readonly Tensor[])[]
): Promise<ModelComparison> => {
  const path = written(source);
  return compareModels(path, written(other), readOnnxModel(path).facts, each(...samples));
};

/** `output = input + addend`. */
function addModel(addend: readonly number[]): Uint8Array {
  return buildModel({
    node: [node('Add', ['input', 'addend'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [floatTensor('addend', [4], addend)],
  });
}

describe('two models', () => {
  test('that are the same differ by nothing and agree on every row', async () => {
    const result = await compare(addOneModel(), addOneModel(), rows(1, 2, 3, 4), rows(4, 3, 2, 1, 0, 0, 0, 0));
    expect(result).toEqual({
      samples: 2,
      rows: 3,
      outputs: [{ name: 'output', maxAbsolute: 0, maxRelative: 0, meanRelative: 0, agreement: 1 }],
      maxAbsolute: 0,
      maxRelative: 0,
      agreement: 1,
    });
  });

  test('differ by their largest element, as a share of the largest of the source, and by the root of the mean square', async () => {
    const { outputs } = await compare(identityModel(), addModel([0, 0, 1, 0]), rows(3, 4, 0, 0), rows(0, 0, 5, 0));
    expect(outputs[0]).toMatchObject({ maxAbsolute: 1, maxRelative: 0.25, agreement: 1 });
    expect(outputs[0]!.meanRelative).toBeCloseTo(Math.sqrt(2 / 50), 6);
  });

  test('agree on the rows whose largest element is at the same place', async () => {
    const { agreement } = await compare(
      identityModel(),
      addModel([0, 2, 0, 0]),
      rows(1, 0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0),
    );
    expect(agreement).toBeCloseTo(2 / 3);
  });

  test('agree on classes that lie before axes of size 1', async () => {
    const shape = ['batch', 4, 1, 1];
    const model = (by: number) =>
      buildModel({
        node: [node('Mul', ['input', 'by'], ['output'])],
        input: [value('input', 'FP32', shape)],
        output: [value('output', 'FP32', shape)],
        initializer: [floatTensor('by', [1, 4, 1, 1], [1, by, 1, 1])],
      });
    const input: Tensor = {
      name: 'input',
      datatype: 'FP32',
      shape: [2, 4, 1, 1],
      data: Float32Array.of(2, 1, 0, 0, 9, 1, 0, 0),
    };
    expect((await compare(model(1), model(3), [input])).agreement).toBe(0.5);
  });

  test('are infinitely far apart where one has no number, and alike where both have none', async () => {
    const none = await compare(addModel([NaN, 0, 0, 0]), addModel([NaN, 0, 0, 0]), rows(0, 1, 2, 3));
    expect(none).toMatchObject({ maxAbsolute: 0, maxRelative: 0, agreement: 1 });
    const one = await compare(identityModel(), addModel([NaN, 0, 0, 0]), rows(0, 1, 2, 3));
    expect(one).toMatchObject({ maxAbsolute: Infinity, maxRelative: Infinity });
  });

  test('of another shape of output are infinitely far apart and agree on nothing', async () => {
    const narrow = buildModel({
      node: [node('Slice', ['input', 'starts', 'ends', 'axes'], ['output'])],
      input: [value('input', 'FP32', ['batch', 4])],
      output: [value('output', 'FP32', ['batch', 3])],
      initializer: ['starts', 'ends', 'axes'].map((name, i) => ({
        name,
        dims: [1n],
        dataType: 7,
        int64Data: [[0n], [3n], [1n]][i]!,
      })),
    });
    expect(await compare(identityModel(), narrow, rows(0, 1, 2, 3))).toMatchObject({
      maxRelative: Infinity,
      agreement: 0,
    });
  });

  test('are not compared on a sample that the source does not take', async () => {
    const sample: Tensor = { name: 'input', datatype: 'FP32', shape: [4], data: new Float32Array(4) };
    const error: unknown = await compare(pickyModel(), pickyModel(), [sample]).catch((reason: unknown) => reason);
    expect(ModelToolError.is(error) && error.message).toMatch(
      /^MODEL_RUN_FAILED .*model.onnx: ONNX Runtime cannot run it on these rows: /,
    );
  });
});

describe('the verdict on a changed model', () => {
  const far: ModelComparison = { samples: 1, rows: 10, outputs: [], maxAbsolute: 3, maxRelative: 0.2, agreement: 0.8 };

  test.each([
    [{}, undefined],
    [{ tolerance: 0.2, minAgreement: 0.8 }, undefined],
    [
      { tolerance: 0.1 },
      "differs from its source by up to 20 % of an output's largest element, and --tolerance 0.1 allows 10 %",
    ],
    [{ minAgreement: 0.9 }, 'agrees with its source on 80 % of 10 rows, and --min-agreement 0.9 asks for 90 %'],
  ])('with %o is %s', (acceptance, said) => {
    const judge = () => assertAcceptable(far, acceptance, 'out.onnx');
    if (said === undefined) judge();
    else expect(judge).toThrow(`TOLERANCE_EXCEEDED out.onnx: ${said}: nothing was written`);
  });

  test('names both reasons, and takes what is no number for too far', () => {
    expect(() => assertAcceptable({ ...far, maxRelative: NaN }, { tolerance: 1, minAgreement: 1 }, 'out')).toThrow(
      /no number of %.*; agrees/,
    );
    expect(percent(1 / 3)).toBe('33.33 %');
  });

  test('does not ask outputs without classes to agree', () => {
    assertAcceptable({ ...far, agreement: undefined }, { minAgreement: 1 }, 'out');
  });
});
