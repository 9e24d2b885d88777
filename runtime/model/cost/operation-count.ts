import type { NodeProto } from '../../onnx/generated/onnx-ml_pb';
import { knownOperator } from '../../onnx/operators';
import { Attributes } from '../../onnx/shapes/attributes';
import type { KnownShapes } from '../../onnx/shapes/infer-shapes';
import { elementCount, type Shape } from '../../onnx/shapes/tensor-value';

type ShapeOf = (name: string | undefined) => Shape | undefined;

/**
 * Floating-point operations of one run of a node, by the usual count: a multiplication and an addition are two. Undefined where
 * shapes are unknown; data that is only moved costs none.
 */
export function operationsOf(node: NodeProto, shapes: KnownShapes): number | undefined {
  const shapeOf: ShapeOf = (name) => (name === undefined || name === '' ? undefined : shapes.get(name)?.shape);
  const operator = knownOperator(node);
  if (operator === undefined || HAS_SUBGRAPH.has(operator)) return undefined;
  if (MOVES.has(operator)) return 0;
  const counter = Object.hasOwn(COUNTERS, operator) ? COUNTERS[operator]! : everyOutput(operator);
  const operations = counter(node, shapeOf);
  // What a node says about itself may be nonsense that no session accepts.
  return operations !== undefined && operations >= 0 && Number.isFinite(operations) ? operations : undefined;
}

type Counter = (node: NodeProto, shapeOf: ShapeOf) => number | undefined;

/** Every element of the output is a window of the weight, summed. */
function convolution(weight: number): Counter {
  return ({ input, output }, shapeOf) => {
    const kernel = shapeOf(input[weight]);
    const result = shapeOf(output[0]);
    return kernel === undefined || result === undefined
      ? undefined
      : 2 * elementCount(result) * elementCount(kernel.slice(1));
  };
}

const transposedConvolution: Counter = ({ input }, shapeOf) => {
  const [data, kernel] = [shapeOf(input[0]), shapeOf(input[1])];
  return data === undefined || kernel === undefined
    ? undefined
    : 2 * elementCount(data) * elementCount(kernel.slice(1));
};

function product(left: number): Counter {
  return ({ input, output }, shapeOf) => {
    const [a, result] = [shapeOf(input[left]), shapeOf(output[0])];
    return a === undefined || result === undefined ? undefined : 2 * elementCount(result) * (a.at(-1) ?? 1);
  };
}

const gemm: Counter = (node, shapeOf) => {
  const [a, result] = [shapeOf(node.input[0]), shapeOf(node.output[0])];
  if (a === undefined || result === undefined) return undefined;
  const inner = a[new Attributes(node).int('transA', 0) === 0 ? 1 : 0] ?? 1;
  return 2 * elementCount(result) * inner;
};

const pool: Counter = (node, shapeOf) => {
  const result = shapeOf(node.output[0]);
  const kernel = new Attributes(node).ints('kernel_shape');
  return result === undefined || kernel === undefined ? undefined : elementCount(result) * elementCount(kernel);
};

function everyOutput(operator: string): Counter {
  const each = Object.hasOwn(PER_ELEMENT, operator) ? PER_ELEMENT[operator]! : 1;
  return ({ output }, shapeOf) => {
    const result = shapeOf(output[0]);
    return result === undefined ? undefined : elementCount(result) * each;
  };
}

/** One operation for each element that goes in. */
const everyInput: Counter = ({ input }, shapeOf) => {
  const data = shapeOf(input[0]);
  return data === undefined ? undefined : elementCount(data);
};

function recurrent(gates: number): Counter {
  return ({ input }, shapeOf) => {
    const [x, w, r] = [shapeOf(input[0]), shapeOf(input[1]), shapeOf(input[2])];
    if (x === undefined || w === undefined || r === undefined) return undefined;
    const [directions = 1, rows = 0, width = 0] = w;
    const hidden = rows / gates;
    return 2 * directions * x[0]! * (x[1] ?? 1) * rows * (width + hidden);
  };
}

const COUNTERS: Readonly<Record<string, Counter>> = {
  Conv: convolution(1),
  FusedConv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  ConvTranspose: transposedConvolution,
  MatMul: product(0),
  FusedMatMul: product(0),
  MatMulInteger: product(0),
  MatMulIntegerToFloat: product(0),
  DynamicQuantizeMatMul: product(0),
  QLinearMatMul: product(0),
  Gemm: gemm,
  FusedGemm: gemm,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: everyInput,
  GlobalMaxPool: everyInput,
  ...Object.fromEntries(
    'Max Mean Min Prod Sum SumSquare L1 L2 LogSum LogSumExp'.split(' ').map((name) => [`Reduce${name}`, everyInput]),
  ),
  ArgMax: everyInput,
  ArgMin: everyInput,
  LSTM: recurrent(4),
  GRU: recurrent(3),
  RNN: recurrent(1),
};

/** What they do is in the nodes of their subgraphs, which are not counted. */
const HAS_SUBGRAPH = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);

const MOVES = new Set(
  'Reshape Flatten Transpose Concat Split Squeeze Unsqueeze Gather GatherElements Slice Pad Expand Tile Identity Constant ConstantOfShape Shape Size Cast Dropout DepthToSpace SpaceToDepth Range'.split(
    ' ',
  ),
);

/** Beside one operation for each element of the output. Transcendental functions are counted as one, as profilers do. */
const PER_ELEMENT: Readonly<Record<string, number>> = {
  BatchNormalization: 2,
  LayerNormalization: 5,
  InstanceNormalization: 5,
  GroupNormalization: 5,
  Softmax: 3,
  LogSoftmax: 4,
  QuantizeLinear: 2,
  DequantizeLinear: 2,
};
