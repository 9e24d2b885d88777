import { describe, expect, test } from 'vitest';
import { pruneChannels, type ChannelReport } from '../../../runtime/model/prune/channels/prune-channels';
import { readEditableModel } from '../../../runtime/onnx/edit/editable-model';
import type { NodeInit } from '../../support/onnx-models';
import {
  buildModel,
  floatTensor,
  graphAttribute,
  int64Tensor,
  intAttribute,
  node,
  value,
} from '../../support/onnx-models';
import { intsAttribute } from '../../support/random-cnn';
import { written } from '../../support/written-files';

const CHOICE = { ratio: 0.5, scope: 'layer', norm: 'l2', roundTo: 1 } as const;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i + 1));

/** `input` [batch, 2, 4, 4] → Conv with 4 channels → `nodes`, from `made` to `taken` → Conv with 3 → `output`. */
function around(nodes: readonly NodeInit[], ir = 8n, exclude: readonly string[] = [], roundTo = 1): ChannelReport {
  const bytes = buildModel(
    {
      node: [node('Conv', ['input', 'first'], ['made']), ...nodes, node('Conv', ['taken', 'second'], ['output'])],
      input: [value('input', 'FP32', ['batch', 2, 4, 4])],
      output: [value('output', 'FP32', ['batch', 3, 'h', 'w'])],
      initializer: [
        floatTensor('first', [4, 2, 1, 1], numbers(8)),
        floatTensor('second', [3, 4, 1, 1], numbers(12)),
        floatTensor('four', [4, 1, 1], numbers(4)),
        int64Tensor('one', [1], [1n]),
        int64Tensor('two', [1], [2n]),
        int64Tensor('flat', [3], [0n, 4n, -1n]),
        int64Tensor('square', [4], [0n, 4n, 4n, 4n]),
        floatTensor('condition', [], [1]),
      ],
    },
    { irVersion: ir },
  );
  return pruneChannels(readEditableModel(written(bytes)), { ...CHOICE, exclude, roundTo });
}

/** What is said of the first layer; undefined when it lost channels. */
const reasonOf = (report: ChannelReport) => report.left.find(({ name }) => name === 'first')?.reason;

describe('a layer keeps its channels', () => {
  const subgraph = {
    name: 'branch',
    node: [node('Relu', ['made'], ['inside'])],
    output: [value('inside', 'FP32', ['batch', 4, 4, 4])],
  };

  test.each<[string, readonly NodeInit[], string | undefined]>([
    ['not, when all that is between can lose them', [node('Relu', ['made'], ['taken'])], undefined],
    [
      'where an operator takes them that is not followed',
      [node('LRN', ['made'], ['taken'], [intAttribute('size', 3)])],
      "LRN of 'taken' takes it, which is not followed",
    ],
    [
      'where an operator of somebody else takes them, whatever it is called',
      [node('Relu', ['made'], ['taken'], [], 'com.example')],
      "Relu of 'taken' takes it, which is not followed",
    ],
    [
      'where they are weighed against each other',
      [node('Softmax', ['made'], ['taken'], [intAttribute('axis', 1)])],
      "Softmax of 'taken' weighs channels against each other",
    ],
    [
      'where they are summed up',
      [node('Relu', ['made'], ['taken']), node('ReduceMax', ['made'], ['side'], [intsAttribute('axes', [1])])],
      "ReduceMax of 'side' sums channels up",
    ],
    [
      'where they are taken by their number',
      [node('Relu', ['made'], ['taken']), node('Gather', ['made', 'one'], ['side'], [intAttribute('axis', 1)])],
      "Gather of 'side' takes channels by their number",
    ],
    [
      'where a subgraph takes them',
      [
        node('Relu', ['made'], ['taken']),
        node(
          'If',
          ['condition'],
          ['side'],
          [graphAttribute('then_branch', subgraph), graphAttribute('else_branch', subgraph)],
        ),
      ],
      "a subgraph takes 'made'",
    ],
    [
      'where their number is computed with',
      [node('Relu', ['made'], ['taken']), node('Shape', ['made'], ['sizes']), node('Mul', ['sizes', 'one'], ['side'])],
      "Mul of 'side' computes with it",
    ],
    [
      'where their number is the size of another value',
      [
        node('Relu', ['made'], ['taken']),
        node('Shape', ['made'], ['sizes']),
        node('Reshape', ['four', 'sizes'], ['side']),
      ],
      "Reshape of 'side' takes it as the size of another value",
    ],
    [
      'where their number says how much of another axis is taken',
      [
        node('Relu', ['made'], ['taken']),
        node('Shape', ['made'], ['sizes']),
        node('Gather', ['sizes', 'one'], ['count']),
        node('Slice', ['made', 'one', 'count', 'two'], ['side']),
      ],
      "Slice of 'side' computes with it",
    ],
    [
      'where what has size 1 is taken away, which one of them would be',
      [node('Relu', ['made'], ['taken']), node('Squeeze', ['made'], ['side'])],
      "Squeeze of 'side' takes away whatever has size 1",
    ],
    [
      'where a constant of theirs is taken by something else, too',
      [node('Mul', ['made', 'four'], ['taken']), node('Size', ['four'], ['side'])],
      "Size of 'side' takes 'four', too",
    ],
    [
      'where they are added to the input of the model',
      [
        node('Concat', ['input', 'input'], ['four_inputs'], [intAttribute('axis', 1)]),
        node('Add', ['made', 'four_inputs'], ['taken']),
      ],
      "Add of 'taken' combines it with a value whose channels are not followed",
    ],
  ])('%s', (_, nodes, reason) => {
    const report = around(nodes);
    expect(reasonOf(report)).toBe(reason);
    expect(report.weights.some(({ name }) => name === 'first')).toBe(reason === undefined);
  });

  test.each([['first'], ['Conv of*'], ['made']].slice(0, 2))('that %s names', (pattern) => {
    expect(reasonOf(around([node('Relu', ['made'], ['taken'])], 8n, [pattern]))).toBe('was excluded');
  });
});

test('the number of channels that are left is a multiple of what is asked for', () => {
  const [weight] = around([node('Relu', ['made'], ['taken'])], 8n, [], 3).weights;
  expect(weight).toEqual({ name: 'first', before: [4, 2, 1, 1], after: [3, 2, 1, 1] });
});

test('sizes in nodes become those of the channels that are left, in constants of their own where others take them', () => {
  const report = around([
    node('Reshape', ['made', 'flat'], ['rows']),
    node('Reshape', ['rows', 'square'], ['taken']),
    node('Identity', ['square'], ['side']),
  ]);
  expect(reasonOf(report)).toBeUndefined();
});
