import { AttributeProto_AttributeType as AttributeType } from '../../runtime/onnx/generated/onnx-ml_pb';
import {
  buildModel,
  floatTensor,
  int64Tensor,
  intAttribute,
  node,
  value,
  type AttributeInit,
  type NodeInit,
  type TensorInit,
} from './onnx-models';

/** Parts of convolutional networks that channels go through in ways of their own. */
export const BLOCKS = [
  'plain',
  'normalized',
  'residual',
  'projected',
  'dense',
  'depthwise',
  'multiplied',
  'grouped',
  'squeeze',
  'prelu',
  'transposed',
  'split',
  'channelsLast',
  'shuffle',
  'resize',
  'pool',
  'pad',
  'scaled',
  'shared',
] as const;
export type Block = (typeof BLOCKS)[number];

/** How a network ends. */
export const HEADS = ['gap', 'flatten', 'reshape', 'computed', 'mean'] as const;
export type Head = (typeof HEADS)[number];

export interface NetworkPlan {
  readonly seed: number;
  readonly blocks: readonly Block[];
  readonly head: Head;
}

const SIZE = 8;
const CLASSES = 5;

/** A network of random weights: `input` FP32 `[batch, 3, 8, 8]` to `output` FP32 `[batch, 5]`. */
export function randomCnn(plan: NetworkPlan): Uint8Array {
  return new Builder(plan).build();
}

export function intsAttribute(name: string, ints: readonly number[]): AttributeInit {
  return { name, type: AttributeType.INTS, ints: ints.map(BigInt) };
}

class Builder {
  private readonly nodes: NodeInit[] = [];
  private readonly initializers: TensorInit[] = [];
  private channels = 3;
  private size = SIZE;
  private at = 'input';
  private names = 0;
  private state: number;

  constructor(private readonly plan: NetworkPlan) {
    this.state = plan.seed;
  }

  build(): Uint8Array {
    this.conv(8);
    for (const block of this.plan.blocks) this[block]();
    this.conv(12);
    this.end();
    return buildModel({
      node: this.nodes,
      initializer: this.initializers,
      input: [value('input', 'FP32', ['batch', 3, SIZE, SIZE])],
      output: [value('output', 'FP32', ['batch', CLASSES])],
    });
  }

  plain() {
    this.conv(this.pick(4, 6, 9));
    this.op('Relu');
  }

  normalized() {
    this.conv(8, { bias: false });
    const parameters = ['scale', 'bias', 'mean'].map((name) => this.weights(name, [this.channels]));
    const variance = this.tensor('variance', [this.channels], (random) => 0.5 + random);
    this.op('BatchNormalization', [...parameters, variance]);
    this.op('LeakyRelu');
  }

  residual() {
    const before = this.at;
    const { channels } = this;
    this.plain();
    this.conv(channels);
    this.op('Add', [before]);
    this.op('Relu');
  }

  projected() {
    const before = this.at;
    const from = this.channels;
    this.conv(10);
    const left = this.at;
    this.at = before;
    this.channels = from;
    this.conv(10, { kernel: 1 });
    this.op('Sum', [left]);
  }

  dense() {
    const before = this.at;
    const { channels } = this;
    this.plain();
    this.op('Concat', [before], [intAttribute('axis', this.pick(1, -3))]);
    this.channels += channels;
  }

  depthwise() {
    this.conv(this.channels, { groups: this.channels });
    this.op('Relu');
    this.conv(7, { kernel: 1 });
  }

  multiplied() {
    this.conv(this.channels * 2, { groups: this.channels });
    this.conv(6, { kernel: 1 });
  }

  grouped() {
    this.conv(8);
    this.conv(12, { groups: 4 });
    this.op('Relu');
  }

  squeeze() {
    const before = this.at;
    const { channels, size } = this;
    this.op('GlobalAveragePool');
    this.size = 1;
    this.conv(4, { kernel: 1 });
    this.op('Relu');
    this.conv(channels, { kernel: 1 });
    this.op('Sigmoid');
    this.op('Mul', [before]);
    this.size = size;
  }

  prelu() {
    this.op('PRelu', [this.weights('slope', [this.channels, 1, 1])]);
  }

  transposed() {
    const made = 6;
    const weight = this.weights('weight', [this.channels, made, 1, 1]);
    this.op('ConvTranspose', [weight, this.weights('bias', [made])]);
    this.channels = made;
  }

  split() {
    this.conv(9);
    const [left, right] = [this.name(), this.name()];
    const sizes = this.integers('sizes', [4, 5]);
    this.nodes.push(node('Split', [this.at, sizes], [left, right], [intAttribute('axis', 1)]));
    this.at = left;
    this.channels = 4;
    this.plain();
    this.op('Concat', [right], [intAttribute('axis', 1)]);
    this.channels += 5;
  }

  channelsLast() {
    this.op('Transpose', [], [intsAttribute('perm', [0, 2, 3, 1])]);
    this.op('MatMul', [this.weights('weight', [this.channels, 6])]);
    this.op('Add', [this.weights('bias', [6])]);
    this.op('Transpose', [], [intsAttribute('perm', [0, 3, 1, 2])]);
    this.channels = 6;
  }

