import type { NodeProto } from '../../../onnx/generated/onnx-ml_pb';
import { removeAttribute, setIntAttribute, setIntsAttribute } from '../../../onnx/edit/attributes';
import { addIntegers } from '../../../onnx/edit/initializers';
import { bytesOfTensor, setTensorBytes, setTensorIntegers } from '../../../onnx/edit/tensor-elements';
import type { Adjustment, ChannelGraph, CutAxis } from './channel-graph';
import type { Channel } from './channel-sets';

/** A weight that lost channels. */
export interface ReshapedWeight {
  readonly name: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * Takes channels out of everything that has them: weights and what is added to them, numbers of groups, sizes and shapes in
 * nodes, and what the file says of shapes inside the graph.
 */
export function removeChannels(
  graph: ChannelGraph,
  axes: readonly CutAxis[],
  removed: ReadonlySet<Channel>,
): readonly ReshapedWeight[] {
  const stays = (channel: Channel) => !removed.has(graph.sets.setOf(channel));
  const kept = (channels: readonly Channel[]) => channels.filter(stays).length;
  const changed: ReshapedWeight[] = [];
  const cutsOf = new Map<string, CutAxis[]>();
  for (const cut of axes) {
    if (cut.channels.every(stays)) continue;
    cutsOf.set(cut.constant.name, [...(cutsOf.get(cut.constant.name) ?? []), cut]);
  }
  for (const [name, cuts] of cutsOf) {
    const { constant } = cuts[0]!;
    const after = [...constant.dims];
    for (const { axis, channels } of cuts) after[axis] = kept(channels);
    if (constant.tensor !== undefined) cutTensor(graph, constant.tensor, cuts, stays);
    else setIntegers(graph, constant.filler!, 0, after, 'shape');
    declareShape(graph, name, after);
    changed.push({ name, before: constant.dims, after });
  }
  for (const adjustment of graph.adjustments) adjust(graph, adjustment, kept);
  declareFollowed(graph, kept);
  return changed;
}

function cutTensor(
  graph: ChannelGraph,
  tensor: NonNullable<CutAxis['constant']['tensor']>,
  cuts: readonly CutAxis[],
  stays: (channel: Channel) => boolean,
): void {
  const dims = tensor.dims.map(Number);
  let bytes = bytesOfTensor(graph.model, tensor);
  for (const { axis, channels } of cuts) {
    const rows = dims.slice(0, axis).reduce((product, size) => product * size, 1);
    const piece = bytes.byteLength / rows / dims[axis]!;
    const places = channels.flatMap((channel, place) => (stays(channel) ? [place] : []));
    const rest = new Uint8Array(rows * places.length * piece);
    let at = 0;
    for (let row = 0; row < rows; row++) {
      for (const place of places) {
        const from = (row * dims[axis]! + place) * piece;
        rest.set(bytes.subarray(from, from + piece), at);
        at += piece;
      }
    }
    bytes = rest;
    dims[axis] = places.length;
  }
  setTensorBytes(tensor, dims, bytes);
}

function adjust(graph: ChannelGraph, adjustment: Adjustment, kept: (channels: readonly Channel[]) => number): void {
  const { node } = adjustment;
  switch (adjustment.kind) {
    case 'group': {
      setIntAttribute(node, 'group', kept(adjustment.channels));
      return;
    }
    case 'shape': {
      const { input, element, channels } = adjustment;
      if (kept(channels) === channels.length) return;
      const values = graph.constants.integers(node.input[input])!.with(element, kept(channels));
      setIntegers(graph, node, input, values, 'shape');
      return;
    }
    case 'split': {
      const sizes = adjustment.parts.map(kept);
      if (adjustment.parts.every((part, i) => part.length === sizes[i])) return;
      setSplit(graph, node, sizes);
      return;
    }
  }
}

function setSplit(graph: ChannelGraph, node: NodeProto, sizes: readonly number[]): void {
  if (graph.opset < 13) return setIntsAttribute(node, 'split', sizes);
  removeAttribute(node, 'num_outputs');
  setIntegers(graph, node, 1, sizes, 'split');
}

/** Gives a node other numbers: in the constant that it takes, or, where others take that, in one of its own. */
function setIntegers(
  graph: ChannelGraph,
  node: NodeProto,
  input: number,
  values: readonly number[],
  what: string,
): void {
  const name = node.input[input] ?? '';
  const { index } = graph;
  const own = index.initializer(name);
  if (own !== undefined && index.uses(name).length === 1 && !index.captured.has(name) && !index.outputs.has(name)) {
    return setTensorIntegers(own, [values.length], values);
  }
  node.input[input] = addIntegers(graph.model, `${node.output[0]!}/${what}`, values);
}

/** What the file says of values inside the graph must stay true: runtimes refuse a model that contradicts itself. */
function declareFollowed(graph: ChannelGraph, kept: (channels: readonly Channel[]) => number): void {
  for (const { name } of graph.model.proto.graph.valueInfo) {
    const followed = graph.followed(name);
    if (followed !== undefined) declareSize(graph, name, followed.axis, kept(followed.channels));
  }
}

function declareShape(graph: ChannelGraph, name: string, shape: readonly number[]): void {
  shape.forEach((size, axis) => declareSize(graph, name, axis, size));
}

function declareSize({ model }: ChannelGraph, name: string, axis: number, size: number): void {
  const { graph } = model.proto;
  for (const value of [...graph.valueInfo, ...graph.input]) {
    if (value.name !== name || value.type?.value.case !== 'tensorType') continue;
    const dimension = value.type.value.value.shape?.dim[axis];
    if (dimension?.value.case === 'dimValue') dimension.value = { case: 'dimValue', value: BigInt(size) };
  }
}
