import type { EditableModel } from '../../../onnx/edit/editable-model';
import { ChannelGraph, describe } from './channel-graph';
import { ELEMENTWISE_RULES } from './elementwise-rules';
import { LAYER_RULES, type ChannelRule } from './layer-rules';
import { LAYOUT_RULES } from './layout-rules';

const RULES: Readonly<Record<string, ChannelRule>> = { ...LAYER_RULES, ...ELEMENTWISE_RULES, ...LAYOUT_RULES };

/** Inputs where a rule looks at the sizes of a computed shape; elsewhere a count of channels is a number like others. */
const SHAPE_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Cast: [0],
  Gather: [0],
  Identity: [0],
  Reshape: [1],
  Resize: [3],
  Slice: [0],
  Squeeze: [0],
  Unsqueeze: [0],
};

/** Follows channels from the layers that make them to those that take them. What a node does that has no rule keeps them. */
export function followChannels(model: EditableModel): ChannelGraph {
  const graph = new ChannelGraph(model);
  for (const node of model.proto.graph.node) {
    const isStandard = node.domain === '' || node.domain === 'ai.onnx';
    const rule = isStandard && Object.hasOwn(RULES, node.opType) ? RULES[node.opType]! : undefined;
    const refusal = rule === undefined ? `${describe(node)} takes it, which is not followed` : rule(graph, node);
    if (refusal !== undefined) graph.keepInputs(node, refusal);
    const looked = isStandard && Object.hasOwn(SHAPE_INPUTS, node.opType) ? SHAPE_INPUTS[node.opType]! : [];
    node.input.forEach((name, i) => {
      if (node.opType !== 'Concat' && !looked.includes(i)) graph.keepSizes(name, `${describe(node)} computes with it`);
    });
  }
  return graph;
}