  /** Channels change places by their number: none of them can go. */
  shuffle() {
    this.conv(8);
    const { size } = this;
    this.op('Reshape', [this.integers('shape', [0, 2, 4, size, size])]);
    this.op('Transpose', [], [intsAttribute('perm', [0, 2, 1, 3, 4])]);
    this.op('Reshape', [this.integers('shape', [0, 8, size, size])]);
  }

  /** As exporters write it: the first sizes are those of the value itself. */
  resize() {
    const shape = this.name();
    const kept = this.name();
    const sizes = this.name();
    this.nodes.push(
      node('Shape', [this.at], [shape]),
      node('Slice', [shape, this.integers('from', [0]), this.integers('to', [2])], [kept]),
      node('Concat', [kept, this.integers('wanted', [this.size, this.size])], [sizes], [intAttribute('axis', 0)]),
    );
    this.op('Resize', ['', '', sizes]);
  }

  pool() {
    if (this.size < 4) return;
    this.op('MaxPool', [], [intsAttribute('kernel_shape', [2, 2]), intsAttribute('strides', [2, 2])]);
    this.size = Math.floor(this.size / 2);
  }

  pad() {
    this.op('Pad', [this.integers('pads', [0, 0, 1, 1, 0, 0, 0, 0])]);
    this.size += 1;
  }

  scaled() {
    this.op('Mul', [this.weights('scale', [1, this.channels, 1, 1])]);
    this.op('Sub', [this.weights('one', [])]);
  }

  /** The same layer twice: what goes in and what comes out are the same channels. */
  shared() {
    const { channels } = this;
    const weight = this.weights('weight', [channels, channels, 1, 1]);
    this.op('Conv', [weight]);
    this.op('Relu');
    this.op('Conv', [weight]);
  }

  private end() {
    const { head } = this.plan;
    if (head === 'gap' || head === 'mean') {
      this.op(
        head === 'gap' ? 'GlobalAveragePool' : 'ReduceMean',
        [],
        head === 'gap' ? [] : [intsAttribute('axes', [2, 3])],
      );
      this.size = 1;
    }
    const features = this.channels * this.size * this.size;
    if (head === 'reshape') this.op('Reshape', [this.integers('shape', [-1, features])]);
    else if (head === 'computed') {
      const [shape, rows, joined] = [this.name(), this.name(), this.name()];
      this.nodes.push(
        node('Shape', [this.at], [shape]),
        node('Gather', [shape, this.integers('first', [0])], [rows]),
        node('Concat', [rows, this.integers('rest', [-1])], [joined], [intAttribute('axis', 0)]),
      );
      this.op('Reshape', [joined]);
    } else this.op('Flatten');
    const isTransposed = this.plan.seed % 2 === 0;
    const hidden = this.weights('weight', isTransposed ? [16, features] : [features, 16]);
    this.op('Gemm', [hidden, this.weights('bias', [16])], [intAttribute('transB', isTransposed ? 1 : 0)]);
    this.op('Relu');
    const last = this.weights('weight', [16, CLASSES]);
    this.nodes.push(node('MatMul', [this.at, last], ['output']));
  }

  private conv(
    made: number,
    { kernel = 3, groups = 1, bias = true }: { kernel?: number; groups?: number; bias?: boolean } = {},
  ) {
    const weight = this.weights('weight', [made, this.channels / groups, kernel, kernel]);
    const pad = (kernel - 1) / 2;
    this.op('Conv', bias ? [weight, this.weights('bias', [made])] : [weight], [
      intsAttribute('pads', [pad, pad, pad, pad]),
      intAttribute('group', groups),
    ]);
    this.channels = made;
  }

  private op(opType: string, inputs: readonly string[] = [], attributes: AttributeInit[] = []) {
    const name = this.name();
    this.nodes.push(node(opType, [this.at, ...inputs], [name], attributes));
    this.at = name;
  }

  private name(): string {
    return `v${this.names++}`;
  }

  private weights(name: string, dims: readonly number[]): string {
    const spread = Math.sqrt(
      3 /
        Math.max(
          1,
          dims.slice(1).reduce((product, size) => product * size, 1),
        ),
    );
    return this.tensor(name, dims, (random) => (2 * random - 1) * spread);
  }

  private tensor(name: string, dims: readonly number[], make: (random: number) => number): string {
    const unique = `${name}${this.names++}`;
    const count = dims.reduce((product, size) => product * size, 1);
    this.initializers.push(
      floatTensor(
        unique,
        dims,
        Array.from({ length: count }, () => make(this.random())),
      ),
    );
    return unique;
  }

  private integers(name: string, values: readonly number[]): string {
    const unique = `${name}${this.names++}`;
    this.initializers.push(int64Tensor(unique, [values.length], values.map(BigInt)));
    return unique;
  }

  private pick(...choices: readonly number[]): number {
    return choices[Math.floor(this.random() * choices.length)]!;
  }

  /** Park and Miller's generator. */
  private random(): number {
    this.state = (this.state * 48_271) % 2_147_483_647;
    return this.state / 2_147_483_647;
  }
}
