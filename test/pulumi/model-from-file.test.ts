import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readLocalModel } from '../../pulumi/model-from-file';
import { externalDataModel, identityModel } from '../support/onnx-models';
import { written } from '../support/written-files';

test('a model of one file lies in a folder called after the digest of the file', () => {
  const path = written(identityModel());
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  const { prefix, spec, files } = readLocalModel('echo', path);
  expect(prefix).toBe(`echo/sha256-${sha256}/`);
  expect(spec).toMatchObject({ name: 'echo', version: 1, files: [{ path: 'model.onnx', sha256 }] });
  expect(files.map(({ localPath }) => localPath)).toEqual([path]);
});

test('external data belongs to the model: other weights are another folder, the same ones the same', () => {
  const { model, weights } = externalDataModel();
  const path = written(model);
  const file = join(path, '../weights.bin');
  writeFileSync(file, weights);
  const first = readLocalModel('sum', path);
  expect(first.files.map(({ path }) => path)).toEqual(['model.onnx', 'weights.bin']);
  expect(readLocalModel('sum', path).prefix).toBe(first.prefix);

  writeFileSync(
    file,
    weights.map((byte) => byte ^ 1),
  );
  const second = readLocalModel('sum', path);
  expect(second.prefix).toMatch(/^sum\/sha256-[0-9a-f]{64}\/$/);
  expect(second.prefix).not.toBe(first.prefix);
});

test('neither its version nor its name may be what no server takes', () => {
  const path = written(identityModel());
  expect(() => readLocalModel('a/b', path)).toThrow('MODEL_NAME_INVALID name');
  expect(() => readLocalModel('echo', path, { version: 0 })).toThrow('MODEL_VERSION_INVALID echo.version');
});
