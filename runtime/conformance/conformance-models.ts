import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { TYPE_OF_DATATYPE } from '../onnx/element-types';
import { ModelProtoSchema, TensorProto_DataType, type NodeProtoSchema } from '../onnx/generated/onnx-ml_pb';
import type { Datatype } from '../spec/datatypes';

export const DATATYPES = Object.keys(TYPE_OF_DATATYPE) as Datatype[];

/** A model that cases ask for. */
export interface ConformanceModel {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * What a server must serve to be tested, each as version 1:
 * `simple` adds and subtracts two INT32 inputs of `[-1, 16]`; `identity_<datatype>` gives its input `[-1, -1]` back;
 * `fixed` adds one to FP32 `[1, 4]`, which is not batchable; `scalar` adds one to an FP32 without dimensions.
 */
export function conformanceModels(): readonly ConformanceModel[] {
  return [
    {
      name: 'simple',
      bytes: build(
        [
          { opType: 'Add', input: ['INPUT0', 'INPUT1'], output: ['OUTPUT0'] },
          { opType: 'Sub', input: ['INPUT0', 'INPUT1'], output: ['OUTPUT1'] },
        ],
        'INT32',
        ['batch', 16],
        ['INPUT0', 'INPUT1'],
        ['OUTPUT0', 'OUTPUT1'],
      ),
    },
    ...DATATYPES.map((datatype) => ({
      name: identityOf(datatype),
      bytes: build(
        [{ opType: 'Identity', input: ['INPUT0'], output: ['OUTPUT0'] }],
        datatype,
        ['batch', 'width'],
        ['INPUT0'],
        ['OUTPUT0'],
      ),
    })),
    { name: 'fixed', bytes: addOne([1, 4]) },
    { name: 'scalar', bytes: addOne([]) },
  ];
}

export function identityOf(datatype: Datatype): string {
  return `identity_${datatype.toLowerCase()}`;
}

function addOne(shape: readonly number[]): Uint8Array {
  return build(
    [{ opType: 'Add', input: ['INPUT0', 'one'], output: ['OUTPUT0'] }],
    'FP32',
    shape,
    ['INPUT0'],
    ['OUTPUT0'],
    [{ name: 'one', dims: [], dataType: TensorProto_DataType.FLOAT, floatData: [1] }],
  );
}

type Graph = NonNullable<MessageInitShape<typeof ModelProtoSchema>['graph']>;

function build(
  node: MessageInitShape<typeof NodeProtoSchema>[],
  datatype: Datatype,
  shape: readonly (number | string)[],
  inputs: readonly string[],
  outputs: readonly string[],
  initializer: Graph['initializer'] = [],
): Uint8Array {
  const dim = shape.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }));
  const value = (name: string) => ({
    name,
    type: { value: { case: 'tensorType' as const, value: { elemType: TYPE_OF_DATATYPE[datatype], shape: { dim } } } },
  });
  const graph: Graph = { name: 'conformance', node, input: inputs.map(value), output: outputs.map(value), initializer };
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 9n, opsetImport: [{ domain: '', version: 18n }], graph }),
  );
}
