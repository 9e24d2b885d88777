import type { NodeProto } from '../../../onnx/generated/onnx-ml_pb';
import { Attributes } from '../../../onnx/shapes/attributes';
import { describe, type ChannelGraph, type Followed, type ShapeElement } from './channel-graph';
import type { Channel } from './channel-sets';
import type { ChannelRule } from './layer-rules';
import { regroupChannels } from './regroup-channels';

const transpose: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  const rank = graph.rankOf(node.input[0]);
  if (followed === undefined) return undefined;
  if (rank === undefined) return unknownShape(node);
  const order = new Attributes(node).ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  graph.follow(node.output[0], { ...followed, axis: order.indexOf(followed.axis) });
  return undefined;
};

/** All axes from one on as one, and all before it. */
const flatten: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  const regrouped = regroupChannels(graph, node, followed);
  if (typeof regrouped === 'string') return regrouped;
  graph.follow(node.output[0], regrouped);
  return undefined;
};

const reshape: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) {
    graph.keepSizes(node.input[1], `${describe(node)} takes it as the size of another value`);
    return undefined;
  }
  const target = graph.computedShape(node.input[1]);
  // PyTorch sets it always; it means something only where a size is 0.
  const makesEmpty = new Attributes(node).int('allowzero', 0) !== 0 && target?.includes(0) === true;
  if (target === undefined || makesEmpty) {
    return `${describe(node)} has a shape that only a run tells`;
  }
  const regrouped = regroupChannels(graph, node, followed);
  if (typeof regrouped === 'string') return regrouped;
  const { axis, channels } = regrouped;
  const refusal = fitElement(graph, node, 1, axis, target[axis], channels, followed);
  if (refusal !== undefined) return refusal;
  graph.keepSizes(node.input[1], `${describe(node)} takes it as the size of another axis`, axis);
  graph.follow(node.output[0], regrouped);
  return undefined;
};

/** The size that a node gives the axis of channels must become that of those that are left. */
function fitElement(
  graph: ChannelGraph,
  node: NodeProto,
  input: number,
  element: number,
  size: ShapeElement,
  channels: readonly Channel[],
  from: Followed,
): string | undefined {
  if (size === -1 || (typeof size === 'object' && graph.sets.areSame(size.channels, channels))) return undefined;
  if (size === 0 && from.axis === element && from.channels.length === channels.length) return undefined;
  if (size !== channels.length || graph.isComputedShape(node.input[input])) {
    return `${describe(node)} has a shape that is not that of its channels`;
  }
  graph.adjustments.push({ kind: 'shape', node, input, element, channels });
  return undefined;
}

const squeeze: ChannelRule = (graph, node) => {
  if (graph.isComputedShape(node.input[0])) return passShape(graph, node);
  const followed = graph.followed(node.input[0]);
  const shape = graph.shapeOf(node.input[0]);
  if (followed === undefined) return undefined;
  if (shape === undefined) return unknownShape(node);
  const axes = axesOf(graph, node, 1)?.map((axis) => fromFront(axis, shape.length));
  // Without axes it would take that of the channels away when one of them is left.
  if (axes === undefined) return `${describe(node)} takes away whatever has size 1`;
  if (axes.includes(followed.axis)) return `${describe(node)} takes the axis of channels away`;
  graph.follow(node.output[0], {
    ...followed,
    axis: followed.axis - axes.filter((axis) => axis < followed.axis).length,
  });
  return undefined;
};

const unsqueeze: ChannelRule = (graph, node) => {
  if (graph.isComputedShape(node.input[0])) return passShape(graph, node);
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  const rank = graph.rankOf(node.input[0]);
  const axes = axesOf(graph, node, 1);
  if (rank === undefined || axes === undefined) return unknownShape(node);
  const added = new Set(axes.map((axis) => fromFront(axis, rank + axes.length)));
  const places = Array.from({ length: rank + axes.length }, (_, i) => i).filter((i) => !added.has(i));
  graph.follow(node.output[0], { ...followed, axis: places[followed.axis]! });
  return undefined;
};

const concat: ChannelRule = (graph, node) => {
  if (node.input.some((name) => graph.isComputedShape(name))) return joinShapes(graph, node);
  const parts = node.input.map((name) => graph.followed(name));
  const first = parts.find((part) => part !== undefined);
  if (first === undefined) return undefined;
  const rank = node.input.map((name) => graph.rankOf(name)).find((each) => each !== undefined);
  if (rank === undefined) return unknownShape(node);
  if (parts.some((part) => part !== undefined && part.axis !== first.axis)) {
    return `${describe(node)} joins channels of several axes`;
  }
  const isAlong = fromFront(new Attributes(node).int('axis', 1), rank) === first.axis;
  if (!isAlong) {
    const stranger = parts.some((part) => part?.channels.length !== first.channels.length);
    if (stranger) return `${describe(node)} joins it with a value whose channels are not followed`;
    for (const part of parts) graph.sets.tie(first.channels, part!.channels);
    graph.follow(node.output[0], first);
    return undefined;
  }
  const sizes = node.input.map((name, i) => parts[i]?.channels.length ?? graph.shapeOf(name)?.[first.axis]);
  if (sizes.includes(undefined)) return `${describe(node)} joins it with a value of unknown shape`;
  const channels = parts.flatMap((part, i) => part?.channels ?? keptChannels(graph, node, sizes[i]!));
  graph.follow(node.output[0], { axis: first.axis, channels });
  return undefined;
};

