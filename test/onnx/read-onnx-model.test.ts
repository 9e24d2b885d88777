import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttributeProto_AttributeType, TensorProto_DataType } from '../../runtime/onnx/generated/onnx-ml_pb';
import { OnnxFileError, type OnnxFileErrorCode } from '../../runtime/onnx/onnx-file-error';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  addOneModel,
  buildModel,
  externalDataModel,
  externalTensor,
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
  type ValueInit,
} from '../support/onnx-models';

const DIGITS = 'models/digits/model.onnx';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-onnx-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(bytes: Uint8Array | string, name = 'model.onnx'): string {
  const path = join(mkdtempSync(join(folder, 'case-')), name);
  writeFileSync(path, bytes);
  return path;
}

function refusal(path: string): OnnxFileError {
  try {
    readOnnxModel(path);
  } catch (error) {
    if (OnnxFileError.is(error)) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

function expectRefusal(path: string, code: OnnxFileErrorCode, message: string): void {
  expect(refusal(path).message).toBe(`${code} ${path}: ${message}`);
}

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
    expect(weightBytes).toBe(2 * 256 * 256 * 4 + 4);

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

describe('external data', () => {
  function writtenExternal(options: { location?: string; write?: string | undefined; keep?: number } = {}): string {
    const { model, weights } = externalDataModel(options.location === undefined ? {} : { location: options.location });
    const path = written(model);
    const file = join(path, '..', options.write ?? 'weights.bin');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, weights.subarray(0, options.keep));
    return path;
  }

  test('is a file of the model, with its size and digest', () => {
    const path = writtenExternal();
    const weights = readFileSync(join(path, '..', 'weights.bin'));
    const { facts, files } = readOnnxModel(path);
    expect(files[1]).toEqual({
      path: 'weights.bin',
      bytes: 80,
      sha256: createHash('sha256').update(weights).digest('hex'),
      localPath: join(path, '..', 'weights.bin'),
    });
    expect(facts).toMatchObject({ weightBytes: 16, fileBytes: readFileSync(path).byteLength + 80 });
  });

  test('is listed once, however many tensors lie in it, and found in a folder below the model', () => {
    const path = written(
      buildModel({
        initializer: [
          externalTensor('a', 'FP32', [2], { location: './parts/w.bin' }),
          externalTensor('b', 'FP32', [2], { location: 'parts/w.bin', offset: '8', length: '8' }),
        ],
      }),
    );
    mkdirSync(join(path, '..', 'parts'));
    writeFileSync(join(path, '..', 'parts', 'w.bin'), new Uint8Array(16));
    expect(readOnnxModel(path).files.map((file) => file.path)).toEqual(['model.onnx', 'parts/w.bin']);
  });

  test('that is missing is named, with the place where it should be', () => {
    const path = written(externalDataModel().model);
    const place = join(path, '..', 'weights.bin');
    expectRefusal(
      path,
      'EXTERNAL_DATA_MISSING',
      `tensor 'weight' lies in 'weights.bin', which is missing: put it beside the model, at ${place}`,
    );
  });

  test('that is too short for its tensors is refused with both numbers', () => {
    expectRefusal(
      writtenExternal({ keep: 79 }),
      'EXTERNAL_DATA_TRUNCATED',
      "tensor 'weight' ends at byte 80 of 'weights.bin', which ends at byte 79",
    );
  });

  test.each(['../weights.bin', '/etc/passwd', 'a/../../weights.bin', 'a\\weights.bin', '..'])(
    'may not leave the folder of the model: %s',
    (location) => {
      expectRefusal(
        writtenExternal({ location, write: 'weights.bin' }),
        'EXTERNAL_DATA_OUTSIDE',
        `tensor 'weight' lies in '${location}', which leaves the model's folder: export it with a relative path`,
      );
    },
  );

  test('may not be a link that leaves the folder of the model', () => {
    const { model, weights } = externalDataModel();
    const path = written(model);
    const elsewhere = written(weights, 'secret');
    symlinkSync(elsewhere, join(path, '..', 'weights.bin'));
    expect(refusal(path).code).toBe('EXTERNAL_DATA_OUTSIDE');
  });

  test('may be a link into the folder where the model itself is linked from, as model caches do', () => {
    const { model, weights } = externalDataModel();
    const cache = mkdtempSync(join(folder, 'cache-'));
    mkdirSync(join(cache, 'blobs'));
    mkdirSync(join(cache, 'snapshot'));
    writeFileSync(join(cache, 'blobs', 'aa'), model);
    writeFileSync(join(cache, 'blobs', 'bb'), weights);
    symlinkSync('../blobs/aa', join(cache, 'snapshot', 'model.onnx'));
    symlinkSync('../blobs/bb', join(cache, 'snapshot', 'weights.bin'));
    expect(readOnnxModel(join(cache, 'snapshot', 'model.onnx')).files[1]?.bytes).toBe(80);
  });

  test('may not take a name that the model repository needs', () => {
    expect(refusal(writtenExternal({ location: 'manifest.json' })).code).toBe('EXTERNAL_DATA_INVALID');
    expect(refusal(writtenExternal({ location: 'model.onnx' })).code).toBe('EXTERNAL_DATA_INVALID');
  });

  test.each([
    [{ location: 'weights.bin', offset: '-1' }, "has external data with offset '-1', which must be a number of bytes"],
    [{ location: 'weights.bin', length: '12' }, 'must be 16 bytes by its shape, got a length of 12'],
    [{ offset: '0' }, 'lies in another file, but names none'],
  ])('with entries that make no sense is refused: %j', (entries, message) => {
    const path = written(buildModel({ initializer: [externalTensor('w', 'FP32', [4], entries)] }));
    writeFileSync(join(path, '..', 'weights.bin'), new Uint8Array(16));
    expectRefusal(path, 'EXTERNAL_DATA_INVALID', `tensor 'w' ${message}`);
  });
});

describe('a signature that the runtime cannot serve', () => {
  const tensorOf = (elemType: TensorProto_DataType): ValueInit => ({
    name: 'x',
    type: { value: { case: 'tensorType', value: { elemType, shape: { dim: [] } } } },
  });

  test.each([
    [TensorProto_DataType.BFLOAT16, 'bfloat16', 'float or float16'],
    [TensorProto_DataType.FLOAT8E4M3FN, 'float8e4m3fn', 'float or float16'],
    [TensorProto_DataType.COMPLEX64, 'complex64', 'float or float16'],
    [TensorProto_DataType.INT4, 'int4', 'int8'],
    [TensorProto_DataType.UINT2, 'uint2', 'uint8'],
  ])('names the tensor, its type %i, %s, and what carries it: %s', (type, name, substitute) => {
    expectRefusal(
      written(buildModel({ input: [tensorOf(type)] })),
      'TYPE_UNSUPPORTED',
      `input 'x' is ${name}, which the runtime cannot carry: cast it to ${substitute} inside the model`,
    );
  });

  test('says how to export a scikit-learn classifier, whose probabilities are a sequence of maps', () => {
    const probabilities: ValueInit = {
      name: 'probabilities',
      type: {
        value: { case: 'sequenceType', value: { elemType: { value: { case: 'mapType', value: { keyType: 7 } } } } },
      },
    };
    expectRefusal(
      written(buildModel({ output: [probabilities] })),
      'TYPE_UNSUPPORTED',
      "output 'probabilities' is a sequence, and the runtime carries tensors only; for a scikit-learn classifier export with zipmap=False",
    );
  });

  test.each(['mapType', 'optionalType', 'sparseTensorType'] as const)('refuses an input that is a %s', (kind) => {
    const input: ValueInit = { name: 'x', type: { value: { case: kind, value: {} } as never } };
    expect(refusal(written(buildModel({ input: [input] }))).code).toBe('TYPE_UNSUPPORTED');
  });

  test('refuses a tensor whose rank is unknown, and one without any type', () => {
    const unranked: ValueInit = {
      name: 'y',
      type: { value: { case: 'tensorType', value: { elemType: TensorProto_DataType.FLOAT } } },
    };
    expect(refusal(written(buildModel({ output: [unranked] }))).code).toBe('SHAPE_UNKNOWN');
    expect(refusal(written(buildModel({ output: [{ name: 'y' }] }))).code).toBe('TYPE_UNSUPPORTED');
  });
});

describe('a file that is no model', () => {
  test('is named when it does not exist, and a folder is not taken for it', () => {
    expectRefusal(join(folder, 'none.onnx'), 'FILE_MISSING', 'does not exist');
    expectRefusal(folder, 'FILE_UNREADABLE', 'is no file: name the .onnx file itself');
  });

  test.each([
    ['an empty file', '', 'is empty'],
    ['JSON', '{"a": 1}', 'is not an ONNX model: no field of one begins at byte 0'],
    ['text', 'hello, world', 'is not an ONNX model: no field of one begins at byte 2'],
    ['a zip archive', 'PK\u0003\u0004 whatever follows', 'is not an ONNX model: no field of one begins at byte 2'],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
      'is a Git LFS pointer, not the model: fetch it with `git lfs pull`',
    ],
  ])('is refused in one sentence: %s', (_, content, message) => {
    expectRefusal(written(content), 'NOT_ONNX', message);
  });

  test('is refused when it has no graph', () => {
    expectRefusal(written(Uint8Array.of(8, 8)), 'NOT_ONNX', 'holds no graph: not an ONNX model, or cut off at byte 2');
  });

  test('is refused when a tensor has fewer bytes than its shape needs', () => {
    const short: TensorInit = {
      name: 'w',
      dims: [4n],
      dataType: TensorProto_DataType.FLOAT,
      rawData: new Uint8Array(12),
    };
    expectRefusal(
      written(withInitializer(short)),
      'MALFORMED',
      "tensor 'w' must be 16 bytes, float of shape [4], got 12",
    );
  });

  test.each([
    ['a negative size', [-1n]],
    ['a size beyond all memory', [1n << 40n, 1n << 40n]],
  ])('is refused when a tensor has %s', (_, dims) => {
    const tensor: TensorInit = { name: 'w', dims, dataType: TensorProto_DataType.FLOAT };
    expect(refusal(written(withInitializer(tensor))).code).toBe('MALFORMED');
  });

  test('is refused, not overflowed, when it nests deeper than the decoder goes', () => {
    let graph: GraphInit = { name: 'innermost' };
    for (let depth = 0; depth < 60; depth++) {
      graph = {
        node: [node('If', ['c'], [], [{ name: 'then_branch', type: AttributeProto_AttributeType.GRAPH, g: graph }])],
      };
    }
    expect(refusal(written(buildModel(graph))).code).toBe('MALFORMED');
  });
});

