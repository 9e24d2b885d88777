import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutSmallest } from '../../../runtime/model/prune/smallest-magnitudes';
import { countZeros, zeroByPattern, zeroSmallest } from '../../../runtime/model/prune/zero-weights';
import { ModelToolError } from '../../../runtime/model/tool-error';
import { readEditableModel, type EditableModel } from '../../../runtime/onnx/edit/editable-model';
import { floatsOfTensor } from '../../../runtime/onnx/edit/tensor-elements';
import { TensorProto_DataType } from '../../../runtime/onnx/generated/onnx-ml_pb';
import { buildModel, floatTensor, intAttribute, node, tensorAttribute, value } from '../../support/onnx-models';
import { written } from '../../support/written-files';

const random = (count: number, seed = 1) =>
  Array.from({ length: count }, (_, i) => Math.sin((i + 1) * seed * 12.9898) * 2);

/** Two layers: MatMul with `first` [8, 6], Gemm with `second` [4, 6] transposed. */
function twoLayers(): EditableModel {
  return readEditableModel(
    written(
      buildModel({
        node: [
          { ...node('MatMul', ['input', 'first'], ['hidden']), name: 'layer1' },
          node('Gemm', ['hidden', 'second', 'bias'], ['output'], [intAttribute('transB', 1)]),
        ],
        input: [value('input', 'FP32', ['batch', 8])],
        output: [value('output', 'FP32', ['batch', 4])],
        initializer: [
          floatTensor(
            'first',
            [8, 6],
            random(48, 3).map((each) => each * 10),
          ),
          floatTensor('second', [4, 6], random(24, 5)),
          floatTensor('bias', [4], [0.001, 0, 0, 0]),
        ],
      }),
    ),
  );
}

function weights(model: EditableModel, name: string): number[] {
  return [
    ...floatsOfTensor(
      model,
      model.proto.graph.initializer.find((tensor) => tensor.name === name)!,
    )!,
  ];
}

describe('pruning by magnitude', () => {
  test('sets exactly as many weights to zero as asked for, the smallest, and leaves biases alone', () => {
    const before = twoLayers();
    const model = twoLayers();
    const report = zeroSmallest(model, { sparsity: 0.5, scope: 'layer' });
    expect(report.weights.map(({ name, zerosAfter }) => [name, zerosAfter])).toEqual([
      ['first', 24],
      ['second', 12],
    ]);
    expect(report.sparsity).toBe(0.5);
    for (const name of ['first', 'second']) {
      const [was, is] = [weights(before, name), weights(model, name)];
      const gone = was.filter((_, i) => is[i] === 0).map(Math.abs);
      const left = is.filter((each) => each !== 0).map(Math.abs);
      expect(Math.max(...gone)).toBeLessThanOrEqual(Math.min(...left));
      is.forEach((each, i) => expect(each === 0 || each === was[i]).toBe(true));
    }
    expect(weights(model, 'bias')[0]).toBeCloseTo(0.001);
  });

  test('lets layers compete with each other when it is global', () => {
    const { weights: pruned } = zeroSmallest(twoLayers(), { sparsity: 0.5, scope: 'global' });
    // The second layer's weights are ten times smaller.
    expect(pruned[1]!.zerosAfter).toBe(24);
    expect(pruned[0]!.zerosAfter + pruned[1]!.zerosAfter).toBe(36);
    expect(pruned[0]!.zerosAfter).toBeLessThan(pruned[1]!.zerosAfter);
  });

  test.each([['first'], ['layer1'], ['fir*'], ['*1'], ['f*r*t']])('leaves whole what %s names', (pattern) => {
    const model = twoLayers();
    const { left, weights: pruned } = zeroSmallest(model, { sparsity: 0.5, scope: 'layer', exclude: [pattern] });
    expect(left).toEqual([{ name: 'first', reason: 'was excluded' }]);
    expect(pruned.map(({ name }) => name)).toEqual(['second']);
    expect(weights(model, 'first')).toEqual(weights(twoLayers(), 'first'));
  });

  test('refuses a name that nothing has', () => {
    expect(() => zeroSmallest(twoLayers(), { sparsity: 0.5, scope: 'layer', exclude: ['fist'] })).toThrow(
      'LAYER_UNKNOWN fist: is the name of no weight and of no node of the graph',
    );
  });

  test('finds the same as sorting, whatever the numbers and however many are alike', () => {
    const alike = fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 30 }).map((list) => Float32Array.from(list));
    const list = fc.oneof(fc.float32Array({ maxLength: 30, noNaN: true }), alike);
    const lists = fc.array(list, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(lists, fc.double({ min: 0, max: 1, noNaN: true }), (given, share) => {
        const all = given.flatMap((list) => [...list]);
        const count = Math.floor(share * all.length);
        const cut = cutSmallest(
          given.map((list) => () => list),
          count,
        );
        const after = given.map((list) => {
          const values = Float32Array.from(list);
          cut(values);
          return [...values];
        });
        const left = all.filter((each, i) => after.flat()[i] === each && each !== 0).map(Math.abs);
        const expected = all
          .map(Math.abs)
          .sort((a, b) => a - b)
          .slice(count)
          .filter((each) => each !== 0);
        expect(left.sort((a, b) => a - b)).toEqual(expected);
      }),
    );
  });

  test('reads weights that Constant nodes hold, and says of quantized and computed ones why they stay', () => {
    const weight = { ...floatTensor('', [2, 2], [1, 2, 3, 4]) };
    const quantized = { name: 'q', dims: [2n, 2n], dataType: TensorProto_DataType.INT8, rawData: new Uint8Array(4) };
    const model = readEditableModel(
      written(
        buildModel({
          node: [
            node('Constant', [], ['held'], [tensorAttribute('value', weight)]),
            node('DequantizeLinear', ['q', 'scale'], ['wide']),
            node('MatMul', ['input', 'held'], ['a']),
            node('MatMul', ['a', 'wide'], ['b']),
            node('MatMul', ['b', 'a'], ['output']),
          ],
          input: [value('input', 'FP32', [2, 2])],
          output: [value('output', 'FP32', [2, 2])],
          initializer: [quantized, floatTensor('scale', [], [1])],
        }),
      ),
    );
    const { weights: pruned, left } = zeroSmallest(model, { sparsity: 0.5, scope: 'layer' });
    expect(pruned).toEqual([{ name: 'held', elements: 4, zerosBefore: 0, zerosAfter: 2 }]);
    expect(left).toEqual([{ name: 'wide', reason: 'is computed by DequantizeLinear, not stored' }]);
  });
});

