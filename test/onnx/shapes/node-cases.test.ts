import { create } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeModel } from '../../../runtime/onnx/decode-model';
import { TensorProtoSchema, TensorProto_DataType } from '../../../runtime/onnx/generated/onnx-ml_pb';
import { inferShapes } from '../../../runtime/onnx/shapes/infer-shapes';
import { SHAPE_RULES } from '../../../runtime/onnx/shapes/shape-rules';
import { writeCases, type CorpusCase } from '../../corpus/corpus-cases';
import { pythonWith } from '../../support/python';

const NUMBERS: Readonly<Record<string, TensorProto_DataType>> = {
  INT64: TensorProto_DataType.INT64,
  INT32: TensorProto_DataType.INT32,
  FP32: TensorProto_DataType.FLOAT,
};

/** What the shapes are said to be, where all is known of the inputs and nothing is read off the outputs. */
function outcome({ name, modelPath, inputs }: CorpusCase): { name: string; rules: boolean; said: string; is: string } {
  const model = decodeModel(readFileSync(modelPath), name);
  const declared = new Map(
    model.graph.output.map(({ name: output, type }) => [
      output,
      type?.value.case === 'tensorType'
        ? type.value.value.shape?.dim.map(({ value }) => Number(value.value))
        : undefined,
    ]),
  );
  const initializer = inputs.flatMap(({ name: input, datatype, shape, bytes }) =>
    NUMBERS[datatype] === undefined
      ? []
      : [
          create(TensorProtoSchema, {
            name: input,
            dataType: NUMBERS[datatype],
            dims: shape.map(BigInt),
            rawData: new Uint8Array(bytes),
          }),
        ],
  );
  const graph = {
    ...model.graph,
    output: [],
    valueInfo: [],
    initializer: [...model.graph.initializer, ...initializer],
  };
  const shapes = inferShapes({ ...model, graph }, { dimensions: {} });
  const outputs = [...declared].filter(([, shape]) => shape !== undefined && !shape.some(Number.isNaN));
  const said = outputs.map(([output]) => shapes.get(output)?.shape);
  return {
    name,
    rules: model.graph.node.every(({ opType }) => SHAPE_RULES.has(opType)),
    said: said.some((shape) => shape === undefined) ? 'unknown' : JSON.stringify(said),
    is: JSON.stringify(outputs.map(([, shape]) => shape)),
  };
}

test("shapes of ONNX's own node tests are right wherever they are known, and known for nearly all", (context) => {
  const python = pythonWith('onnx');
  if (python === undefined) return context.skip('no python3 on the PATH can import onnx');
  const { cases } = writeCases(python, 0);
  const outcomes = cases.map(outcome).filter(({ rules }) => rules);
  expect(outcomes.filter(({ said, is }) => said !== 'unknown' && said !== is)).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(500);
  const unknown = outcomes.filter(({ said }) => said === 'unknown').map(({ name }) => name);
  // Training, halves that count, and sizes that go through Max and Min.
  expect(
    unknown.filter((name) => !/^test_(batchnorm_.+_training_mode|range_float16|center_crop_pad)/.test(name)),
  ).toEqual([]);
}, 120_000);