/** Channels of a value that is not followed: they stay. */
function keptChannels(graph: ChannelGraph, node: NodeProto, count: number): readonly Channel[] {
  const channels = graph.sets.make(count);
  graph.sets.keep(channels, `${describe(node)} takes a value whose channels are not followed`);
  return channels;
}

const split: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) return undefined;
  const rank = graph.rankOf(node.input[0]);
  const attributes = new Attributes(node);
  if (rank === undefined) return unknownShape(node);
  if (fromFront(attributes.int('axis', 0), rank) !== followed.axis) {
    for (const name of node.output) graph.follow(name, followed);
    return undefined;
  }
  const count = followed.channels.length;
  const given =
    node.input[1] === undefined || node.input[1] === ''
      ? attributes.ints('split')
      : graph.constants.integers(node.input[1]);
  if (given === undefined && node.input[1] !== undefined && node.input[1] !== '')
    return `${describe(node)} has sizes that are computed`;
  const each = Math.ceil(count / node.output.length);
  const sizes = given ?? node.output.map((_, i) => Math.max(0, Math.min(each, count - i * each)));
  if (sizes.length !== node.output.length || sizes.reduce((sum, size) => sum + size, 0) !== count) {
    return `${describe(node)} has sizes that are not those of its channels`;
  }
  let at = 0;
  const parts = sizes.map((size) => followed.channels.slice(at, (at += size)));
  graph.adjustments.push({ kind: 'split', node, parts });
  parts.forEach((channels, i) => graph.follow(node.output[i], { axis: followed.axis, channels }));
  return undefined;
};

const slice: ChannelRule = (graph, node) => {
  const attributes = new Attributes(node);
  const isOld = graph.opset < 10;
  const [starts, ends] = isOld
    ? [attributes.ints('starts'), attributes.ints('ends')]
    : [graph.constants.integers(node.input[1]), graph.constants.integers(node.input[2])];
  const isGiven = !isOld && node.input[3] !== undefined && node.input[3] !== '';
  const axes = isOld ? attributes.ints('axes') : isGiven ? graph.constants.integers(node.input[3]) : undefined;
  if (isGiven && axes === undefined) return `${describe(node)} has axes that are computed`;
  if (graph.isComputedShape(node.input[0])) {
    const steps = node.input[4] === undefined || node.input[4] === '' ? [1] : graph.constants.integers(node.input[4]);
    if (starts === undefined || ends === undefined || steps?.[0] !== 1) return `${describe(node)} computes with it`;
    graph.computeShape(node.output[0], graph.computedShape(node.input[0])!.slice(starts[0], ends[0]));
    return undefined;
  }
  const followed = graph.followed(node.input[0]);
  const rank = graph.rankOf(node.input[0]);
  if (followed === undefined) return undefined;
  if (rank === undefined) return unknownShape(node);
  const cut = (axes ?? starts?.map((_, i) => i))?.map((axis) => fromFront(axis, rank));
  if (cut === undefined || cut.includes(followed.axis)) return `${describe(node)} cuts channels by their number`;
  graph.follow(node.output[0], followed);
  return undefined;
};

const gather: ChannelRule = (graph, node) => {
  const attributes = new Attributes(node);
  if (graph.isComputedShape(node.input[0])) {
    const shape = graph.computedShape(node.input[0])!;
    const places = graph.constants.integers(node.input[1]);
    if (places === undefined) return `${describe(node)} computes with it`;
    graph.computeShape(
      node.output[0],
      places.map((place) => shape.at(place)),
    );
    return undefined;
  }
  const followed = graph.followed(node.input[0]);
  if (graph.followed(node.input[1]) !== undefined) return `${describe(node)} looks channels up`;
  if (followed === undefined) return undefined;
  const [rank, places] = [graph.rankOf(node.input[0]), graph.rankOf(node.input[1])];
  if (rank === undefined || places === undefined) return unknownShape(node);
  const axis = fromFront(attributes.int('axis', 0), rank);
  if (axis === followed.axis) return `${describe(node)} takes channels by their number`;
  graph.follow(node.output[0], {
    ...followed,
    axis: axis < followed.axis ? followed.axis + places - 1 : followed.axis,
  });
  return undefined;
};

