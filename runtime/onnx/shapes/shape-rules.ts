import { TensorProto_DataType as Type } from '../generated/onnx-ml_pb';
import type { Attributes } from './attributes';
import { convolution, globalPool, pool, transposedConvolution } from './window-shapes';
import { elementCount, knownTensor, type KnownTensor, type Shape } from './tensor-value';

export interface RuleContext {
  readonly attributes: Attributes;
  readonly outputs: number;
}

type Inputs = readonly (KnownTensor | undefined)[];
/** What a node gives; undefined for an output that cannot be told. */
export type ShapeRule = (inputs: Inputs, context: RuleContext) => readonly (KnownTensor | undefined)[];

const first: ShapeRule = ([input]) => [input === undefined ? undefined : { shape: input.shape, type: input.type }];
/** Numbers that pass through keep being known. */
const same: ShapeRule = ([input]) => [input];

function ofShape(shape: Shape | undefined, type: number, values?: readonly number[]): KnownTensor | undefined {
  if (shape === undefined || shape.some((size) => !Number.isInteger(size) || size < 0)) return undefined;
  return { shape, type, ...(values?.length === elementCount(shape) ? { values } : {}) };
}

/** Shapes of several inputs as one, by the rules of NumPy. */
export function broadcast(...shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const result: number[] = [];
  for (let i = 0; i < rank; i++) {
    const sizes = new Set(shapes.map((shape) => shape[i - rank + shape.length] ?? 1).filter((size) => size !== 1));
    if (sizes.size > 1) return undefined;
    result.push([...sizes][0] ?? 1);
  }
  return result;
}

function elementwise(calculate?: (a: number, b: number) => number, type?: number): ShapeRule {
  return (inputs) => {
    if (inputs.some((input) => input === undefined)) return [undefined];
    const known = inputs as readonly KnownTensor[];
    const shape = broadcast(...known.map((input) => input.shape));
    const [a, b] = known;
    const values =
      calculate !== undefined && a?.values !== undefined && b?.values !== undefined && shape !== undefined
        ? Array.from({ length: elementCount(shape) }, (_, i) =>
            calculate(a.values![a.values!.length === 1 ? 0 : i]!, b.values![b.values!.length === 1 ? 0 : i]!),
          )
        : undefined;
    return [ofShape(shape, type ?? known[0]!.type, values?.every(Number.isFinite) === true ? values : undefined)];
  };
}

function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

const matrixProduct: ShapeRule = ([a, b]) => [product(a, b, a?.type)];

function product(a: KnownTensor | undefined, b: KnownTensor | undefined, type = 0): KnownTensor | undefined {
  if (a === undefined || b === undefined || a.shape.length === 0 || b.shape.length === 0) return undefined;
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  if (left.at(-1) !== right.at(-2)) return undefined;
  const batch = broadcast(left.slice(0, -2), right.slice(0, -2));
  if (batch === undefined) return undefined;
  const rows = a.shape.length === 1 ? [] : [left.at(-2)!];
  const columns = b.shape.length === 1 ? [] : [right.at(-1)!];
  return ofShape([...batch, ...rows, ...columns], type);
}

const gemm: ShapeRule = ([a, b], { attributes }) => {
  if (a?.shape.length !== 2 || b?.shape.length !== 2) return [undefined];
  const rows = a.shape[attributes.int('transA', 0) === 0 ? 0 : 1]!;
  const columns = b.shape[attributes.int('transB', 0) === 0 ? 1 : 0]!;
  return [ofShape([rows, columns], a.type)];
};

const reshape: ShapeRule = ([data, target], { attributes }) => {
  const wanted = target?.values ?? attributes.ints('shape');
  if (data === undefined || wanted === undefined) return [undefined];
  const keepsZero = attributes.int('allowzero', 0) === 1;
  const shape = wanted.map((size, i) => (size === 0 && !keepsZero ? (data.shape[i] ?? 0) : size));
  const rest = shape.indexOf(-1);
  if (rest >= 0) shape[rest] = elementCount(data.shape) / elementCount(shape.filter((_, i) => i !== rest));
  if (elementCount(shape) !== elementCount(data.shape)) return [undefined];
  return [ofShape(shape, data.type, data.values)];
};

