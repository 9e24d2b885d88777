import { expect, test } from 'vitest';
import { importPackage } from '../../runtime/model/import-package';

test('an optional package that is missing is named with the command that installs it', async () => {
  const missing = 'slipway-has-no-such-package';
  const loading = importPackage(missing, 'for this test', () => import(/* @vite-ignore */ missing) as Promise<unknown>);
  await expect(loading).rejects.toThrow(
    `PACKAGE_MISSING ${missing}: is needed for this test: npm install --ignore-scripts ${missing}`,
  );
});

test('an error inside a package that is there is passed on as it is', async () => {
  const broken = new Error('libonnxruntime.so: wrong architecture');
  await expect(importPackage('onnxruntime-node', 'for this test', () => Promise.reject(broken))).rejects.toBe(broken);
});
