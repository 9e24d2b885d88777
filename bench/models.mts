// The models of the benchmark, built or laid out as a model repository without manifests: `<folder>/<model>/1/model.onnx`.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  buildModel,
  externalTensor,
  floatTensor,
  int64Tensor,
  node,
  value,
  type NodeInit,
  type TensorInit,
} from '../test/support/onnx-models.js';

const RESNET = fileURLToPath(new URL('light_resnet50.onnx', import.meta.url));

export const IMAGE = [3, 224, 224] as const;
/** `[rows, 2048]` through so many layers of 2,048² FP32, 17 MB each. */
export const MLP_WIDTH = 2_048;
const ONE_MS_LAYERS = 4;
const MLP_LAYERS = 6;
/** 16 layers of 2,048² FP32: 268 MB. */
const BIG_LAYERS = 16;

/** @returns the folder of the repository */
export function layOutModels(folder: string): string {
  const place = (name: string, bytes: Uint8Array): void => {
    mkdirSync(join(folder, name, '1'), { recursive: true });
    writeFileSync(join(folder, name, '1', 'model.onnx'), bytes);
  };
  place('tiny', tinyModel());
  place('one-ms', mlpModel(ONE_MS_LAYERS, MLP_WIDTH));
  place('mlp', mlpModel(MLP_LAYERS, MLP_WIDTH));
  place('first4', firstFourModel());
  mkdirSync(join(folder, 'resnet50', '1'), { recursive: true });
  copyFileSync(RESNET, join(folder, 'resnet50', '1', 'model.onnx'));
  return folder;
}

/** One Add over `[rows, 4]`: what is left is the server. */
function tinyModel(): Uint8Array {
  return buildModel({
    node: [node('Add', ['input', 'one'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [floatTensor('one', [], [1])],
  });
}

/** `[rows, width]` through layers of MatMul and Relu. */
function mlpModel(layers: number, width: number): Uint8Array {
  const nodes: NodeInit[] = [];
  const weights: TensorInit[] = [];
  let at = 'input';
  for (let i = 0; i < layers; i++) {
    weights.push(floatTensor(`weight${i}`, [width, width], pseudoRandom(width * width, i)));
    nodes.push(node('MatMul', [at, `weight${i}`], [`product${i}`]));
    at = i === layers - 1 ? 'output' : `layer${i}`;
    nodes.push(node('Relu', [`product${i}`], [at]));
  }
  return buildModel({
    node: nodes,
    input: [value('input', 'FP32', ['batch', width])],
    output: [value('output', 'FP32', ['batch', width])],
    initializer: weights,
  });
}

/** The first four numbers of a picture of 602,112 bytes: all the cost is in bringing it. */
function firstFourModel(): Uint8Array {
  return buildModel({
    node: [node('Flatten', ['input'], ['flat']), node('Slice', ['flat', 'from', 'to', 'axis'], ['output'])],
    input: [value('input', 'FP32', ['batch', ...IMAGE])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [int64Tensor('from', [1], [0n]), int64Tensor('to', [1], [4n]), int64Tensor('axis', [1], [1n])],
  });
}

/** Two forms of one model of 268 MB: weights in the file, and weights beside it, each at a page's beginning. */
export function layOutBigModel(folder: string): { readonly plain: string; readonly external: string } {
  const plain = join(folder, 'plain', '1');
  const external = join(folder, 'external', '1');
  for (const each of [plain, external]) mkdirSync(each, { recursive: true });
  writeFileSync(join(plain, 'model.onnx'), mlpModel(BIG_LAYERS, MLP_WIDTH));
  const bytes = MLP_WIDTH * MLP_WIDTH * 4;
  const data = Buffer.concat(
    Array.from({ length: BIG_LAYERS }, (_, i) =>
      Buffer.from(Float32Array.from(pseudoRandom(MLP_WIDTH ** 2, i)).buffer),
    ),
  );
  writeFileSync(join(external, 'model.data'), data);
  const nodes: NodeInit[] = [];
  let at = 'input';
  for (let i = 0; i < BIG_LAYERS; i++) {
    nodes.push(node('MatMul', [at, `weight${i}`], [`product${i}`]));
    at = i === BIG_LAYERS - 1 ? 'output' : `layer${i}`;
    nodes.push(node('Relu', [`product${i}`], [at]));
  }
  writeFileSync(
    join(external, 'model.onnx'),
    buildModel({
      node: nodes,
      input: [value('input', 'FP32', ['batch', MLP_WIDTH])],
      output: [value('output', 'FP32', ['batch', MLP_WIDTH])],
      initializer: Array.from({ length: BIG_LAYERS }, (_, i) =>
        externalTensor(`weight${i}`, 'FP32', [MLP_WIDTH, MLP_WIDTH], {
          location: 'model.data',
          offset: String(i * bytes),
          length: String(bytes),
        }),
      ),
    }),
  );
  return { plain, external };
}

/** Small numbers around zero, the same in every run. */
function pseudoRandom(count: number, seed: number): number[] {
  let state = 12_345 + seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state / 0x7fffffff - 0.5) / 16;
  });
}