const flatten: ShapeRule = ([data], { attributes }) => {
  if (data === undefined) return [undefined];
  const axis = axisOf(attributes.int('axis', 1), data.shape.length);
  return [ofShape([elementCount(data.shape.slice(0, axis)), elementCount(data.shape.slice(axis))], data.type)];
};

const transpose: ShapeRule = ([data], { attributes }) => {
  if (data === undefined) return [undefined];
  const order = attributes.ints('perm') ?? data.shape.map((_, i) => data.shape.length - 1 - i);
  return [
    ofShape(
      order.map((from) => data.shape[from] ?? -1),
      data.type,
    ),
  ];
};

const concat: ShapeRule = (inputs, { attributes }) => {
  if (inputs.length === 0 || inputs.some((input) => input === undefined)) return [undefined];
  const known = inputs as readonly KnownTensor[];
  const axis = axisOf(attributes.int('axis', 0), known[0]!.shape.length);
  const shape = known[0]!.shape.map((size, i) =>
    i === axis ? known.reduce((sum, { shape: own }) => sum + (own[axis] ?? 0), 0) : size,
  );
  const values =
    shape.length === 1 && known.every((input) => input.values !== undefined)
      ? known.flatMap((input) => input.values!)
      : undefined;
  return [ofShape(shape, known[0]!.type, values)];
};

const split: ShapeRule = ([data, sizes], { attributes, outputs }) => {
  if (data === undefined) return [undefined];
  const axis = axisOf(attributes.int('axis', 0), data.shape.length);
  const whole = data.shape[axis] ?? 0;
  const each = Math.ceil(whole / outputs);
  const given =
    sizes?.values ??
    attributes.ints('split') ??
    Array.from({ length: outputs }, (_, i) => Math.max(0, Math.min(each, whole - i * each)));
  return given.map((size) => ofShape(data.shape.with(axis, size), data.type));
};

const squeeze: ShapeRule = ([data, axes], { attributes }) => {
  if (data === undefined) return [undefined];
  const given = (axes?.values ?? attributes.ints('axes'))?.map((axis) => axisOf(axis, data.shape.length));
  const shape = data.shape.filter((size, i) => (given === undefined ? size !== 1 : !given.includes(i)));
  return [ofShape(shape, data.type, data.values)];
};

const unsqueeze: ShapeRule = ([data, axes], { attributes }) => {
  const given = axes?.values ?? attributes.ints('axes');
  if (data === undefined || given === undefined) return [undefined];
  const rank = data.shape.length + given.length;
  const places = new Set(given.map((axis) => axisOf(axis, rank)));
  const rest = [...data.shape];
  const shape = Array.from({ length: rank }, (_, i) => (places.has(i) ? 1 : rest.shift()!));
  return [ofShape(shape, data.type, data.values)];
};

const gather: ShapeRule = ([data, indices], { attributes }) => {
  if (data === undefined || indices === undefined) return [undefined];
  const axis = axisOf(attributes.int('axis', 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  const { values } = data;
  const picked =
    values === undefined || indices.values === undefined || data.shape.length !== 1
      ? undefined
      : indices.values.map((i) => values.at(i) ?? Number.NaN);
  return [ofShape(shape, data.type, picked)];
};

const slice: ShapeRule = ([data, startsInput, endsInput, axesInput, stepsInput], { attributes }) => {
  const starts = startsInput?.values ?? attributes.ints('starts');
  const ends = endsInput?.values ?? attributes.ints('ends');
  if (data === undefined || starts === undefined || ends === undefined) return [undefined];
  const axes = axesInput?.values ?? attributes.ints('axes') ?? starts.map((_, i) => i);
  const steps = stepsInput?.values ?? starts.map(() => 1);
  const shape = [...data.shape];
  let { values } = data;
  axes.forEach((given, i) => {
    const axis = axisOf(given, data.shape.length);
    const size = data.shape[axis] ?? 0;
    const step = steps[i] ?? 1;
    const clamp = (at: number): number => {
      const from = at < 0 ? at + size : at;
      return step > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, -1), size - 1);
    };
    const start = clamp(starts[i]!);
    // The smallest number there is means `to the beginning`, and is no place to count from.
    const end = ends[i]! < -size && step < 0 ? -1 : clamp(ends[i]!);
    shape[axis] = Math.max(0, Math.ceil((end - start) / step));
    if (data.shape.length === 1 && values !== undefined) {
      const all = values;
      values = Array.from({ length: shape[axis] }, (_, k) => all[start + k * step]!);
    }
  });
  return [ofShape(shape, data.type, data.shape.length === 1 ? values : undefined)];
};

