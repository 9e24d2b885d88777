import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from './generated/onnx-ml_pb';

/** Everything of a model that is counted, wherever it is nested. */
export interface ModelParts {
  /** Nodes of the graph, of its subgraphs (`If`, `Loop`, `Scan`) and of local functions, each where it is written. */
  readonly nodes: NodeProto[];
  /** Initializers, and tensors that nodes carry as attributes (`Constant`). */
  readonly tensors: TensorProto[];
}

/** Gathers nodes and tensors. The decoder has already bounded how deep messages nest, and with it this recursion. */
export function walkModel(model: Pick<ModelProto, 'functions'> & { readonly graph: GraphProto }): ModelParts {
  const parts: ModelParts = { nodes: [], tensors: [] };
  walkGraph(model.graph, parts);
  for (const local of model.functions) walkFunction(local, parts);
  return parts;
}

function walkGraph(graph: GraphProto, parts: ModelParts): void {
  for (const tensor of graph.initializer) parts.tensors.push(tensor);
  for (const sparse of graph.sparseInitializer) addSparse(sparse, parts);
  for (const node of graph.node) walkNode(node, parts);
}

function walkFunction(local: FunctionProto, parts: ModelParts): void {
  for (const attribute of local.attributeProto) walkAttribute(attribute, parts);
  for (const node of local.node) walkNode(node, parts);
}

function walkNode(node: NodeProto, parts: ModelParts): void {
  parts.nodes.push(node);
  for (const attribute of node.attribute) walkAttribute(attribute, parts);
}

function walkAttribute(attribute: AttributeProto, parts: ModelParts): void {
  if (attribute.t) parts.tensors.push(attribute.t);
  for (const tensor of attribute.tensors) parts.tensors.push(tensor);
  if (attribute.sparseTensor) addSparse(attribute.sparseTensor, parts);
  for (const sparse of attribute.sparseTensors) addSparse(sparse, parts);
  if (attribute.g) walkGraph(attribute.g, parts);
  for (const graph of attribute.graphs) walkGraph(graph, parts);
}

function addSparse(sparse: SparseTensorProto, parts: ModelParts): void {
  if (sparse.values) parts.tensors.push(sparse.values);
  if (sparse.indices) parts.tensors.push(sparse.indices);
}
