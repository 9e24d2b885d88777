import type { Attributes } from './attributes';
import type { KnownTensor, Shape } from './tensor-value';

interface WindowContext {
  readonly attributes: Attributes;
}
type Inputs = readonly (KnownTensor | undefined)[];

interface WindowFacts {
  readonly kernel: Shape;
  readonly strides: Shape;
  readonly dilations: Shape;
  readonly pads: Shape;
  readonly automatic: string;
}

function windowOf(kernel: Shape, attributes: Attributes): WindowFacts {
  const ones = kernel.map(() => 1);
  return {
    kernel,
    strides: attributes.ints('strides') ?? ones,
    dilations: attributes.ints('dilations') ?? ones,
    pads: attributes.ints('pads') ?? kernel.flatMap(() => [0, 0]),
    automatic: attributes.text('auto_pad', 'NOTSET'),
  };
}

/** ONNX operators, Conv and the pooling ones: how many places a window takes along one axis. */
function places(size: number, axis: number, window: WindowFacts, isCeiling: boolean): number {
  const { kernel, strides, dilations, pads, automatic } = window;
  const stride = strides[axis] ?? 1;
  if (automatic.startsWith('SAME')) return Math.ceil(size / stride);
  const span = (kernel[axis]! - 1) * (dilations[axis] ?? 1) + 1;
  const padded = automatic === 'VALID' ? 0 : (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0);
  const steps = (size + padded - span) / stride;
  const count = (isCeiling ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // A window that would begin in the padding at the end is left out.
  const begins = (count - 1) * stride;
  return isCeiling && begins >= size + (pads[axis] ?? 0) ? count - 1 : count;
}

function tensor(shape: Shape, type: number): readonly (KnownTensor | undefined)[] {
  return [shape.every((size) => Number.isInteger(size) && size >= 0) ? { shape, type } : undefined];
}

/** Of (x, w). */
export function convolution(
  [x, w]: Inputs,
  { attributes }: WindowContext,
  type = x?.type,
): readonly (KnownTensor | undefined)[] {
  if (x === undefined || w === undefined || x.shape.length < 3) return [undefined];
  const window = windowOf(attributes.ints('kernel_shape') ?? w.shape.slice(2), attributes);
  const sizes = x.shape.slice(2).map((size, axis) => places(size, axis, window, false));
  return tensor([x.shape[0]!, w.shape[0]!, ...sizes], type!);
}

export function transposedConvolution(
  [x, w]: Inputs,
  { attributes }: WindowContext,
): readonly (KnownTensor | undefined)[] {
  if (x === undefined || w === undefined || x.shape.length < 3) return [undefined];
  const { kernel, strides, dilations, pads, automatic } = windowOf(
    attributes.ints('kernel_shape') ?? w.shape.slice(2),
    attributes,
  );
  const given = attributes.ints('output_shape');
  const extra = attributes.ints('output_padding') ?? kernel.map(() => 0);
  const sizes = x.shape.slice(2).map((size, axis) => {
    if (given !== undefined) return given.at(axis - kernel.length)!;
    if (automatic.startsWith('SAME')) return size * strides[axis]!;
    const padded = automatic === 'VALID' ? 0 : pads[axis]! + pads[axis + kernel.length]!;
    return strides[axis]! * (size - 1) + extra[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1 - padded;
  });
  return tensor([x.shape[0]!, w.shape[1]! * attributes.int('group', 1), ...sizes], x.type);
}

export function pool([x]: Inputs, { attributes }: WindowContext): readonly (KnownTensor | undefined)[] {
  const kernel = attributes.ints('kernel_shape');
  if (x === undefined || kernel === undefined || x.shape.length < 3) return [undefined];
  const window = windowOf(kernel, attributes);
  const isCeiling = attributes.int('ceil_mode', 0) === 1;
  const sizes = x.shape.slice(2).map((size, axis) => places(size, axis, window, isCeiling));
  return tensor([...x.shape.slice(0, 2), ...sizes], x.type);
}

export function globalPool([x]: Inputs): readonly (KnownTensor | undefined)[] {
  if (x === undefined) return [undefined];
  return tensor(
    x.shape.map((size, i) => (i < 2 ? size : 1)),
    x.type,
  );
}
