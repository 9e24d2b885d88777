import { create, toBinary } from '@bufbuild/protobuf';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { decodeModel, type DecodedModel } from '../../../runtime/onnx/decode-model';
import { ModelProtoSchema, ValueInfoProtoSchema } from '../../../runtime/onnx/generated/onnx-ml_pb';
import { readSkeleton } from '../../../runtime/onnx/read-skeleton';
import { inferShapes } from '../../../runtime/onnx/shapes/infer-shapes';
import { LIGHT_RESNET50, LIGHT_SQUEEZENET } from '../../support/light-models';

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-shapes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MODELS = [path.join(__dirname, '../../../models/digits/model.onnx'), LIGHT_RESNET50, LIGHT_SQUEEZENET];

/** What ONNX Runtime says the shapes are: every value of the graph as an output, and one run. */
async function shapesOfRun(
  model: DecodedModel,
  inputs: ReadonlyMap<string, readonly number[]>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const names = [...new Set(model.graph.node.flatMap(({ output }) => output))].filter((name) => name !== '');
  const graph = { ...model.graph, output: names.map((name) => create(ValueInfoProtoSchema, { name })) };
  const file = path.join(folder, 'all-outputs.onnx');
  writeFileSync(file, toBinary(ModelProtoSchema, create(ModelProtoSchema, { ...model, graph })));
  const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
  const feeds = Object.fromEntries(
    [...inputs].map(([name, shape]) => [
      name,
      new ort.Tensor('float32', new Float32Array(shape.reduce((product, size) => product * size, 1)), shape),
    ]),
  );
  const results = await session.run(feeds);
  await session.release();
  return new Map(Object.entries(results).map(([name, { dims }]) => [name, dims]));
}

test.each(MODELS.map((file) => [path.basename(path.dirname(file)) + '/' + path.basename(file), file]))(
  '%s: every shape is the one that a run has',
  async (_name, file) => {
    const model = decodeModel(readFileSync(file), file);
    const shapes = inferShapes(model, { dimensions: { batch: 3, N: 3 } });
    const weights = new Set(model.graph.initializer.map(({ name }) => name));
    const inputs = new Map(
      model.graph.input.filter(({ name }) => !weights.has(name)).map(({ name }) => [name, shapes.get(name)!.shape]),
    );
    const ran = await shapesOfRun(model, inputs);
    expect(ran.size).toBeGreaterThan(3);
    for (const [name, shape] of ran) expect(shapes.get(name)?.shape, name).toEqual(shape);
    // The skeleton has no weights, and is enough.
    const skeleton = inferShapes(decodeModel(readSkeleton(file), file), { dimensions: { batch: 3, N: 3 } });
    expect(new Map([...skeleton].map(([name, { shape }]) => [name, shape]))).toEqual(
      new Map([...shapes].map(([name, { shape }]) => [name, shape])),
    );
  },
);