const pad: ShapeRule = ([data, padsInput, , axesInput], { attributes }) => {
  const pads = padsInput?.values ?? attributes.ints('pads') ?? attributes.ints('paddings');
  if (data === undefined || pads === undefined) return [undefined];
  const axes = axesInput?.values ?? data.shape.map((_, i) => i);
  const shape = [...data.shape];
  axes.forEach((given, i) => {
    const axis = axisOf(given, data.shape.length);
    shape[axis] = (shape[axis] ?? 0) + (pads[i] ?? 0) + (pads[i + axes.length] ?? 0);
  });
  return [ofShape(shape, data.type)];
};

const resize: ShapeRule = (inputs, { attributes }) => {
  const [data] = inputs;
  const policy = attributes.text('keep_aspect_ratio_policy', 'stretch');
  // Opset 10 has (data, scales), later ones (data, region, scales, sizes).
  const scales = (inputs.length === 2 ? inputs[1] : inputs[2])?.values ?? attributes.floats('scales');
  const sizes = inputs[3]?.values;
  if (data === undefined) return [undefined];
  const axes = attributes.ints('axes') ?? data.shape.map((_, i) => i);
  const shape = [...data.shape];
  if (sizes === undefined && (scales === undefined || scales.length === 0)) return [undefined];
  const places = axes.map((axis) => axisOf(axis, data.shape.length));
  const ratios = places.map((axis, i) => (sizes?.[i] ?? 0) / (data.shape[axis] ?? 1));
  const ratio = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  places.forEach((axis, i) => {
    const size = data.shape[axis] ?? 0;
    if (sizes === undefined) shape[axis] = Math.floor(size * (scales?.[i] ?? 1));
    else shape[axis] = policy === 'stretch' ? (sizes[i] ?? size) : Math.floor(size * ratio + 0.5);
  });
  return [ofShape(shape, data.type)];
};

const reduce: ShapeRule = ([data, axesInput], { attributes }) => {
  if (data === undefined) return [undefined];
  const listed = axesInput?.values ?? attributes.ints('axes');
  const given = listed?.length === 0 ? undefined : listed;
  if (given === undefined && attributes.int('noop_with_empty_axes', 0) === 1) return [ofShape(data.shape, data.type)];
  const axes = new Set((given ?? data.shape.map((_, i) => i)).map((axis) => axisOf(axis, data.shape.length)));
  const keeps = attributes.int('keepdims', 1) === 1;
  const shape = data.shape.flatMap((size, i) => (axes.has(i) ? (keeps ? [1] : []) : [size]));
  const { values } = data;
  return [ofShape(shape, data.type, values !== undefined && axes.size === 0 ? values : undefined)];
};

const argument: ShapeRule = ([data], { attributes }) => {
  if (data === undefined) return [undefined];
  const axis = axisOf(attributes.int('axis', 0), data.shape.length);
  const keeps = attributes.int('keepdims', 1) === 1;
  return [ofShape(keeps ? data.shape.with(axis, 1) : data.shape.toSpliced(axis, 1), Type.INT64)];
};

const topK: ShapeRule = ([data, count], { attributes }) => {
  const k = count?.values?.[0] ?? attributes.ints('k')?.[0];
  if (data === undefined || k === undefined) return [undefined, undefined];
  const shape = data.shape.with(axisOf(attributes.int('axis', -1), data.shape.length), k);
  return [ofShape(shape, data.type), ofShape(shape, Type.INT64)];
};

const expand: ShapeRule = ([data, target]) => {
  const shape = data === undefined || target?.values === undefined ? undefined : broadcast(data.shape, target.values);
  return [ofShape(shape, data?.type ?? 0)];
};

const tile: ShapeRule = ([data, repeats]) => [
  ofShape(
    repeats?.values === undefined ? undefined : data?.shape.map((size, i) => size * (repeats.values![i] ?? 1)),
    data?.type ?? 0,
  ),
];

