import type { NodeProto } from '../../../onnx/generated/onnx-ml_pb';
import { Attributes } from '../../../onnx/shapes/attributes';
import { describe, type ChannelGraph } from './channel-graph';
import type { Channel } from './channel-sets';
import type { Constant } from './constants';

/** Follows channels through a node. @returns why it cannot; undefined when it did */
export type ChannelRule = (graph: ChannelGraph, node: NodeProto) => string | undefined;

const COMPUTED = 'has weights that are computed, not stored';

/** Sums products over the channels that go in, and makes new ones. */
const conv: ChannelRule = (graph, node) => {
  const weight = graph.constants.get(node.input[1]);
  if (weight === undefined) return `${describe(node)} ${COMPUTED}`;
  const groups = new Attributes(node).int('group', 1);
  const [outputs, inputsOfGroup] = weight.dims as [number, number];
  const input = followedAt(graph, node, 1, inputsOfGroup * groups);
  const made = makeChannels(graph, weight, 0);
  graph.understand(node, 1);
  if (groups === 1) {
    takeChannels(graph, node, weight, 1, input);
  } else if (inputsOfGroup === 1) {
    // Depthwise: a channel that goes takes with it what is made of it alone.
    graph.sets.keep(graph.axis(weight, 1).channels, `${describe(node)} has one input for each group`);
    if (input === undefined) graph.sets.keep(made, `${describe(node)} takes a value whose channels are not followed`);
    else {
      const each = outputs / groups;
      graph.sets.tie(
        made,
        made.map((_, i) => input[Math.floor(i / each)]!),
      );
      graph.adjustments.push({ kind: 'group', node, channels: input });
    }
  } else {
    // Groups stay as many and as large as each other: what goes in one goes in each.
    tieGroups(graph, made, outputs / groups);
    if (input !== undefined) tieGroups(graph, input, inputsOfGroup);
    takeChannels(graph, node, weight, 1, input?.slice(0, inputsOfGroup));
  }
  addBias(graph, node, 2, made);
  graph.follow(node.output[0], { axis: 1, channels: made });
  return undefined;
};

const transposedConv: ChannelRule = (graph, node) => {
  const weight = graph.constants.get(node.input[1]);
  if (weight === undefined) return `${describe(node)} ${COMPUTED}`;
  if (new Attributes(node).int('group', 1) !== 1) return `${describe(node)} has groups`;
  graph.understand(node, 1);
  takeChannels(graph, node, weight, 0, followedAt(graph, node, 1, weight.dims[0]!));
  const made = makeChannels(graph, weight, 1);
  addBias(graph, node, 2, made);
  graph.follow(node.output[0], { axis: 1, channels: made });
  return undefined;
};

const gemm: ChannelRule = (graph, node) => {
  const attributes = new Attributes(node);
  const weight = graph.constants.get(node.input[1]);
  if (weight === undefined) return `${describe(node)} ${COMPUTED}`;
  if (attributes.int('transA', 0) !== 0) return `${describe(node)} transposes its input`;
  const taken = attributes.int('transB', 0) === 0 ? 0 : 1;
  graph.understand(node, 1);
  takeChannels(graph, node, weight, taken, followedAt(graph, node, 1, weight.dims[taken]!));
  const made = makeChannels(graph, weight, 1 - taken);
  addBias(graph, node, 2, made);
  graph.follow(node.output[0], { axis: 1, channels: made });
  return undefined;
};

const matmul: ChannelRule = (graph, node) => {
  const weight = graph.constants.get(node.input[1]);
  if (weight === undefined || weight.dims.length !== 2) {
    return `${describe(node)} multiplies with no stored matrix`;
  }
  const rank = graph.rankOf(node.input[0]);
  graph.understand(node, 1);
  const last = rank === undefined || rank < 2 ? undefined : rank - 1;
  takeChannels(graph, node, weight, 0, last === undefined ? undefined : followedAt(graph, node, last, weight.dims[0]!));
  const made = makeChannels(graph, weight, 1);
  if (last === undefined) {
    graph.sets.keep(made, `${describe(node)} takes a value of unknown shape`);
    return `${describe(node)} takes a value of unknown shape`;
  }
  graph.follow(node.output[0], { axis: last, channels: made });
  return undefined;
};

/** Numbers for each channel: scale, bias, mean, variance. */
function perChannel(...inputs: readonly number[]): ChannelRule {
  return (graph, node) => {
    const followed = graph.followed(node.input[0]);
    if (followed === undefined) return undefined;
    if (followed.axis !== 1) return `${describe(node)} takes channels along another axis`;
    if (node.output.slice(1).some((name) => name !== '')) return `${describe(node)} has outputs of training`;
    const constants = inputs.map((input) => graph.constants.get(node.input[input]));
    if (constants.some((constant) => constant?.dims.length !== 1)) return `${describe(node)} ${COMPUTED}`;
    constants.forEach((constant) => graph.tieAxis(constant!, 0, followed.channels));
    graph.understand(node, ...inputs);
    graph.follow(node.output[0], followed);
    return undefined;
  };
}

/** The channels that go into a layer, when they are followed along the axis that it takes. */
function followedAt(graph: ChannelGraph, node: NodeProto, axis: number, count: number): readonly Channel[] | undefined {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  if (followed.axis === axis && followed.channels.length === count) return followed.channels;
  graph.sets.keep(followed.channels, `${describe(node)} takes other channels`);
  return undefined;
}

function takeChannels(
  graph: ChannelGraph,
  node: NodeProto,
  weight: Constant,
  axis: number,
  channels: readonly Channel[] | undefined,
): void {
  if (channels !== undefined) graph.tieAxis(weight, axis, channels);
  else
    graph.sets.keep(
      graph.axis(weight, axis).channels,
      `${describe(node)} takes a value whose channels are not followed`,
    );
}

function makeChannels(graph: ChannelGraph, weight: Constant, axis: number): readonly Channel[] {
  const made = graph.axis(weight, axis);
  made.isMade = true;
  return made.channels;
}

/** Added to what a layer gives, along its last axis. */
function addBias(graph: ChannelGraph, node: NodeProto, input: number, made: readonly Channel[]): void {
  const name = node.input[input];
  if (name === undefined || name === '') return;
  const bias = graph.constants.get(name);
  const size = bias?.dims.at(-1) ?? 1;
  graph.understand(node, input);
  if (bias !== undefined && size === made.length) return graph.tieAxis(bias, bias.dims.length - 1, made);
  if (bias === undefined || size !== 1) graph.sets.keep(made, `${describe(node)} has a bias that is computed`);
  const followed = graph.followed(name);
  if (followed !== undefined) graph.sets.keep(followed.channels, `${describe(node)} takes it as a bias`);
}

/** The first of each group is one set, and so on. */
function tieGroups(graph: ChannelGraph, channels: readonly Channel[], size: number): void {
  graph.sets.tie(
    channels,
    channels.map((_, i) => channels[i % size]!),
  );
}

export const LAYER_RULES: Readonly<Record<string, ChannelRule>> = {
  Conv: conv,
  ConvTranspose: transposedConv,
  Gemm: gemm,
  MatMul: matmul,
  BatchNormalization: perChannel(1, 2, 3, 4),
  InstanceNormalization: perChannel(1, 2),
};
