import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { pullModel } from '../../runtime/server/pull-model';
import { SigningError } from '../../runtime/signing/signing-error';
import { temporaryFolder } from './harness/model-repository';

const options = {
  signal: new AbortController().signal,
  onRetry: (error: Error) => expect.fail(error.message),
};

function newKey(): { readonly file: string; readonly verifyKeys: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file = path.join(temporaryFolder(), 'key.pem');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { file, verifyKeys: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

async function published(signKey?: string): Promise<{ readonly folder: string; readonly uri: string }> {
  const repository = temporaryFolder();
  await publishModel({
    source: 'models/digits/model.onnx',
    name: 'digits',
    repository,
    golden: false,
    ...(signKey === undefined ? {} : { signKey }),
  });
  const folder = path.join(repository, 'digits/1');
  return { folder, uri: pathToFileURL(folder).href };
}

async function refusalOf(pulling: Promise<unknown>): Promise<string> {
  const error = await pulling.then(
    () => new Error('it was pulled'),
    (reason: unknown) => reason,
  );
  if (!SigningError.is(error)) throw error;
  return error.message;
}

test('a version that a known key has signed is pulled with its signature', async () => {
  const { file, verifyKeys } = newKey();
  const { folder, uri } = await published(file);
  const target = temporaryFolder();
  await pullModel(uri, target, { ...options, verifyKeys });
  const signature = readFileSync(path.join(folder, 'manifest.json.sig'), 'utf8');
  expect(readFileSync(path.join(target, 'digits/1/manifest.json.sig'), 'utf8')).toBe(signature);
});

test('nothing is pulled that nobody, or somebody else, has signed, or that was changed since', async () => {
  const { file, verifyKeys } = newKey();
  const target = temporaryFolder();
  const pull = async (uri: string) => refusalOf(pullModel(uri, target, { ...options, verifyKeys }));
  expect(await pull((await published()).uri)).toMatch(/^SIGNATURE_MISSING .*: is not signed/);
  expect(await pull((await published(newKey().file)).uri)).toMatch(/^SIGNATURE_WRONG /);
  const { folder, uri } = await published(file);
  const manifest = path.join(folder, 'manifest.json');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"opsets"', ' "opsets"'));
  expect(await pull(uri)).toMatch(/^SIGNATURE_WRONG .*, or was changed after it was signed$/);
  expect(existsSync(path.join(target, 'digits'))).toBe(false);
});

test('without a key to hold it to, an unsigned version is pulled as before', async () => {
  const { folder, uri } = await published(newKey().file);
  rmSync(path.join(folder, 'manifest.json.sig'));
  const target = temporaryFolder();
  expect((await pullModel(uri, target, options)).isNew).toBe(true);
  expect(existsSync(path.join(target, 'digits/1/manifest.json.sig'))).toBe(false);
});
