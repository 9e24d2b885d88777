import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { DIGITS, folderWith } from '../cdk/support/stacks';
import { startWorker } from '../worker/support/worker-process';

// SageMaker runs every image with the one argument `serve`, copies the version's prefix into a folder, and asks /ping.
let folder: string;
let manifestSha256: string;
beforeAll(async () => {
  const repository = folderWith({});
  ({ manifestSha256 } = await publishModel({ source: DIGITS, name: 'digits', repository, version: 3 }));
  folder = `${pathToFileURL(repository).href}/digits/3/`;
});

test('the image starts with the argument that SageMaker gives, and serves the folder that it copied', async () => {
  const server = await startWorker(
    ['serve'],
    {
      HOME: folderWith({}),
      SLIPWAY_CACHE_DIRECTORY: folderWith({}),
      SLIPWAY_GRPC_PORT: '0',
      SLIPWAY_METRICS_PORT: '0',
      SAGEMAKER_BIND_TO_PORT: '0',
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      SLIPWAY_INTRA_OP_THREADS: '1',
      SLIPWAY_MODELS: JSON.stringify([{ name: 'digits', version: 3, folder, manifestSha256 }]),
    },
    'server.mjs',
  );
  const { httpPort } = await server.waitFor('listening');
  const url = `http://127.0.0.1:${String(httpPort)}`;
  await expect.poll(async () => (await fetch(`${url}/ping`)).status, { timeout: 20_000 }).toBe(200);
  const row = Array.from({ length: 64 }, () => '0').join(',');
  const answer = await fetch(`${url}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv', accept: 'text/csv' },
    body: row,
  });
  expect(answer.status).toBe(200);
  expect((await answer.text()).split(',')).toHaveLength(10);
});