describe('pruning by a pattern', () => {
  test('leaves n of m neighbours along the input axis, the largest', () => {
    const patterns = fc.integer({ min: 2, max: 8 }).chain((of) =>
      fc.record({
        of: fc.constant(of),
        keep: fc.integer({ min: 1, max: of - 1 }),
        groups: fc.integer({ min: 1, max: 3 }),
      }),
    );
    fc.assert(
      fc.property(patterns, fc.integer({ min: 1, max: 99 }), ({ of, keep, groups }, seed) => {
        const inputs = of * groups;
        const before = random(3 * inputs * 2, seed);
        const model = readEditableModel(
          written(
            buildModel({
              node: [node('Conv', ['input', 'weight'], ['output'])],
              input: [value('input', 'FP32', ['batch', inputs, 8])],
              output: [value('output', 'FP32', ['batch', 3, 7])],
              initializer: [floatTensor('weight', [3, inputs, 2], before)],
            }),
          ),
        );
        const report = zeroByPattern(model, { keep, of });
        expect(report.sparsity).toBeCloseTo(1 - keep / of);
        const after = weights(model, 'weight');
        for (let output = 0; output < 3; output++) {
          for (let place = 0; place < 2; place++) {
            for (let group = 0; group < groups; group++) {
              const at = Array.from({ length: of }, (_, k) => output * inputs * 2 + (group * of + k) * 2 + place);
              const kept = at.filter((i) => after[i] !== 0);
              const gone = at.filter((i) => after[i] === 0);
              expect(kept.length).toBe(keep);
              expect(Math.min(...kept.map((i) => Math.abs(before[i]!)))).toBeGreaterThanOrEqual(
                Math.max(...gone.map((i) => Math.abs(before[i]!))),
              );
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test('knows the input axis of each operator, and leaves whole what is no multiple', () => {
    const model = twoLayers();
    const { weights: pruned, left } = zeroByPattern(model, { keep: 1, of: 2 });
    expect(pruned.map(({ name, zerosAfter }) => [name, zerosAfter])).toEqual([
      ['first', 24],
      ['second', 12],
    ]);
    expect(left).toEqual([]);
    // Rows of `first` are inputs: neighbours lie below each other. Rows of `second` are outputs: neighbours lie side by side.
    const [first, second] = [weights(model, 'first'), weights(model, 'second')];
    for (let i = 0; i < 6; i++) expect(countZeros(Float32Array.of(first[i]!, first[i + 6]!))).toBe(1);
    for (let i = 0; i < 24; i += 2) expect(countZeros(Float32Array.of(second[i]!, second[i + 1]!))).toBe(1);
    expect(zeroByPattern(twoLayers(), { keep: 2, of: 4 }).left).toEqual([
      { name: 'second', reason: 'has 6 inputs, which is no multiple of 4' },
    ]);
  });
});

test('an exclusion is a failure of the input', () => {
  try {
    zeroByPattern(twoLayers(), { keep: 1, of: 2, exclude: ['nothing*'] });
    expect.unreachable();
  } catch (error) {
    expect(ModelToolError.is(error) && error.kind).toBe('input');
  }
});
