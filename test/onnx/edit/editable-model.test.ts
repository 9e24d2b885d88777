import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  ModelProtoSchema,
  TensorProto_DataType as Type,
  TensorProtoSchema,
} from '../../../runtime/onnx/generated/onnx-ml_pb';
import { readEditableModel, type EditableModel } from '../../../runtime/onnx/edit/editable-model';
import { GraphIndex } from '../../../runtime/onnx/edit/graph-index';
import {
  bytesOfTensor,
  floatsOfTensor,
  integersOfTensor,
  setTensorFloats,
  setTensorIntegers,
} from '../../../runtime/onnx/edit/tensor-elements';
import { writeModel } from '../../../runtime/onnx/edit/write-model';
import { OnnxFileError } from '../../../runtime/onnx/onnx-file-error';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { runModel } from '../../../runtime/model/run-model';
import { generateGoldenInput } from '../../../runtime/model/golden-input';
import {
  buildModel,
  externalDataModel,
  externalTensor,
  floatTensor,
  identityModel,
  int64Tensor,
  matmulModel,
  node,
  slowModel,
  twoInputsModel,
  value,
} from '../../support/onnx-models';
import { emptyFolder, written } from '../../support/written-files';

const DIGITS = 'models/digits/model.onnx';

/** Writes a model as it was read, and reads that. */
function rewritten(
  path: string,
  maxFileBytes?: number,
): { path: string; files: readonly string[]; model: EditableModel } {
  const target = join(emptyFolder(), 'copy.onnx');
  const files = writeModel(readEditableModel(path), target, maxFileBytes === undefined ? {} : { maxFileBytes });
  return { path: target, files, model: readEditableModel(target) };
}

/** What a model says, whichever way its tensors are stored: comparable as a whole. */
function content(path: string) {
  const model = readEditableModel(path);
  const { graph } = model.proto;
  const tensors = graph.initializer.map((tensor) => ({
    name: tensor.name,
    dims: tensor.dims,
    dataType: tensor.dataType,
    docString: tensor.docString,
    bytes: Buffer.from(bytesOfTensor(model, tensor)).toString('hex'),
  }));
  graph.initializer = [];
  return { tensors, rest: Buffer.from(toBinary(ModelProtoSchema, model.proto)).toString('hex') };
}

async function outputsOf(path: string) {
  const { facts } = readOnnxModel(path);
  const [result] = await runModel(path, generateGoldenInput(facts), facts.outputs, 1);
  return result;
}

