import type { NodeProto } from '../../../onnx/generated/onnx-ml_pb';
import { describe, type ChannelGraph, type Followed } from './channel-graph';
import type { Channel } from './channel-sets';

/** Axes of one shape and those of another that hold the same elements. */
interface AxisGroup {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/**
 * Where channels are after a Reshape or Flatten: on an axis of their own, or each repeated on one that several were merged into.
 * @returns why that cannot be told, as text
 */
export function regroupChannels(graph: ChannelGraph, node: NodeProto, { axis, channels }: Followed): Followed | string {
  const groups = graph.shapes.map((shapes) => {
    const [before, after] = [shapes.get(node.input[0]!)?.shape, shapes.get(node.output[0]!)?.shape];
    return before === undefined || after === undefined ? undefined : groupAxes(before, after);
  });
  const [one, other] = groups.map((each) => each?.find(({ from }) => from.includes(axis)));
  const [before, after] = [graph.shapeOf(node.input[0]), graph.shapeOf(node.output[0])];
  // Free sizes that make a difference are sizes that nobody can rely on.
  const isSame = one !== undefined && JSON.stringify(one) === JSON.stringify(other);
  if (!isSame || before === undefined || after === undefined)
    return `${describe(node)} has a shape that only a run tells`;
  const wide = one.to.filter((each) => after[each] !== 1);
  if (wide.length > 1) return `${describe(node)} spreads channels over several axes`;
  if (one.from.some((each) => each !== axis && before[each] === undefined)) {
    return `${describe(node)} merges channels with an axis of free size`;
  }
  const to = wide[0] ?? one.to[0];
  if (to === undefined) return `${describe(node)} takes the axis of channels away`;
  const product = (axes: readonly number[]) => axes.reduce((count, each) => count * before[each]!, 1);
  const outer = product(one.from.filter((each) => each < axis));
  const inner = product(one.from.filter((each) => each > axis));
  const repeated: Channel[] = [];
  for (let i = 0; i < outer; i++)
    for (const channel of channels) for (let k = 0; k < inner; k++) repeated.push(channel);
  return { axis: to, channels: repeated };
}

/** Splits two shapes of as many elements into the shortest runs of axes that hold as many; undefined when there are none. */
function groupAxes(before: readonly number[], after: readonly number[]): readonly AxisGroup[] | undefined {
  const groups: { from: number[]; to: number[] }[] = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    const group = { from: [i], to: [j] };
    let [left, right] = [before[i++]!, after[j++]!];
    while (left !== right) {
      if (left < right && i < before.length) {
        group.from.push(i);
        left *= before[i++]!;
      } else if (right < left && j < after.length) {
        group.to.push(j);
        right *= after[j++]!;
      } else return undefined;
    }
    groups.push(group);
  }
  const last = groups.at(-1);
  for (; last !== undefined && i < before.length; i++) {
    if (before[i] !== 1) return undefined;
    last.from.push(i);
  }
  for (; last !== undefined && j < after.length; j++) {
    if (after[j] !== 1) return undefined;
    last.to.push(j);
  }
  return groups;
}
