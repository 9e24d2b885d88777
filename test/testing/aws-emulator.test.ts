import { CreateBucketCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { startAwsEmulator } from 'slipway/testing';
import { afterEach, expect, test, vi } from 'vitest';
import { emptyFolder } from '../cdk/support/cdk-cli';
import { toolOnPath } from '../support/tools';

afterEach(() => vi.unstubAllEnvs());

test('an SDK that is given its environment talks to the emulator, which is empty at first and gone afterwards', async (ctx) => {
  if (toolOnPath('moto_server') === undefined) return ctx.skip('moto_server is not on the PATH');
  const emulator = await startAwsEmulator();
  try {
    for (const [name, value] of Object.entries(emulator.environment)) vi.stubEnv(name, value);
    const s3 = new S3Client({ forcePathStyle: true });
    expect((await s3.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
    await s3.send(new CreateBucketCommand({ Bucket: 'models' }));
    expect((await s3.send(new ListBucketsCommand({}))).Buckets).toMatchObject([{ Name: 'models' }]);
  } finally {
    await emulator.stop();
  }
  await expect(fetch(emulator.endpoint)).rejects.toThrow('fetch failed');
});

test('where there is none, it says what to install', async () => {
  vi.stubEnv('PATH', emptyFolder());
  await expect(startAwsEmulator()).rejects.toThrow(
    "moto_server is not on the PATH; install it with: python3 -m pip install 'moto[server]'",
  );
});

test('a program that ends instead of answering is named', async () => {
  await expect(startAwsEmulator({ program: '/bin/false' })).rejects.toThrow('/bin/false exited with code 1');
});
