import { describe, expect, test } from 'vitest';
import { TensorProto_DataType } from '../../runtime/onnx/generated/onnx-ml_pb';
import { buildModel, type ValueInit } from '../support/onnx-models';
import { written } from '../support/written-files';
import { expectRefusal, refusal } from './refusal';

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
