import path from 'node:path';
import { expect, test } from 'vitest';
import { costOf, costOfModel } from '../../runtime/model/cost/model-cost';
import { renderCostPage } from '../../runtime/model/cost/cost-page';
import { decodeModel } from '../../runtime/onnx/decode-model';
import { LIGHT_RESNET50, LIGHT_SQUEEZENET } from '../support/light-models';
import {
  buildModel,
  floatTensor,
  intAttribute,
  node,
  value,
  type Dimension,
  type NodeInit,
} from '../support/onnx-models';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');

test('operations are counted as by hand, and grow with the batch', () => {
  const { nodes, operations, parameters, weightBytes } = costOfModel(DIGITS);
  const convolution = nodes.find(({ operator }) => operator === 'Conv')!;
  // 32 filters of 1 × 3 × 3 at 8 × 8 places; a multiplication and an addition are two.
  expect(convolution.operations! / (2 * 9 * 64)).toBe(convolution.outputBytes! / 4 / 64);
  expect(weightBytes).toBe(parameters * 4);
  expect(costOfModel(DIGITS, { batch: 16 })).toMatchObject({ batch: 16, operations: operations * 16, parameters });
});

test('ResNet-50 and SqueezeNet have the parameters and operations that their papers give', () => {
  // He et al. 2015, table 1: 3.8 G multiply-adds for the network without its later placing of strides; 25.6 M parameters.
  const resnet = costOfModel(LIGHT_RESNET50, { batch: 8 });
  expect(resnet.batch).toBe(1);
  expect(resnet.parameters / 25.6e6).toBeCloseTo(1, 2);
  expect(resnet.operations / 2 / 1e9).toBeGreaterThan(3.8);
  expect(resnet.operations / 2 / 1e9).toBeLessThan(4.2);
  // Iandola et al. 2016: 1.25 M parameters.
  expect(costOfModel(LIGHT_SQUEEZENET).parameters / 1.24e6).toBeCloseTo(1, 1);
});

test('memory in between is what lives at one moment, not the sum of all', () => {
  const { activationBytes, nodes } = costOfModel(DIGITS);
  const all = nodes.reduce((sum, { outputBytes }) => sum + outputBytes!, 0);
  const largest = Math.max(...nodes.map(({ outputBytes }) => outputBytes!));
  expect(activationBytes).toBeGreaterThanOrEqual(largest);
  expect(activationBytes).toBeLessThan(all);
});

const model = (nodes: readonly NodeInit[], shape: readonly Dimension[] = ['batch', 4]) => {
  const bytes = buildModel({
    node: [...nodes],
    input: [value('input', 'FP32', shape)],
    output: [value('output', 'FP32', shape)],
    initializer: [floatTensor('weight', [4, 4], Array<number>(16).fill(0))],
  });
  return decodeModel(bytes, 'model.onnx');
};

test('operators and dimensions may be called like what JavaScript objects have', () => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    const nodes = [node(name, ['input'], ['hidden']), node('MatMul', ['input', 'weight'], ['output'])];
    const cost = costOf(model(nodes, [name, name, 4]), 'model.onnx', { batch: 3 });
    // The rows are the first dimension, and both have the same name.
    expect(cost, name).toMatchObject({ operations: 2 * 3 * 3 * 4 * 4, unknownNodes: 1, assumed: [] });
    expect(cost.activationBytes, name).toBe(2 * 3 * 3 * 4 * 4);
  }
});

test('nodes that no session accepts are not counted, and the others are', () => {
  const wrong = [
    node('FusedMatMul', ['input'], ['b']),
    node('MaxPool', ['input'], ['c'], [{ name: 'kernel_shape', ints: [-1n, 2n ** 40n] }]),
    node('LSTM', ['input'], ['d']),
    node('TopK', ['input', 'weight'], ['e', 'f'], [intAttribute('axis', -9)]),
    node('Conv', ['input', 'weight'], ['g'], [], 'not.standard'),
  ];
  const cost = costOf(model([...wrong, node('MatMul', ['input', 'weight'], ['output'])]), 'model.onnx');
  expect(cost).toMatchObject({ operations: 2 * 4 * 4, unknownNodes: wrong.length });
});

test('a graph of many nodes is no work that grows with the square of them', () => {
  const count = 60_000;
  const chain = Array.from({ length: count }, (_, i) =>
    node('Relu', [i === 0 ? 'input' : `v${i}`], [i === count - 1 ? 'output' : `v${i + 1}`]),
  );
  expect(costOf(model(chain), 'model.onnx').operations).toBe(count * 4);
});

test('the page has no script, and names are text in it', () => {
  const cost = costOfModel(DIGITS);
  const [first, ...others] = cost.nodes;
  const page = renderCostPage('<model>', {
    ...cost,
    nodes: [{ ...first!, name: '"><script>alert(1)</script>' }, ...others],
  });
  expect(page).not.toMatch(/<script|<model>/);
  expect(page).toContain('&lt;model&gt;');
  expect(page.match(/<rect /g)!.length).toBeGreaterThan(cost.nodes.length);
  expect(page).not.toMatch(/https?:\/\//);
});
