import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runModel } from '../../runtime/model/run-model';
import { MAX_OPSETS } from '../../runtime/spec';
import { buildModel, node, value } from '../support/onnx-models';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-opsets-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function loadWithOpset(domain: string, version: number): Promise<void> {
  const opsets = new Map([
    ['', 17],
    [domain, version],
  ]);
  const path = join(folder, `${domain}-${version}.onnx`);
  const graph = {
    node: [node('Identity', ['x'], ['y'])],
    input: [value('x', 'FP32', [1])],
    output: [value('y', 'FP32', [1])],
  };
  const opsetImport = [...opsets].map(([name, number]) => ({ domain: name, version: BigInt(number) }));
  writeFileSync(path, buildModel(graph, { opsetImport }));
  const x = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) } as const;
  await runModel(path, [x], [], 1);
}

test.each(Object.entries(MAX_OPSETS))(
  "domain '%s' runs up to opset %i on the ONNX Runtime that is installed, and no further",
  async (domain, highest) => {
    await loadWithOpset(domain, highest);
    await expect(loadWithOpset(domain, highest + 1)).rejects.toThrow(`is till opset ${highest}`);
  },
);