const range: ShapeRule = ([start, limit, delta]) => {
  const [from, to, step] = [start, limit, delta].map((input) => input?.values?.[0]);
  if (from === undefined || to === undefined || step === undefined || step === 0) return [undefined];
  const count = Math.max(0, Math.ceil((to - from) / step));
  const values = count <= 64 ? Array.from({ length: count }, (_, i) => from + i * step) : undefined;
  return [ofShape([count], start!.type, values)];
};

const constantOfShape: ShapeRule = ([target], { attributes }) => {
  const tensor = attributes.get('value')?.t;
  const value = tensor === undefined ? undefined : knownTensor(tensor);
  const type = value?.type ?? Type.FLOAT;
  const filled = value === undefined ? 0 : value.values?.[0];
  const shape = target?.values ?? (target?.shape[0] === 0 ? [] : undefined);
  if (shape === undefined) return [undefined];
  const count = elementCount(shape);
  return [ofShape(shape, type, filled === undefined || count > 64 ? undefined : Array<number>(count).fill(filled))];
};

const constant: ShapeRule = (_inputs, { attributes }) => {
  const tensor = attributes.get('value')?.t;
  if (tensor !== undefined) return [knownTensor(tensor)];
  const ints = attributes.ints('value_ints');
  if (ints !== undefined) return [ofShape([ints.length], Type.INT64, ints)];
  const int = attributes.get('value_int');
  if (int !== undefined) return [ofShape([], Type.INT64, [Number(int.i)])];
  const float = attributes.get('value_float');
  if (float !== undefined) return [ofShape([], Type.FLOAT, [float.f])];
  const floats = attributes.floats('value_floats');
  return [floats === undefined ? undefined : ofShape([floats.length], Type.FLOAT, floats)];
};

const shapeOf: ShapeRule = ([data], { attributes }) => {
  if (data === undefined) return [undefined];
  const rank = data.shape.length;
  const sizes = data.shape.slice(axisOf(attributes.int('start', 0), rank), axisOf(attributes.int('end', rank), rank));
  return [ofShape([sizes.length], Type.INT64, sizes)];
};

const WHOLE_NUMBERS = new Set<number>([Type.INT32, Type.INT64]);

const cast: ShapeRule = ([data], { attributes }) => {
  const type = attributes.int('to', Type.FLOAT);
  const isWhole = WHOLE_NUMBERS.has(type);
  return [ofShape(data?.shape, type, isWhole ? data?.values?.map(Math.trunc) : data?.values)];
};

const depthToSpace: ShapeRule = ([data], { attributes }) => {
  const [rows, channels, height, width] = data?.shape ?? [];
  const block = attributes.int('blocksize', 1);
  if (width === undefined) return [undefined];
  return [ofShape([rows!, channels! / block ** 2, height! * block, width * block], data!.type)];
};

const spaceToDepth: ShapeRule = ([data], { attributes }) => {
  const [rows, channels, height, width] = data?.shape ?? [];
  const block = attributes.int('blocksize', 1);
  if (width === undefined) return [undefined];
  return [ofShape([rows!, channels! * block ** 2, height! / block, width / block], data!.type)];
};

const recurrent =
  (states: number): ShapeRule =>
  ([x, w], { attributes }) => {
    const [steps, batch] = x?.shape ?? [];
    const directions = w?.shape[0];
    if (x === undefined || batch === undefined || directions === undefined) return [];
    const hidden = attributes.int('hidden_size', 0);
    const isBatchFirst = attributes.int('layout', 0) === 1;
    const state = ofShape(isBatchFirst ? [steps!, directions, hidden] : [directions, batch, hidden], x.type);
    const all = ofShape(
      isBatchFirst ? [steps!, batch, directions, hidden] : [steps!, directions, batch, hidden],
      x.type,
    );
    return [all, ...Array<KnownTensor | undefined>(states).fill(state)];
  };

const layerNormalization: ShapeRule = ([data], { attributes }) => {
  if (data === undefined) return [undefined];
  const axis = axisOf(attributes.int('axis', -1), data.shape.length);
  const moments = ofShape(
    data.shape.map((size, i) => (i < axis ? size : 1)),
    Type.FLOAT,
  );
  return [ofShape(data.shape, data.type), moments, moments];
};

