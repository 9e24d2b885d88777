import type { EditableModel } from '../../../onnx/edit/editable-model';
import type { GraphIndex, ValueUse } from '../../../onnx/edit/graph-index';
import { integersOfTensor } from '../../../onnx/edit/tensor-elements';
import type { NodeProto, TensorProto } from '../../../onnx/generated/onnx-ml_pb';
import { Attributes } from '../../../onnx/shapes/attributes';

/** A value that is the same in every run, and that can be cut along an axis. */
export interface Constant {
  /** The name under which the graph first has it: Identity nodes give it others. */
  readonly name: string;
  readonly dims: readonly number[];
  /** What holds its elements. Undefined where all of them are one number, which a ConstantOfShape node fills in. */
  readonly tensor: TensorProto | undefined;
  /** The ConstantOfShape node. */
  readonly filler: NodeProto | undefined;
}

/** Follows names to the constants behind them. */
export class Constants {
  constructor(
    private readonly model: EditableModel,
    private readonly index: GraphIndex,
  ) {}

  get(name: string | undefined): Constant | undefined {
    if (name === undefined || name === '') return undefined;
    const tensor = this.index.initializer(name);
    if (tensor !== undefined) return { name, dims: tensor.dims.map(Number), tensor, filler: undefined };
    const node = this.index.producer(name);
    if (node === undefined || (node.domain !== '' && node.domain !== 'ai.onnx')) return undefined;
    switch (node.opType) {
      case 'Constant': {
        const held = new Attributes(node).get('value')?.t;
        return held === undefined ? undefined : { name, dims: held.dims.map(Number), tensor: held, filler: undefined };
      }
      case 'Identity':
        return this.get(node.input[0]);
      case 'ConstantOfShape': {
        const dims = this.integers(node.input[0]);
        return dims === undefined ? undefined : { name, dims, tensor: undefined, filler: node };
      }
      default:
        return undefined;
    }
  }

  /** Elements of a constant of whole numbers: shapes, axes, sizes. */
  integers(name: string | undefined): readonly number[] | undefined {
    const constant = this.get(name);
    return constant?.tensor === undefined ? undefined : integersOfTensor(this.model, constant.tensor);
  }

  /** Everybody who takes a constant, under whichever name. */
  usesOf(name: string): readonly ValueUse[] {
    return this.index
      .uses(name)
      .flatMap((use) => (use.node.opType === 'Identity' ? this.usesOf(use.node.output[0] ?? '') : [use]));
  }

  /** Whether somebody takes a constant whom its uses do not show: a subgraph, or whoever asks for the model's outputs. */
  isTakenElsewhere(name: string): boolean {
    if (this.index.outputs.has(name) || this.index.captured.has(name)) return true;
    return this.index
      .uses(name)
      .some(({ node }) => node.opType === 'Identity' && this.isTakenElsewhere(node.output[0] ?? ''));
  }
}
