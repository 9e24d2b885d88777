import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { clusterModel } from '../../../runtime/model/compress/cluster-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { toolError } from '../data/support';
import { DIGITS_MODEL } from '../evaluate/digits-data';

test('a model beyond its declared tolerance leaves nothing, one within it is written', async () => {
  const folder = temporaryFolder();
  const options = { source: DIGITS_MODEL, output: path.join(folder, 'model.onnx'), clusters: 16, exclude: [] };
  const error = await toolError(clusterModel({ ...options, tolerance: 0 }));
  expect(error).toMatchObject({ code: 'TOLERANCE_EXCEEDED', kind: 'verdict' });
  expect(error.message).toContain('--tolerance 0 allows 0 %: nothing was written');
  expect(readdirSync(folder)).toEqual([]);
  const { comparison } = await clusterModel({ ...options, tolerance: 1 });
  expect(comparison.maxRelative).toBeGreaterThan(0);
  expect(readdirSync(folder).sort()).toEqual(['model.onnx', 'model.onnx.provenance.json']);
});