const pad: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  const rank = graph.rankOf(node.input[0]);
  if (followed === undefined) return undefined;
  const pads = graph.opset < 11 ? new Attributes(node).ints('pads') : graph.constants.integers(node.input[1]);
  const axes =
    node.input[3] === undefined || node.input[3] === '' ? undefined : graph.constants.integers(node.input[3]);
  if (rank === undefined || pads === undefined) return `${describe(node)} has sizes that are computed`;
  const padded = axes?.map((axis) => fromFront(axis, rank)) ?? Array.from({ length: rank }, (_, i) => i);
  const at = padded.indexOf(followed.axis);
  if (at >= 0 && (pads[at] !== 0 || pads[at + padded.length] !== 0)) return `${describe(node)} adds channels`;
  graph.follow(node.output[0], followed);
  return undefined;
};

/** By scales, which leave channels alone where theirs is 1, or to sizes, of which one may be the count of channels. */
const resize: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined) {
    graph.keepSizes(node.input[3], `${describe(node)} takes it as the size of another value`);
    return undefined;
  }
  const attributes = new Attributes(node);
  const rank = graph.rankOf(node.input[0]);
  if (rank === undefined) return unknownShape(node);
  const axes = attributes.ints('axes')?.map((axis) => fromFront(axis, rank));
  const at = axes === undefined ? followed.axis : axes.indexOf(followed.axis);
  const isUpsample = node.opType === 'Upsample' || graph.opset < 11;
  const scales =
    isUpsample && graph.opset < 9 ? attributes.floats('scales') : scalesOf(graph, node.input[isUpsample ? 1 : 2]);
  const sizes = node.input[3];
  if (at < 0) graph.keepSizes(sizes, `${describe(node)} takes it as the size of another axis`);
  if (at >= 0 && sizes !== undefined && sizes !== '') {
    const element = graph.computedShape(sizes)?.[at];
    const refusal = fitElement(graph, node, 3, at, element, followed.channels, followed);
    if (refusal !== undefined) return refusal;
    graph.keepSizes(sizes, `${describe(node)} takes it as the size of another axis`, at);
  } else if (at >= 0 && scales?.[at] !== 1) {
    return `${describe(node)} changes the number of channels`;
  }
  graph.follow(node.output[0], followed);
  return undefined;
};

function scalesOf(graph: ChannelGraph, name: string | undefined): readonly number[] | undefined {
  const [one] = graph.shapes;
  return name === undefined ? undefined : one.get(name)?.values;
}

const reduce: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  if (followed === undefined)
    return graph.isComputedShape(node.input[0]) ? `${describe(node)} computes with it` : undefined;
  const rank = graph.rankOf(node.input[0]);
  const axes = axesOf(graph, node, 1);
  if (rank === undefined || axes === undefined || axes.length === 0) return `${describe(node)} sums channels up`;
  const reduced = axes.map((axis) => fromFront(axis, rank));
  if (reduced.includes(followed.axis)) return `${describe(node)} sums channels up`;
  const isKept = new Attributes(node).int('keepdims', 1) !== 0;
  const before = reduced.filter((axis) => axis < followed.axis).length;
  graph.follow(node.output[0], { ...followed, axis: isKept ? followed.axis : followed.axis - before });
  return undefined;
};

const shapeOf: ChannelRule = (graph, node) => {
  const followed = graph.followed(node.input[0]);
  const sizes = graph.shapeOf(node.input[0]);
  const attributes = new Attributes(node);
  if (sizes === undefined) return followed === undefined ? undefined : unknownShape(node);
  const elements = sizes.map((size, axis) => (axis === followed?.axis ? { channels: followed.channels } : size));
  const end = attributes.get('end') === undefined ? undefined : attributes.int('end', 0);
  graph.computeShape(node.output[0], elements.slice(attributes.int('start', 0), end));
  return undefined;
};

function passShape(graph: ChannelGraph, node: NodeProto): undefined {
  graph.computeShape(node.output[0], graph.computedShape(node.input[0])!);
}

function joinShapes(graph: ChannelGraph, node: NodeProto): string | undefined {
  const parts = node.input.map((name) => graph.computedShape(name));
  if (parts.includes(undefined)) return `${describe(node)} computes with it`;
  graph.computeShape(
    node.output[0],
    parts.flatMap((part) => part!),
  );
  return undefined;
}

/** Axes are an attribute in older opsets and an input in newer ones. */
function axesOf(graph: ChannelGraph, node: NodeProto, input: number): readonly number[] | undefined {
  return new Attributes(node).ints('axes') ?? graph.constants.integers(node.input[input]);
}

function fromFront(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function unknownShape(node: NodeProto): string {
  return `${describe(node)} takes a value of unknown shape`;
}

export const LAYOUT_RULES: Readonly<Record<string, ChannelRule>> = {
  Transpose: transpose,
  Flatten: flatten,
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Pad: pad,
  Resize: resize,
  Upsample: resize,
  Shape: shapeOf,
  ...Object.fromEntries(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare'
      .split(' ')
      .map((operator) => [operator, reduce]),
  ),
};
