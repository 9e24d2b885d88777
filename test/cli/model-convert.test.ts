import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { modelPython } from '../support/model-python';
import { slipway } from './terminal';

vi.setConfig({ testTimeout: 240_000 });

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-convert-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);

const NETWORKS = `
from torch import nn
def build(): return nn.Sequential(nn.Linear(4, 3))
`;

test('a source that is nothing exits with 3, a pickle too, and a command line that means nothing with 2', async () => {
  writeFileSync(at('net.py'), NETWORKS);
  writeFileSync(at('model.pkl'), '');
  const output = at('never.onnx');
  const statusOf = async (...argv: readonly string[]) => (await slipway('model', 'convert', ...argv)).status;
  expect(await statusOf(at('nothing.pt'), '-o', output)).toBe(3);
  expect(await statusOf(at('model.pkl'), '-o', output)).toBe(3);
  expect(await statusOf(`${at('net.py')}:build`, '-o', output, '--input', 'x')).toBe(3);
  expect(await statusOf(`${at('net.py')}:build`)).toBe(2);
  expect(await statusOf(`${at('net.py')}:build`, '-o', output, '--tolerance', 'much')).toBe(2);
  expect(await statusOf(`${at('net.py')}:build`, '-o', output, '--python', '/nonexistent')).toBe(5);
  expect(existsSync(output)).toBe(false);
});

test('distil says what it lacks', async () => {
  const distil = (...argv: readonly string[]) =>
    slipway('model', 'distil', at('t.onnx'), `${at('net.py')}:build`, ...argv);
  expect((await distil()).stderr).toContain('--data is missing');
  const needed = ['--data', at('d.npz'), '--validation', at('v.npz'), '-o', at('out')];
  expect(await distil(...needed, '--device', 'tpu')).toMatchObject({
    status: 2,
    stderr: "error: --device must be auto, cpu or cuda, got 'tpu'\n",
  });
  expect((await distil(...needed, '--epochs', 'many')).status).toBe(2);
  expect((await distil(...needed)).status).toBe(3);
});

test('prints a report for people, or for machines, and keeps the latter in a file', async (context) => {
  await modelPython(context, 'torch');
  writeFileSync(at('net.py'), NETWORKS);
  const argv = ['model', 'convert', `${at('net.py')}:build`, '--input', 'x=float32[batch,4]', '-o', at('net.onnx')];
  const people = await slipway(...argv, '--report', at('report.json'));
  expect(people).toMatchObject({ status: 0 });
  expect(people.stdout).toContain('compared with the source on 6 rows, in batches of 2, 1, 3; allowed 0.001:');
  expect(people.stderr).toContain('exporting with torch.onnx');
  const report = JSON.parse(readFileSync(at('report.json'), 'utf8'));
  expect(report.output.path).toBe(at('net.onnx'));
  expect(existsSync(at('net.onnx.provenance.json'))).toBe(true);

  expect((await slipway(...argv)).stderr).toContain('OUTPUT_EXISTS');
  const machines = await slipway(...argv, '--overwrite', '--json');
  expect(JSON.parse(machines.stdout)).toEqual(report);
});
