import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slipway } from '../cli/terminal';
import { buildModel, identityModel, matmulModel, node, value } from '../support/onnx-models';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-inspect-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(bytes: Uint8Array): string {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, bytes);
  return path;
}

test('inspect tells what the doctor found, for people and as JSON', async () => {
  const path = write(identityModel({ shape: [1, 4] }));
  const { status, stdout } = await slipway('model', 'inspect', path);
  expect(status).toBe(0);
  expect(stdout.replace(/\s+/g, ' ')).toContain(
    "warning requests cannot be joined into batches: input 'input' has the fixed first dimension 1, and likewise 'output'; export",
  );
  const { findings } = JSON.parse((await slipway('model', 'inspect', path, '--json')).stdout) as { findings: unknown };
  expect(findings).toMatchObject([{ code: 'first-dimension-fixed', severity: 'warning' }, { code: 'memory' }]);
});

test('inspect asks the doctor about the provider that is named', async () => {
  const path = write(identityModel({ shape: ['batch', 'width'] }));
  expect((await slipway('model', 'inspect', path)).stdout).not.toContain('CUDA');
  expect((await slipway('model', 'inspect', path, '--execution-provider', 'cuda')).stdout).toContain('CUDA chooses');
  const wrong = await slipway('model', 'inspect', path, '--execution-provider', 'tpu');
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining("got 'tpu'") as string });
});

test('a model that cannot be served is examined all the same, and the command fails', async () => {
  const path = write(
    buildModel({
      node: [node('ZipMap', ['scores'], ['probabilities'], [], 'ai.onnx.ml')],
      input: [value('scores', 'FP32', ['batch', 3])],
      output: [{ name: 'probabilities', type: { value: { case: 'sequenceType', value: {} } } }],
    }),
  );
  const { status, stdout, stderr } = await slipway('model', 'inspect', path);
  expect(status).toBe(3);
  expect(stdout.replace(/\s+/g, ' ')).toContain("error output 'probabilities' is a sequence");
  expect(stderr).toContain('zipmap=False');
});

test('names in a model do not steer the terminal, and are what they are in JSON', async () => {
  const name = 'in\u001b[31m\u202eput';
  const path = write(
    buildModel({
      node: [node('Identity', [name], ['output'])],
      input: [value(name, 'FP32', ['batch', 4])],
      output: [value('output', 'FP32', ['batch', 4])],
    }),
  );
  expect((await slipway('model', 'inspect', path)).stdout).toContain('in\\u001b[31m\\u202eput FP32');
  const { stdout } = await slipway('model', 'inspect', path, '--json');
  expect(stdout).not.toMatch(/[\u001b\u202e]/);
  expect(JSON.parse(stdout)).toMatchObject({ facts: { inputs: [{ name }] } });
});

test('a page that cannot be written is a failure of the disk, and leaves nothing', async () => {
  const page = join(folder, 'no-folder.txt', 'cost.html');
  writeFileSync(join(folder, 'no-folder.txt'), '');
  const { status, stderr } = await slipway('model', 'inspect', write(matmulModel()), '--html', page);
  expect({ status, stderr }).toMatchObject({
    status: 6,
    stderr: expect.stringContaining('OUTPUT_UNWRITABLE') as string,
  });
});

test('a model with nothing to warn of gets no warning', async () => {
  const { stdout } = await slipway('model', 'inspect', write(matmulModel()));
  expect(stdout).not.toMatch(/^ {2}(warning|error)/m);
});

test('inspect tells what a run of a batch costs, and writes a page of it', async () => {
  const page = join(folder, 'cost.html');
  const { stdout, stderr } = await slipway('model', 'inspect', write(matmulModel()), '--batch', '8', '--html', page);
  expect(stdout).toMatch(/^ {2}operations +\d.+ at batch 8/m);
  expect(stderr).toContain(page);
  expect(readFileSync(page, 'utf8')).toContain('<svg');
  const wrong = await slipway('model', 'inspect', write(matmulModel()), '--batch', '0');
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining("got '0'") as string });
});