describe('a model that is read and written', () => {
  test.each([
    ['matmul', matmulModel()],
    ['two inputs', twoInputsModel()],
    ['a loop', slowModel()],
    ['no weights', identityModel()],
  ])('says the same and gives the same bits: %s', async (_, bytes) => {
    const path = written(bytes);
    const again = rewritten(path);
    expect(content(again.path)).toEqual(content(path));
    expect(await outputsOf(again.path)).toEqual(await outputsOf(path));
  });

  test('gives the same bits for a trained network, inside one file and with its weights in another', async () => {
    const expected = await outputsOf(DIGITS);
    expect(await outputsOf(rewritten(DIGITS).path)).toEqual(expected);
    const split = rewritten(DIGITS, 1_000);
    expect(split.files).toEqual([split.path, `${split.path}.data`]);
    expect(statSync(split.path).size).toBeLessThan(5_000);
    expect(readOnnxModel(split.path).files.map((file) => file.path)).toEqual(['model.onnx', 'copy.onnx.data']);
    expect(await outputsOf(split.path)).toEqual(expected);
    // And back: what lies in another file comes home.
    const joined = rewritten(split.path);
    expect(joined.files).toEqual([joined.path]);
    expect(content(joined.path)).toEqual(content(DIGITS));
  });

  test('has its external data inside when there is room', async () => {
    const { model, weights } = externalDataModel();
    const path = written(model);
    writeFileSync(join(path, '..', 'weights.bin'), weights);
    const again = rewritten(path);
    expect(readOnnxModel(again.path).files).toHaveLength(1);
    expect(floatsOfTensor(again.model, again.model.proto.graph.initializer[0]!)).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(await outputsOf(again.path)).toEqual(await outputsOf(path));
  });

  test('keeps fields of a later ONNX, of the model, the graph and a tensor', () => {
    // Field 999 with the bytes 'later'.
    const later = Buffer.from([0xba, 0x3e, 5, ...Buffer.from('later')]);
    const proto = fromBinary(ModelProtoSchema, matmulModel());
    const unknown = { no: 999, wireType: 2, data: Buffer.from([5, ...Buffer.from('later')]) };
    proto.graph!.$unknown = [unknown];
    proto.graph!.initializer[0]!.$unknown = [unknown];
    const path = written(Buffer.concat([toBinary(ModelProtoSchema, proto), later]));
    const count = (file: string) => readFileSync(file).toString('latin1').split(later.toString('latin1')).length - 1;
    expect(count(path)).toBe(3);
    expect(count(rewritten(path).path)).toBe(3);
    expect(count(rewritten(path, 1).path)).toBe(3);
  });

  test('is the same model whatever its tensors hold, in typed fields, as bytes, or in another file', () => {
    const types = [Type.FLOAT, Type.DOUBLE, Type.INT32, Type.INT64, Type.UINT64, Type.UINT8, Type.FLOAT16, Type.INT8];
    const tensor = fc
      .record({
        type: fc.constantFrom(...types),
        dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
        isTyped: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1_000 }),
      })
      .map(({ type, dims, isTyped, seed }, i = 0) => {
        const count = dims.reduce((product, size) => product * size, 1);
        const numbers = Array.from({ length: count }, (_, k) => ((k + i) * seed) % 120);
        const size = {
          [Type.DOUBLE]: 8,
          [Type.INT64]: 8,
          [Type.UINT64]: 8,
          [Type.UINT8]: 1,
          [Type.INT8]: 1,
          [Type.FLOAT16]: 2,
        };
        const bytes = new Uint8Array(count * ((size as Record<number, number>)[type] ?? 4)).map(
          (_, k) => (k * seed) % 120,
        );
        const typed = {
          [Type.FLOAT]: { floatData: numbers },
          [Type.DOUBLE]: { doubleData: numbers },
          [Type.INT64]: { int64Data: numbers.map(BigInt) },
          [Type.UINT64]: { uint64Data: numbers.map(BigInt) },
        };
        const fields = (typed as Record<number, object>)[type] ?? { int32Data: numbers };
        return { dataType: type, dims: dims.map(BigInt), ...(isTyped ? fields : { rawData: bytes }) };
      });
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 6 }), fc.boolean(), (tensors, isSplit) => {
        const initializer = tensors.map((each, i) => create(TensorProtoSchema, { ...each, name: `t${i}` }));
        const path = written(
          buildModel({
            node: [node('Identity', ['input'], ['output'])],
            input: [value('input', 'FP32', ['batch', 4])],
            output: [value('output', 'FP32', ['batch', 4])],
            initializer,
          }),
        );
        expect(content(rewritten(path, isSplit ? 1 : undefined).path)).toEqual(content(path));
      }),
      { numRuns: 60 },
    );
  });

  test('goes to a new file only', () => {
    const path = written(matmulModel());
    expect(() => writeModel(readEditableModel(path), path)).toThrow('EEXIST');
  });
});

