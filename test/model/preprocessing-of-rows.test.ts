import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readHeldOutDigits } from '../../runtime/cli/quickstart/held-out-digits';
import { exportRows } from '../../runtime/model/distil/export-rows';
import { digestPreprocessing, readPreprocessingFile } from '../../runtime/model/preprocessing-file';
import { publishModel } from '../../runtime/model/publish-model';
import { preprocessingOf } from '../../runtime/model/published-manifest';
import { searchModels } from '../../runtime/model/search/search-models';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { slipway } from '../cli/terminal';
import { identityModel } from '../support/onnx-models';
import { temporaryFolder } from '../server/harness/model-repository';
import { DIGITS_MODEL } from './evaluate/digits-data';

const DARK_ON_LIGHT = 'kind: image\nscale: 1\nmean: [255]\ndeviation: [-15]\n';

/** Digits as people have them: dark on light, in a folder for each class. */
async function pictures(rows: number): Promise<{ folder: string; data: string; preprocessingFile: string }> {
  const folder = temporaryFolder();
  const data = path.join(folder, 'pictures');
  for (const [i, { pixels, label }] of readHeldOutDigits('models/digits/heldout.json').slice(0, rows).entries()) {
    mkdirSync(path.join(data, String(label)), { recursive: true });
    const bytes = Uint8Array.from(pixels, (value) => 255 - value * 15);
    await sharp(bytes, { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toFile(path.join(data, String(label), `${String(i).padStart(3, '0')}.png`));
  }
  const preprocessingFile = path.join(folder, 'preprocessing.yaml');
  writeFileSync(preprocessingFile, DARK_ON_LIGHT);
  return { folder, data, preprocessingFile };
}

test('a search judges candidates by what users send, and what it chooses is published with that preprocessing', async () => {
  const { folder, data, preprocessingFile } = await pictures(40);
  const options = {
    source: DIGITS_MODEL,
    output: path.join(folder, 'search'),
    data,
    task: 'classification',
    recipes: [{ name: 'shared', steps: [{ do: 'cluster', clusters: 16 }] }],
    constraints: { maxDrop: 0.1 },
    prefer: 'size',
    speed: { rounds: 1, minRuns: 2, seconds: 0 },
  } as const;
  const blind = await searchModels(options);
  expect(blind.rows[0]!.numbers!.accuracy).toBeLessThan(0.5);
  const { rows, chosen } = await searchModels({ ...options, preprocessingFile });
  expect(rows[0]!.numbers!.accuracy).toBe(1);
  // With another preprocessing it is another candidate.
  expect(rows.map(({ reused }) => reused)).toEqual([false, false]);
  expect(chosen).toBe('shared');

  const file = path.join(folder, 'search/chosen/model.onnx');
  const evaluationFile = path.join(folder, 'search/chosen/evaluation.json');
  const repository = path.join(folder, 'repository');
  const { manifest } = await publishModel({ source: file, name: 'm', repository, evaluationFile, preprocessingFile });
  const expected = await digestPreprocessing(await readPreprocessingFile(preprocessingFile, readOnnxModel(file).facts));
  expect(manifest.evaluation!.preprocessing).toEqual({ sha256: expected });
});

test('a student learns from the tensors that come of pictures', async () => {
  const { data, folder, preprocessingFile } = await pictures(12);
  const { inputs } = readOnnxModel(DIGITS_MODEL).facts;
  const preprocessing = await readPreprocessingFile(preprocessingFile, { inputs });
  const classNames = Array.from({ length: 10 }, (_, i) => String(i));
  const exported = await exportRows(data, folder, { inputs, maxRows: undefined, preprocessing, classNames });
  expect(exported.inputs[0]).toMatchObject({ datatype: '<f4', shape: [12, 1, 8, 8] });
  const { buffer } = Uint8Array.from(readFileSync(exported.inputs[0]!.file));
  // A negative deviation makes −0 of 0, which is the same to a network.
  const values = Array.from(new Float32Array(buffer), (each) => each + 0);
  const digits = readHeldOutDigits('models/digits/heldout.json').slice(0, 12);
  const sorted = digits.map((digit, i) => ({ ...digit, i })).sort((a, b) => a.label - b.label || a.i - b.i);
  expect(values).toEqual(sorted.flatMap(({ pixels }) => [...pixels]));
});

test('beside a published model its manifest says how rows become inputs, unless somebody says otherwise', async () => {
  const { folder, data, preprocessingFile } = await pictures(20);
  const repository = path.join(folder, 'repository');
  await publishModel({ source: DIGITS_MODEL, name: 'digits', repository, preprocessingFile });
  const published = path.join(repository, 'digits/1/model.onnx');
  expect((await preprocessingOf(published, undefined))!.preprocessing).toMatchObject({ image: { mean: [255] } });
  const other = path.join(folder, 'other.yaml');
  writeFileSync(other, 'kind: image\nmean: [1]\n');
  expect((await preprocessingOf(published, other))!.preprocessing).toMatchObject({ image: { mean: [1] } });
  expect(await preprocessingOf(DIGITS_MODEL, undefined)).toBeUndefined();

  const words = ['model', 'cluster', published, '-o', path.join(folder, 'small.onnx'), '--samples', data];
  const { status, stderr } = await slipway(...words);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stderr).not.toContain('pictures are only stretched');
  // A manifest of other bytes says nothing of this file.
  writeFileSync(published, identityModel({ shape: ['n', 1, 8, 8] }));
  expect(await preprocessingOf(published, undefined)).toBeUndefined();
});
