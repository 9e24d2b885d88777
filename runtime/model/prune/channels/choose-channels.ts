import { floatsOfTensor } from '../../../onnx/edit/tensor-elements';
import type { PruneScope } from '../zero-weights';
import type { ChannelGraph, CutAxis } from './channel-graph';
import type { Channel } from './channel-sets';

/** How a channel's weights become one number that says how much it matters. */
export type ChannelNorm = 'l1' | 'l2';

export interface ChannelChoice {
  /** Share of channels that go, from 0 up to, not including, 1. */
  readonly ratio: number;
  readonly scope: PruneScope;
  readonly norm: ChannelNorm;
  /** As many channels are left as a multiple of this, where that is fewer than there were. */
  readonly roundTo: number;
}

/** Sets of channels that are made, tied and taken alike: those of one layer, or of layers that are added. They compete. */
interface Family {
  readonly sets: readonly ScoredSet[];
}

interface ScoredSet {
  readonly set: Channel;
  readonly score: number;
}

/** With a common threshold no layer loses more than nine of ten: what it does would be gone. */
const LEAST_SHARE = 0.1;

/**
 * Which sets of channels go: in each family those whose weights are smallest, by their norm over all layers that make them. At
 * least one of each family stays, so that no layer is left without channels.
 */
export function chooseChannels(
  graph: ChannelGraph,
  axes: readonly CutAxis[],
  choice: ChannelChoice,
): ReadonlySet<Channel> {
  const families = findFamilies(graph, axes, choice.norm);
  return new Set(choice.scope === 'layer' ? ofEach(families, choice) : ofAll(families, choice));
}

function ofEach(families: readonly Family[], { ratio, roundTo }: ChannelChoice): readonly Channel[] {
  return families.flatMap(({ sets }) => {
    const going = Math.min(Math.floor(ratio * sets.length), sets.length - 1);
    return smallest(sets, roundedLoss(sets.length, going, roundTo));
  });
}

/** Scores of different layers are comparable only as multiples of what is usual in each. */
function ofAll(families: readonly Family[], { ratio, roundTo }: ChannelChoice): readonly Channel[] {
  const all = families.flatMap((family) => {
    const mean = family.sets.reduce((sum, { score }) => sum + score, 0) / family.sets.length;
    return family.sets.map(({ score }) => ({ family, score: mean === 0 ? 0 : score / mean }));
  });
  all.sort((a, b) => a.score - b.score);
  const losses = new Map<Family, number>();
  let rest = Math.floor(ratio * all.length);
  for (const { family } of all) {
    if (rest === 0) break;
    const loss = losses.get(family) ?? 0;
    const least = Math.max(1, Math.ceil(family.sets.length * LEAST_SHARE));
    if (family.sets.length - loss <= least) continue;
    losses.set(family, loss + 1);
    rest -= 1;
  }
  return [...losses].flatMap(([{ sets }, loss]) => smallest(sets, roundedLoss(sets.length, loss, roundTo)));
}

function roundedLoss(count: number, loss: number, roundTo: number): number {
  return Math.max(0, count - Math.ceil((count - loss) / roundTo) * roundTo);
}

/** The sort is stable: of equal scores the last ones go. */
function smallest(sets: readonly ScoredSet[], count: number): readonly Channel[] {
  const descending = [...sets].sort((a, b) => b.score - a.score);
  return descending.slice(sets.length - count).map(({ set }) => set);
}

function findFamilies(graph: ChannelGraph, axes: readonly CutAxis[], norm: ChannelNorm): readonly Family[] {
  const places = new Map<Channel, Set<string>>();
  const sums = new Map<Channel, number>();
  const note = (channels: readonly Channel[], place: string) => {
    for (const channel of channels) {
      const set = graph.sets.setOf(channel);
      const known = places.get(set) ?? new Set();
      places.set(set, known.add(place));
    }
  };
  for (const [i, axis] of axes.entries()) {
    note(axis.channels, `axis ${i}`);
    if (!axis.isMade) continue;
    const magnitudes = magnitudesAlong(graph, axis, norm);
    axis.channels.forEach((channel, k) => {
      const set = graph.sets.setOf(channel);
      sums.set(set, (sums.get(set) ?? 0) + magnitudes[k]!);
    });
  }
  for (const [i, adjustment] of graph.adjustments.entries()) {
    if (adjustment.kind === 'split') adjustment.parts.forEach((part, k) => note(part, `split ${i} ${k}`));
  }
  const families = new Map<string, ScoredSet[]>();
  for (const [set, of] of places) {
    const sum = sums.get(set);
    // What no layer makes is nothing that a layer could stop making.
    if (sum === undefined || graph.sets.reasonToKeep(set) !== undefined) continue;
    const key = [...of].sort().join();
    const sets = families.get(key) ?? [];
    families.set(key, sets);
    sets.push({ set, score: norm === 'l2' ? Math.sqrt(sum) : sum });
  }
  return [...families.values()].map((sets) => ({ sets }));
}

/** Sums of magnitudes, or of squares, of the weights of each channel. */
function magnitudesAlong(graph: ChannelGraph, { constant, axis }: CutAxis, norm: ChannelNorm): Float64Array {
  const { dims, tensor } = constant;
  const sums = new Float64Array(dims[axis]!);
  const values = tensor === undefined ? undefined : floatsOfTensor(graph.model, tensor);
  // One number everywhere: no channel matters more than another.
  if (values === undefined) return sums.fill(1);
  const stride = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  for (let at = 0, channel = 0; at < values.length; at += stride, channel = (channel + 1) % sums.length) {
    let sum = 0;
    for (let i = at; i < at + stride; i++) sum += norm === 'l2' ? values[i]! * values[i]! : Math.abs(values[i]!);
    sums[channel]! += sum;
  }
  return sums;
}
