import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { addOneModel } from '../support/onnx-models';
import { publishedRepository } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';

interface Published {
  readonly manifest: string;
  readonly sha256: string;
  /** A replica that is told the folder, and what its manifest must hash to. */
  readonly start: () => Promise<RunningServer>;
}

const sha256Of = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

async function publish(): Promise<Published> {
  const folder = path.join(await publishedRepository('addone', addOneModel()), 'addone', '1');
  const manifest = path.join(folder, 'manifest.json');
  const manifestSha256 = sha256Of(manifest);
  const reference = { name: 'addone', version: 1, folder: `${pathToFileURL(folder).href}/`, manifestSha256 };
  return { manifest, sha256: manifestSha256, start: () => startServer({ models: JSON.stringify([reference]) }) };
}

async function reasonOf({ get, post }: RunningServer): Promise<string> {
  expect((await get('/readyz')).status).toBe(503);
  const [{ reason }] = (await post('/v2/repository/index', '')).json as [{ reason: string }];
  return reason;
}

test('a folder whose manifest has the digest that the deployment expects is proven and served', async () => {
  const server = await (await publish()).start();
  expect((await server.get('/readyz')).status).toBe(200);
  const { json } = await server.infer('addone', floats('input', [1, 4], [1, 2, 3, 4]));
  expect(json.outputs[0].data).toEqual([2, 3, 4, 5]);
  expect(server.log.find(({ msg }) => msg === 'model proven and warm')).toMatchObject({ golden: true });
});

test('a manifest that was changed is not served, and the reason has both digests', async () => {
  const { manifest, sha256, start } = await publish();
  // Still a valid manifest of the same model and the same files.
  appendFileSync(manifest, '\n');
  expect(await reasonOf(await start())).toBe(
    `manifest.json of 'addone' version 1 has SHA-256 ${sha256Of(manifest)}, the deployment expects ${sha256}`,
  );
});

test('a manifest that is no JSON any more is told by its digests as well', async () => {
  const { manifest, sha256, start } = await publish();
  writeFileSync(manifest, Uint8Array.of(0xff, 0xfe));
  expect(await reasonOf(await start())).toContain(`the deployment expects ${sha256}`);
});

test('a folder without the manifest is not served as a bare model', async () => {
  const { manifest, sha256, start } = await publish();
  rmSync(manifest);
  expect(await reasonOf(await start())).toBe(
    `manifest.json of 'addone' version 1 is missing; the deployment expects SHA-256 ${sha256}`,
  );
});

test('a model file that is not the one in the manifest is refused although the manifest is right', async () => {
  const { manifest, start } = await publish();
  appendFileSync(path.join(path.dirname(manifest), 'model.onnx'), 'x');
  expect(await reasonOf(await start())).toMatch(/^file 'model\.onnx' is \d+ bytes, expected/);
});
