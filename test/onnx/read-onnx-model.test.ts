import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { TensorProto_DataType } from '../../runtime/onnx/generated/onnx-ml_pb';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  buildModel,
  floatTensor,
  graphAttribute,
  identityModel,
  int64Tensor,
  node,
  slowModel,
  tensorAttribute,
  twoInputsModel,
  value,
  type GraphInit,
  type TensorInit,
} from '../support/onnx-models';
import { written } from '../support/written-files';

const DIGITS = 'models/digits/model.onnx';

describe('a model that is whole', () => {
  test('gives the sample model exactly as its training script wrote it', () => {
    const bytes = readFileSync(DIGITS);
    expect(readOnnxModel(DIGITS)).toEqual({
      facts: {
        inputs: [{ name: 'image', datatype: 'FP32', shape: ['batch', 1, 8, 8] }],
        outputs: [{ name: 'probabilities', datatype: 'FP32', shape: ['batch', 10] }],
        opsets: [{ domain: '', version: 17 }],
        operators: [
          { domain: '', operator: 'Conv', count: 3 },
          { domain: '', operator: 'Div', count: 1 },
          { domain: '', operator: 'Flatten', count: 1 },
          { domain: '', operator: 'Gemm', count: 1 },
          { domain: '', operator: 'MaxPool', count: 2 },
          { domain: '', operator: 'Relu', count: 3 },
          { domain: '', operator: 'Softmax', count: 1 },
        ],
        weightBytes: 25_867 * 4,
        fileBytes: bytes.byteLength,
      },
      files: [
        {
          path: 'model.onnx',
          bytes: bytes.byteLength,
          sha256: createHash('sha256').update(bytes).digest('hex'),
          localPath: DIGITS,
        },
      ],
      irVersion: 8,
      producer: 'slipway models/digits/train.py',
      graphName: 'digits',
    });
  });

  test('is called model.onnx in the model repository, whatever its file is called here', () => {
    const path = written(identityModel(), 'resnet50-v2.onnx');
    expect(readOnnxModel(path).files).toMatchObject([{ path: 'model.onnx', localPath: path }]);
  });

  test('lists inputs and outputs in order, each with its own datatype', () => {
    const { inputs, outputs } = readOnnxModel(written(twoInputsModel())).facts;
    expect(inputs.map((tensor) => tensor.name)).toEqual(['left', 'right']);
    expect(outputs.map((tensor) => [tensor.name, tensor.datatype])).toEqual([
      ['sum', 'FP32'],
      ['larger', 'BOOL'],
    ]);
  });

  test('tells fixed, named and unnamed free dimensions apart, and -1 is free', () => {
    const { inputs } = readOnnxModel(written(identityModel({ shape: ['batch', 3, '', -1] }))).facts;
    expect(inputs[0]?.shape).toEqual(['batch', 3, '', '']);
  });

  test('does not list an initializer that the graph also names as an input', () => {
    const path = written(
      buildModel({
        node: [node('Add', ['input', 'bias'], ['output'])],
        input: [value('input', 'FP32', [2]), value('bias', 'FP32', [2])],
        output: [value('output', 'FP32', [2])],
        initializer: [floatTensor('bias', [2], [1, 2])],
      }),
    );
    expect(readOnnxModel(path).facts.inputs.map((tensor) => tensor.name)).toEqual(['input']);
  });

  test('counts operators and weights of subgraphs', () => {
    const { operators, weightBytes } = readOnnxModel(written(slowModel())).facts;
    expect(operators).toContainEqual({ domain: '', operator: 'MatMul', count: 1 });
    expect(operators).toContainEqual({ domain: '', operator: 'Loop', count: 1 });
    expect(weightBytes).toBe(2 * 256 * 256 * 4 + 4 + 8);

    const branch: GraphInit = {
      node: [node('Identity', ['c'], ['y'])],
      output: [value('y', 'FP32', [3])],
      initializer: [floatTensor('c', [3], [1, 2, 3])],
    };
    const nested = buildModel({
      node: [
        node('If', ['flag'], ['out'], [graphAttribute('then_branch', branch), graphAttribute('else_branch', branch)]),
      ],
      input: [value('flag', 'BOOL', [])],
      output: [value('out', 'FP32', [3])],
    });
    expect(readOnnxModel(written(nested)).facts).toMatchObject({
      operators: [
        { operator: 'Identity', count: 2 },
        { operator: 'If', count: 1 },
      ],
      weightBytes: 24,
    });
  });

  test('counts the body of a local function in place of its calls, with the opsets that only it imports', () => {
    const model = buildModel(
      {
        node: [node('Twice', ['x'], ['h'], [], 'local'), node('Twice', ['h'], ['y'], [], 'local')],
        input: [value('x', 'FP32', [1])],
        output: [value('y', 'FP32', [1])],
      },
      {
        opsetImport: [
          { domain: 'ai.onnx', version: 17n },
          { domain: 'local', version: 1n },
        ],
        functions: [
          {
            name: 'Twice',
            domain: 'local',
            input: ['a'],
            output: ['b'],
            node: [node('Scaler', ['a'], ['b'], [], 'ai.onnx.ml'), node('Relu', ['a'], ['c'], [], 'ai.onnx')],
            opsetImport: [{ domain: 'ai.onnx.ml', version: 3n }],
          },
        ],
      },
    );
    const { operators, opsets } = readOnnxModel(written(model)).facts;
    expect(operators).toEqual([
      { domain: '', operator: 'Relu', count: 1 },
      { domain: 'ai.onnx.ml', operator: 'Scaler', count: 1 },
    ]);
    expect(opsets).toEqual([
      { domain: '', version: 17 },
      { domain: 'ai.onnx.ml', version: 3 },
    ]);
  });

  const sizes: readonly [string, TensorInit, number][] = [
    ['raw bytes', floatTensor('w', [3], [1, 2, 3]), 12],
    ['typed floats', { name: 'w', dims: [2n], dataType: TensorProto_DataType.FLOAT, floatData: [1, 2] }, 8],
    [
      'halves kept as int32',
      { name: 'w', dims: [3n], dataType: TensorProto_DataType.FLOAT16, int32Data: [1, 2, 3] },
      6,
    ],
    ['a scalar', int64Tensor('w', [], [7n]), 8],
    ['no element', { name: 'w', dims: [0n, 5n], dataType: TensorProto_DataType.FLOAT }, 0],
    [
      'strings',
      { name: 'w', dims: [2n], dataType: TensorProto_DataType.STRING, stringData: [text('ab'), text('é')] },
      4,
    ],
    ['five INT4', { name: 'w', dims: [5n], dataType: TensorProto_DataType.INT4, rawData: new Uint8Array(3) }, 3],
    ['five UINT2', { name: 'w', dims: [5n], dataType: TensorProto_DataType.UINT2, rawData: new Uint8Array(2) }, 2],
  ];
  test.each(sizes)('weighs an initializer by its elements: %s', (_, tensor, bytes) => {
    expect(readOnnxModel(written(withInitializer(tensor))).facts.weightBytes).toBe(bytes);
  });

  test('weighs the tensor of a Constant node and both parts of a sparse initializer', () => {
    const constant = buildModel({
      node: [node('Constant', [], ['y'], [tensorAttribute('value', floatTensor('', [5], [1, 2, 3, 4, 5]))])],
      output: [value('y', 'FP32', [5])],
    });
    expect(readOnnxModel(written(constant)).facts.weightBytes).toBe(20);

    const sparse = buildModel({
      sparseInitializer: [
        { values: floatTensor('s', [2], [1, 2]), indices: int64Tensor('', [2], [0n, 9n]), dims: [10n] },
      ],
    });
    expect(readOnnxModel(written(sparse)).facts.weightBytes).toBe(8 + 16);
  });
});

function withInitializer(tensor: TensorInit): Uint8Array {
  return buildModel({ initializer: [tensor] });
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