const quantizedConvolution: ShapeRule = ([x, , , w, , , , zero], context) => convolution([x, w], context, zero?.type);
const quantizedProduct: ShapeRule = ([a, , , b, , , , zero]) => [product(a, b, zero?.type)];
const QUANTIZED = Type.UINT8;

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax LeakyRelu Log LogSoftmax LRN MeanVarianceNormalization Mish Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu CumSum ScatterND ScatterElements FastGelu QuickGelu BiasGelu LpNormalization BatchNormalization InstanceNormalization GroupNormalization SimplifiedLayerNormalization SkipLayerNormalization RMSNormalization';
const BINARY = 'Pow PRelu Sum Mean Min Max Mod BitShift And Or Xor';
const COMPARING = 'Equal Greater GreaterOrEqual Less LessOrEqual';
const REDUCING = 'Max Mean Min Prod Sum SumSquare L1 L2 LogSum LogSumExp';

const RULES: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(UNARY.split(' ').map((operator) => [operator, first])),
  ...Object.fromEntries(BINARY.split(' ').map((operator) => [operator, elementwise()])),
  ...Object.fromEntries(COMPARING.split(' ').map((operator) => [operator, elementwise(undefined, Type.BOOL)])),
  ...Object.fromEntries(REDUCING.split(' ').map((name) => [`Reduce${name}`, reduce])),
  Dropout: ([data]) => [ofShape(data?.shape, data?.type ?? 0), ofShape(data?.shape, Type.BOOL)],
  Neg: ([data]) => [
    ofShape(
      data?.shape,
      data?.type ?? 0,
      data?.values?.map((value) => -value),
    ),
  ],
  Identity: same,
  Not: first,
  IsNaN: ([data]) => [ofShape(data?.shape, Type.BOOL)],
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: elementwise((a, b) => (Number.isInteger(a) && Number.isInteger(b) ? Math.trunc(a / b) : a / b)),
  Where: ([condition, a, b]) => {
    if (condition === undefined || a === undefined || b === undefined) return [undefined];
    return [ofShape(broadcast(condition.shape, a.shape, b.shape), a.type)];
  },
  Cast: cast,
  Conv: convolution,
  FusedConv: convolution,
  ConvInteger: (inputs, context) => convolution(inputs, context, Type.INT32),
  QLinearConv: quantizedConvolution,
  ConvTranspose: transposedConvolution,
  MaxPool: (inputs, context) => {
    const [result] = pool(inputs, context);
    return [result, ofShape(result?.shape, Type.INT64)];
  },
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  LayerNormalization: layerNormalization,
  MatMul: matrixProduct,
  FusedMatMul: matrixProduct,
  MatMulInteger: ([a, b]) => [product(a, b, Type.INT32)],
  MatMulIntegerToFloat: ([a, b]) => [product(a, b, Type.FLOAT)],
  DynamicQuantizeMatMul: ([a, b]) => [product(a, b, Type.FLOAT)],
  QLinearMatMul: quantizedProduct,
  Gemm: gemm,
  FusedGemm: gemm,
  QuantizeLinear: ([data, , zero]) => [ofShape(data?.shape, zero?.type ?? QUANTIZED)],
  DequantizeLinear: ([data, scale]) => [ofShape(data?.shape, scale?.type ?? Type.FLOAT)],
  DynamicQuantizeLinear: ([data]) => [ofShape(data?.shape, QUANTIZED), ofShape([], Type.FLOAT), ofShape([], QUANTIZED)],
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Gather: gather,
  GatherElements: ([data, indices]) => [ofShape(indices?.shape, data?.type ?? 0)],
  Slice: slice,
  Pad: pad,
  Resize: resize,
  Upsample: resize,
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
  Expand: expand,
  Tile: tile,
  Range: range,
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shapeOf,
  Size: ([data]) => [data === undefined ? undefined : ofShape([], Type.INT64, [elementCount(data.shape)])],
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  LSTM: recurrent(2),
  GRU: recurrent(1),
  RNN: recurrent(1),
};

/** By operator of the standard and of ONNX Runtime's own domain, whose names do not overlap. */
export const SHAPE_RULES: ReadonlyMap<string, ShapeRule> = new Map(Object.entries(RULES));
