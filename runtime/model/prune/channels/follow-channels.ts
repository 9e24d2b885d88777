import type { EditableModel } from '../../../onnx/edit/editable-model';
import { ChannelGraph, describe } from './channel-graph';
import { ELEMENTWISE_RULES } from './elementwise-rules';
import { LAYER_RULES, type ChannelRule } from './layer-rules';
import { LAYOUT_RULES } from './layout-rules';

const RULES: Readonly<Record<string, ChannelRule>> = { ...LAYER_RULES, ...ELEMENTWISE_RULES, ...LAYOUT_RULES };

/** Follows channels from the layers that make them to those that take them. What a node does that has no rule keeps them. */
export function followChannels(model: EditableModel): ChannelGraph {
  const graph = new ChannelGraph(model);
  for (const node of model.proto.graph.node) {
    const isStandard = node.domain === '' || node.domain === 'ai.onnx';
    const rule = isStandard && Object.hasOwn(RULES, node.opType) ? RULES[node.opType]! : undefined;
    const refusal = rule === undefined ? `${describe(node)} takes it, which is not followed` : rule(graph, node);
    if (refusal !== undefined) graph.keepInputs(node, refusal);
  }
  return graph;
}
