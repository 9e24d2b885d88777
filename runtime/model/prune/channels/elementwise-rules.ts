import { Attributes } from '../../../onnx/shapes/attributes';
import { describe, type ChannelGraph } from './channel-graph';
import type { ChannelRule } from './layer-rules';

/** What goes in comes out, channel by channel. */
const pass: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (graph.isComputedShape(node.input[0])) {
    if (node.opType !== 'Cast' && node.opType !== 'Identity') return `${describe(node)} computes with it`;
    graph.computeShape(node.output[0], graph.computedShape(node.input[0])!);
  }
  if (followed !== undefined) graph.follow(node.output[0], followed);
  return undefined;
};

/** A second output is of the places or of the shape of the first. */
const passOne: ChannelRule = (graph, node) =>
  node.output.slice(1).some((name) => name !== '' && isTaken(graph, name))
    ? `${describe(node)} has a second output that is used`
    : pass(graph, node);

function isTaken(graph: ChannelGraph, name: string): boolean {
  return graph.index.uses(name).length > 0 || graph.index.outputs.has(name) || graph.index.captured.has(name);
}

/** Channels are those of axis 1, or there are none. */
const pool: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed !== undefined && followed.axis !== 1) return `${describe(node)} takes channels along another axis`;
  return passOne(graph, node);
};

/** Several values as one, by the rules of NumPy: channels at the same place go together. */
const combine: ChannelRule = (graph, node) => {
  const inputs = node.input.filter((name) => name !== '');
  const followed = inputs.flatMap((name) => {
    const one = graph.followed(name);
    return one === undefined ? [] : [{ ...one, name }];
  });
  if (followed.length === 0)
    return inputs.some((name) => graph.isComputedShape(name)) ? `${describe(node)} computes with it` : undefined;
  const shapes = inputs.map((name) => graph.shapeOf(name));
  if (shapes.includes(undefined)) return `${describe(node)} takes a value of unknown shape`;
  const rank = Math.max(...shapes.map((shape) => shape!.length));
  const axisIn = ({ axis, name }: { axis: number; name: string }) => axis + rank - graph.rankOf(name)!;
  const axis = axisIn(followed[0]!);
  const widest = followed.reduce((a, b) => (b.channels.length > a.channels.length ? b : a));
  const { channels } = widest;
  if (followed.some((one) => axisIn(one) !== axis)) return `${describe(node)} combines channels of several axes`;
  for (const one of followed) {
    if (one.channels.length === channels.length) graph.sets.tie(channels, one.channels);
    else graph.sets.keep(one.channels, `${describe(node)} repeats it for each channel`);
  }
  const constants: (() => void)[] = [];
  for (const [i, name] of node.input.entries()) {
    if (name === '' || graph.followed(name) !== undefined) continue;
    const shape = graph.shapeOf(name)!;
    const at = axis - (rank - shape.length);
    const constant = graph.constants.get(name);
    const size = at < 0 ? 1 : shape[at];
    if (size !== 1 && (constant === undefined || size !== channels.length)) {
      return `${describe(node)} combines it with a value whose channels are not followed`;
    }
    if (constant === undefined) continue;
    constants.push(() => {
      graph.understand(node, i);
      if (size !== 1) graph.tieAxis(constant, at, channels);
    });
  }
  for (const take of constants) take();
  graph.follow(node.output[0], { axis, channels });
  return undefined;
};

/** Over one axis, or before opset 13 over all from one on. */
const softmax: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  const rank = graph.rankOf(node.input[0]);
  if (rank === undefined) return `${describe(node)} takes a value of unknown shape`;
  const given = new Attributes(node).int('axis', graph.opset < 13 ? 1 : -1);
  const axis = given < 0 ? given + rank : given;
  const isMixed = graph.opset < 13 ? followed.axis >= axis : followed.axis === axis;
  return isMixed ? `${describe(node)} weighs channels against each other` : pass(graph, node);
};

/** Over all axes from one on; scale and bias have those axes alone. */
const layerNormalization: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  const rank = graph.rankOf(node.input[0]);
  const given = new Attributes(node).int('axis', -1);
  if (rank === undefined || followed.axis >= (given < 0 ? given + rank : given)) {
    return `${describe(node)} weighs channels against each other`;
  }
  return passOne(graph, node);
};

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu';
const COMBINING =
  'Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor';

export const ELEMENTWISE_RULES: Readonly<Record<string, ChannelRule>> = {
  ...rulesFor(UNARY, pass),
  ...rulesFor(COMBINING, combine),
  ...rulesFor('MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool', pool),
  Dropout: passOne,
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  LayerNormalization: layerNormalization,
};

function rulesFor(operators: string, rule: ChannelRule): Record<string, ChannelRule> {
  return Object.fromEntries(operators.split(' ').map((operator) => [operator, rule]));
}
