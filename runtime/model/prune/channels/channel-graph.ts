import type { EditableModel } from '../../../onnx/edit/editable-model';
import { GraphIndex, nameOfNode } from '../../../onnx/edit/graph-index';
import type { NodeProto } from '../../../onnx/generated/onnx-ml_pb';
import { readOpsets } from '../../../onnx/operators';
import { inferShapes, type KnownShapes } from '../../../onnx/shapes/infer-shapes';
import { ChannelSets, type Channel } from './channel-sets';
import { Constants, type Constant } from './constants';

/** Channels along one axis of a value. */
export interface Followed {
  readonly axis: number;
  readonly channels: readonly Channel[];
}

/** An axis of a constant that has channels. */
export interface CutAxis {
  readonly constant: Constant;
  readonly axis: number;
  readonly channels: readonly Channel[];
  /** Whether the channels are made here: by the outputs of a layer, whose weights say how much each of them matters. */
  isMade: boolean;
}

/** A number in a node that must become that of the channels that are left. */
export type Adjustment =
  | { readonly kind: 'group'; readonly node: NodeProto; readonly channels: readonly Channel[] }
  | {
      readonly kind: 'shape';
      readonly node: NodeProto;
      readonly input: number;
      readonly element: number;
      readonly channels: readonly Channel[];
    }
  | { readonly kind: 'split'; readonly node: NodeProto; readonly parts: readonly (readonly Channel[])[] };

/** An element of a shape that the graph computes: a number, the count of channels, or something that only a run tells. */
export type ShapeElement = number | { readonly channels: readonly Channel[] } | undefined;

/** Two sizes for each free dimension: what differs between them is free. Both can be halved as often as networks do. */
const FREE_SIZES = [224, 448] as const;

/** What is known of channels while the graph is followed from its inputs to its outputs. */
export class ChannelGraph {
  readonly sets = new ChannelSets();
  readonly index: GraphIndex;
  readonly constants: Constants;
  readonly opset: number;
  readonly adjustments: Adjustment[] = [];
  readonly shapes: readonly [KnownShapes, KnownShapes];
  readonly #followed = new Map<string, Followed>();
  readonly #axes = new Map<string, CutAxis>();
  readonly #computedShapes = new Map<string, readonly ShapeElement[]>();
  readonly #understood = new Map<NodeProto, Set<number>>();

  constructor(readonly model: EditableModel) {
    this.index = new GraphIndex(model.proto.graph);
    this.constants = new Constants(model, this.index);
    this.opset = readOpsets(model.proto).find(({ domain }) => domain === '')?.version ?? 1;
    const [one, other] = FREE_SIZES.map((otherwise) => inferShapes(model.proto, { dimensions: {}, otherwise }));
    this.shapes = [one!, other!];
  }

  /** The channels of a value; undefined when none are followed, or when it has none. */
  followed(name: string | undefined): Followed | undefined {
    return name === undefined ? undefined : this.#followed.get(name);
  }

  /** Says that a value has these channels along an axis. What leaves the graph keeps them all. */
  follow(name: string | undefined, followed: Followed): void {
    if (name === undefined || name === '') return;
    this.#followed.set(name, followed);
    if (this.index.outputs.has(name)) this.sets.keep(followed.channels, `'${name}' is an output of the model`);
    if (this.index.captured.has(name)) this.sets.keep(followed.channels, `a subgraph takes '${name}'`);
  }

  /** Keeps the channels of all that a node takes. */
  keepInputs(node: NodeProto, reason = `${describe(node)} cannot lose channels`): void {
    for (const name of node.input) {
      const followed = this.#followed.get(name);
      if (followed !== undefined) this.sets.keep(followed.channels, reason);
      this.keepSizes(name, reason);
    }
  }

  /** Sizes of a value; undefined for those that are free. Undefined as a whole where not even the rank is known. */
  shapeOf(name: string | undefined): readonly (number | undefined)[] | undefined {
    if (name === undefined) return undefined;
    const constant = this.constants.get(name);
    if (constant !== undefined) return constant.dims;
    const [one, other] = this.shapes.map((shapes) => shapes.get(name)?.shape);
    if (one === undefined || other === undefined || one.length !== other.length) return undefined;
    return one.map((size, i) => (size === other[i] ? size : undefined));
  }

  rankOf(name: string | undefined): number | undefined {
    return this.shapeOf(name)?.length;
  }

  /** The channels along an axis of a constant, which are the same for all who take it. */
  axis(constant: Constant, axis: number): CutAxis {
    const key = `${axis}:${constant.name}`;
    const known = this.#axes.get(key);
    if (known !== undefined) return known;
    const made: CutAxis = { constant, axis, channels: this.sets.make(constant.dims[axis]!), isMade: false };
    this.#axes.set(key, made);
    return made;
  }

  /** Says that an axis of a constant has the channels of a value. */
  tieAxis(constant: Constant, axis: number, channels: readonly Channel[]): void {
    const own = this.axis(constant, axis).channels;
    if (own.length === channels.length) return this.sets.tie(own, channels);
    this.sets.keep(
      [...own, ...channels],
      `'${constant.name}' has ${own.length} channels, and its layer ${channels.length}`,
    );
  }

  /** Says that a node takes a constant in a way that is followed. Who else takes it keeps it whole. */
  understand(node: NodeProto, ...inputs: readonly number[]): void {
    const known = this.#understood.get(node) ?? new Set();
    this.#understood.set(node, known);
    for (const input of inputs) known.add(input);
  }

  /** The elements of a shape, where a node computes one. */
  computedShape(name: string | undefined): readonly ShapeElement[] | undefined {
    return name === undefined ? undefined : (this.#computedShapes.get(name) ?? this.constants.integers(name));
  }

  /** Keeps the channels that a computed shape counts, all but those at one place of it. */
  keepSizes(name: string | undefined, reason: string, except?: number): void {
    const elements = name === undefined ? undefined : this.#computedShapes.get(name);
    elements?.forEach((element, i) => {
      if (typeof element === 'object' && i !== except) this.sets.keep(element.channels, reason);
    });
  }

  /** Whether a value is a shape that nodes compute of others, and no constant. */
  isComputedShape(name: string | undefined): boolean {
    return name !== undefined && this.#computedShapes.has(name);
  }

  computeShape(name: string | undefined, elements: readonly ShapeElement[]): void {
    if (name === undefined || name === '') return;
    this.#computedShapes.set(name, elements);
    if (!this.index.outputs.has(name) && !this.index.captured.has(name)) return;
    this.keepSizes(name, `'${name}' is taken as a shape from outside`);
  }

  /** All axes with channels, once whoever takes them in a way that is not followed has been asked. */
  finishedAxes(): readonly CutAxis[] {
    const axes = [...this.#axes.values()];
    for (const { constant, channels } of axes) {
      const stranger = this.constants
        .usesOf(constant.name)
        .find(({ node, index }) => this.#understood.get(node)?.has(index) !== true);
      if (stranger !== undefined) this.sets.keep(channels, `${describe(stranger.node)} takes '${constant.name}', too`);
      if (this.constants.isTakenElsewhere(constant.name))
        this.sets.keep(channels, `a subgraph takes '${constant.name}'`);
    }
    return axes;
  }
}

/** A node as a reason names it. */
export function describe(node: NodeProto): string {
  const name = nameOfNode(node);
  return name.startsWith(`${node.opType} of `) ? name : `${node.opType} '${name}'`;
}