describe('a file that was cut off', () => {
  test('is refused with the byte where it ends and the byte it needs', () => {
    const bytes = readFileSync(DIGITS);
    expectRefusal(
      written(bytes.subarray(0, 50_000)),
      'TRUNCATED',
      'is cut off: the field at byte 34 needs 104509 bytes, the file ends at byte 50000',
    );
  });

  test('is refused wherever it was cut', () => {
    const path = written('');
    for (const model of [addOneModel(), twoInputsModel(), externalDataModel().model]) {
      for (let length = 0; length < model.byteLength; length++) {
        writeFileSync(path, model.subarray(0, length));
        expect(['NOT_ONNX', 'TRUNCATED']).toContain(refusal(path).code);
      }
    }
  });

  test('or whose bytes were changed gives facts or an OnnxFileError, nothing else', () => {
    const model = twoInputsModel();
    const path = written(model);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(model.byteLength - 1), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 8,
        }),
        (changes) => {
          const damaged = Uint8Array.from(model);
          for (const [at, byte] of changes) damaged[at] = byte;
          writeFileSync(path, damaged);
          try {
            readOnnxModel(path);
          } catch (error) {
            expect(OnnxFileError.is(error), String(error)).toBe(true);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('or is random bytes is never accepted', () => {
    const path = written('');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        writeFileSync(path, bytes);
        expect(OnnxFileError.is(refusal(path))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

function withInitializer(tensor: TensorInit): Uint8Array {
  return buildModel({ initializer: [tensor] });
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
