import type { EditableModel } from '../../../onnx/edit/editable-model';
import { nameOfNode } from '../../../onnx/edit/graph-index';
import { excludedNames, type LeftWhole } from '../../edit/weights';
import type { ChannelGraph, CutAxis } from './channel-graph';
import { chooseChannels, type ChannelChoice } from './choose-channels';
import { followChannels } from './follow-channels';
import { removeChannels, type ReshapedWeight } from './remove-channels';

export interface ChannelOptions extends ChannelChoice {
  readonly exclude?: readonly string[];
}

/** Which weights got smaller. */
export interface ChannelReport {
  readonly weights: readonly ReshapedWeight[];
  /** Layers that keep all or some of their output channels, each with the first reason. */
  readonly left: readonly LeftWhole[];
  /** Channels that were taken out ÷ channels that layers make. */
  readonly removedShare: number;
}

/**
 * Takes whole channels out of a network: tensors get really smaller, in every layer that makes or takes them. Channels that
 * are added to each other go together. A layer whose channels reach something that cannot lose any keeps them.
 */
export function pruneChannels(model: EditableModel, options: ChannelOptions): ChannelReport {
  const graph = followChannels(model);
  const axes = graph.finishedAxes();
  keepExcluded(graph, axes, options.exclude ?? []);
  const removed = chooseChannels(graph, axes, options);
  const made = axes.filter(({ isMade }) => isMade);
  const left = made.flatMap(({ constant, channels }) => {
    const reasons = channels.flatMap((channel) => graph.sets.reasonToKeep(channel) ?? []);
    if (reasons.length === 0) return [];
    const some = reasons.length === channels.length ? '' : `${reasons.length} of ${channels.length} channels: `;
    return [{ name: constant.name, reason: some + reasons[0]! }];
  });
  const count = made.reduce((sum, { channels }) => sum + channels.length, 0);
  const gone = made.reduce(
    (sum, { channels }) => sum + channels.filter((channel) => removed.has(graph.sets.setOf(channel))).length,
    0,
  );
  const weights = removeChannels(graph, axes, removed);
  return { weights, left, removedShare: count === 0 ? 0 : gone / count };
}

function keepExcluded(graph: ChannelGraph, axes: readonly CutAxis[], exclude: readonly string[]): void {
  const excluded = excludedNames(graph.model, exclude);
  for (const { constant, channels } of axes) {
    const nodes = graph.constants.usesOf(constant.name).map(({ node }) => nameOfNode(node));
    if ([constant.name, ...nodes].some((name) => excluded.has(name))) graph.sets.keep(channels, 'was excluded');
  }
}
