import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildModel, floatTensor, node, value } from '../../support/onnx-models';
import { floats, type Answer, type RunningServer } from './running-server';
import { temporaryFolder } from './model-repository';

/** `output = input + step`, FP32 `[batch, 4]`: the answer tells which version gave it. */
export function addModel(step: number): Uint8Array {
  return buildModel({
    node: [node('Add', ['input', 'step'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [floatTensor('step', [], [step])],
  });
}

/** The same with so many bytes of weights that are added to nothing. */
export function heavyModel(step: number, bytes: number): Uint8Array {
  const count = Math.floor(bytes / 4 / 4) * 4;
  return buildModel({
    node: [
      node('MatMul', ['input', 'weights'], ['wide']),
      node('ReduceMean', ['wide'], ['mean'], [{ name: 'axes', type: 7, ints: [1n] }]),
      node('Mul', ['mean', 'zero'], ['nothing']),
      node('Add', ['input', 'nothing'], ['same']),
      node('Add', ['same', 'step'], ['output']),
    ],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [
      floatTensor('weights', [4, count / 4], new Array<number>(count).fill(0.5)),
      floatTensor('step', [], [step]),
      floatTensor('zero', [], [0]),
    ],
  });
}

/** Puts a version into a repository as a careful person does: whole, by one rename. */
export function putVersion(repository: string, model: string, version: number, bytes: Uint8Array): string {
  const staged = path.join(temporaryFolder(), String(version));
  mkdirSync(staged);
  writeFileSync(path.join(staged, 'model.onnx'), bytes);
  mkdirSync(path.join(repository, model), { recursive: true });
  const folder = path.join(repository, model, String(version));
  renameSync(staged, folder);
  return folder;
}

/** What the model adds: its step, or the status and the error of another answer than 200. */
export async function stepOf({ post }: RunningServer, path_: string): Promise<number | string> {
  const answer = await post(path_, floats('input', [1, 4], [0, 0, 0, 0]));
  return stepIn(answer);
}

export function stepIn({ status, json, text }: Answer): number | string {
  return status === 200 ? (json.outputs[0].data[0] as number) : `${status} ${(json?.error as string) ?? text}`;
}

/** The repository index, as `state` or `state: reason` by version. */
export async function indexOf({ post }: RunningServer, model: string): Promise<Record<string, string>> {
  const rows = (await post('/v2/repository/index', '')).json as {
    name: string;
    version: string;
    state: string;
    reason: string;
  }[];
  return Object.fromEntries(
    rows
      .filter(({ name }) => name === model)
      .map(({ version, state, reason }) => [version, reason === '' ? state : `${state}: ${reason}`]),
  );
}