describe('the elements of a tensor', () => {
  const model = readEditableModel(DIGITS);

  test.each([
    [Type.FLOAT, 0],
    [Type.DOUBLE, 0],
    [Type.FLOAT16, 2 ** -11],
    [Type.BFLOAT16, 2 ** -8],
  ])('are numbers that go in and come out, type %s within %s of their size', (dataType, precision) => {
    const values = Float32Array.of(0, 1, -1.5, 0.333251953125, 1024.125, -65_000, 1e-3);
    const tensor = create(TensorProtoSchema, { name: 't', dataType, int32Data: [1] });
    setTensorFloats(tensor, [7], values);
    expect(tensor.int32Data).toEqual([]);
    const again = floatsOfTensor(model, tensor)!;
    values.forEach((value, i) => expect(Math.abs(again[i]! - value)).toBeLessThanOrEqual(precision * Math.abs(value)));
    // What a type holds exactly stays what it is.
    setTensorFloats(tensor, [7], again);
    expect(floatsOfTensor(model, tensor)).toEqual(again);
  });

  test('of BF16 are the nearest, ties to even, and keep what is no number', () => {
    const tensor = create(TensorProtoSchema, { name: 't', dataType: Type.BFLOAT16 });
    setTensorFloats(tensor, [5], Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, NaN, Infinity, -0));
    expect([...floatsOfTensor(model, tensor)!]).toEqual([1, 1 + 2 ** -6, NaN, Infinity, -0]);
  });

  test('are whole numbers of indices and sizes', () => {
    const tensor = create(TensorProtoSchema, {
      name: 't',
      dataType: Type.INT64,
      dims: [2n],
      int64Data: [-1n, 2n ** 40n],
    });
    expect(integersOfTensor(model, tensor)).toEqual([-1, 2 ** 40]);
    setTensorIntegers(tensor, [3], [5, -6, 7]);
    expect(integersOfTensor(model, tensor)).toEqual([5, -6, 7]);
    expect(integersOfTensor(model, create(TensorProtoSchema, { dataType: Type.FLOAT }))).toBeUndefined();
  });

  test('are refused when a typed field has fewer than the shape says', () => {
    const tensor = create(TensorProtoSchema, { name: 'short', dataType: Type.FLOAT, dims: [3n], floatData: [1, 2] });
    expect(() => bytesOfTensor(model, tensor)).toThrow(
      `MALFORMED ${DIGITS}: tensor 'short' must be 12 bytes by its shape [3], got 8`,
    );
  });
});

describe('reading a model to change it', () => {
  test.each(['../weights.bin', '/etc/passwd'])('refuses external data outside its folder: %s', (location) => {
    expect(() => readEditableModel(written(externalDataModel({ location }).model))).toThrow(OnnxFileError);
  });

  test('refuses external data behind a link that leaves its folder', () => {
    const { model, weights } = externalDataModel();
    const path = written(model);
    symlinkSync(written(weights, 'secret'), join(path, '..', 'weights.bin'));
    expect(() => readEditableModel(path)).toThrow('EXTERNAL_DATA_OUTSIDE');
  });

  test.each([
    ['cut off', matmulModel().subarray(0, 100), 'TRUNCATED'],
    ['something else', Buffer.from('hello, this is no model'), 'NOT_ONNX'],
    [
      'a tensor of the wrong length',
      buildModel({ initializer: [{ ...floatTensor('w', [3], [1, 2]), name: 'w' }] }),
      'MALFORMED',
    ],
  ])('refuses a file that is %s', (_, bytes, code) => {
    expect(() => readEditableModel(written(bytes))).toThrow(code);
  });

  test('refuses a folder', () => {
    const folder = join(emptyFolder(), 'model.onnx');
    mkdirSync(folder);
    expect(() => readEditableModel(folder)).toThrow('FILE_UNREADABLE');
  });
});

describe('the index of a graph', () => {
  test('knows who makes and takes a value, and what subgraphs take from outside', () => {
    const index = new GraphIndex(readEditableModel(written(slowModel())).proto.graph);
    expect(index.producer('state')?.opType).toBe('Loop');
    expect(index.uses('start').map(({ node: { opType }, index: i }) => [opType, i])).toEqual([['Loop', 2]]);
    expect(index.captured.has('step')).toBe(true);
    expect(index.captured.has('zero')).toBe(false);
    expect(index.initializer('zero')?.dims).toEqual([]);
    expect(index.outputs).toEqual(new Set(['done']));
  });
});

test('a tensor in another file that a node of a subgraph holds is written with it', () => {
  const path = written(
    buildModel({
      node: [
        node(
          'Constant',
          [],
          ['c'],
          [{ name: 'value', type: 4, t: externalTensor('c', 'FP32', [2], { location: 'c.bin' }) }],
        ),
        node('Add', ['input', 'c'], ['sum']),
        node('Reshape', ['sum', 'shape'], ['output']),
      ],
      input: [value('input', 'FP32', ['batch', 2])],
      output: [value('output', 'FP32', ['batch', 2])],
      initializer: [int64Tensor('shape', [2], [-1n, 2n])],
    }),
  );
  writeFileSync(join(path, '..', 'c.bin'), new Uint8Array(8));
  expect(readOnnxModel(rewritten(path).path).files).toHaveLength(1);
});
