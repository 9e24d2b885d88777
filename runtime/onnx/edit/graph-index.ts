import type { GraphProto, NodeProto, TensorProto } from '../generated/onnx-ml_pb';

/** One place where a node takes a value. */
export interface ValueUse {
  readonly node: NodeProto;
  /** Which of its inputs. */
  readonly index: number;
}

/**
 * Who makes and who takes each value of a graph, as the graph is at this moment. Values that subgraphs (`If`, `Loop`, `Scan`)
 * take from outside are named, because whoever changes one changes what those compute.
 */
export class GraphIndex {
  readonly #initializers: ReadonlyMap<string, TensorProto>;
  readonly #producers = new Map<string, NodeProto>();
  readonly #uses = new Map<string, ValueUse[]>();
  /** Names of the graph's outputs. */
  readonly outputs: ReadonlySet<string>;
  /** Names of the graph's inputs, those with a default included. */
  readonly inputs: ReadonlySet<string>;
  /** Names that subgraphs take, from this graph or from their own: more than from this one, never fewer. */
  readonly captured: ReadonlySet<string>;

  constructor(graph: GraphProto) {
    this.#initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
    this.outputs = new Set(graph.output.map(({ name }) => name));
    this.inputs = new Set(graph.input.map(({ name }) => name));
    const captured = new Set<string>();
    for (const node of graph.node) {
      for (const name of node.output) if (name !== '') this.#producers.set(name, node);
      node.input.forEach((name, index) => {
        if (name === '') return;
        const uses = this.#uses.get(name) ?? [];
        uses.push({ node, index });
        this.#uses.set(name, uses);
      });
      for (const subgraph of subgraphsOf(node)) gatherTaken(subgraph, captured);
    }
    this.captured = captured;
  }

  /** The dense initializer of this name. */
  initializer(name: string): TensorProto | undefined {
    return this.#initializers.get(name);
  }

  /** The node that makes this value; undefined for inputs and initializers. */
  producer(name: string): NodeProto | undefined {
    return this.#producers.get(name);
  }

  /** Where nodes of this graph take this value; those of subgraphs are in `captured`. */
  uses(name: string): readonly ValueUse[] {
    return this.#uses.get(name) ?? [];
  }
}

/** The graphs that a node carries: branches and bodies. */
function subgraphsOf({ attribute }: NodeProto): readonly GraphProto[] {
  return attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** What a value's node is called in messages: its own name, or that of its first output. */
export function nameOfNode({ name, opType, output }: NodeProto): string {
  return name === '' ? `${opType} of '${output[0] ?? ''}'` : name;
}

function gatherTaken(graph: GraphProto, taken: Set<string>): void {
  for (const { name } of graph.output) taken.add(name);
  for (const node of graph.node) {
    for (const name of node.input) if (name !== '') taken.add(name);
    for (const subgraph of subgraphsOf(node)) gatherTaken(subgraph, taken);
  }
}
