import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { BlobServiceClient } from '@azure/storage-blob';
import { onTestFinished, vi, type TestContext } from 'vitest';
import { AZURITE_ACCOUNT, azuriteConnection, startAzurite } from './azurite';
import { startFakeGcsServer } from './fake-gcs-server';
import { startMotoServer } from './moto-server';
import { startStoreProxy, type StoreKind, type StoreProxy } from './store-proxy';
import { findTool } from './tools';

export const STORE_KINDS: readonly StoreKind[] = ['s3', 'oss', 'cos', 'gs', 'az'];

const S3_LIKE = {
  s3: {
    endpoint: 'AWS_ENDPOINT_URL_S3',
    keys: { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'us-east-1' },
  },
  oss: {
    endpoint: 'OSS_ENDPOINT',
    keys: { ALIBABA_CLOUD_ACCESS_KEY_ID: 'k', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 's' },
  },
  cos: { endpoint: 'COS_ENDPOINT', keys: { TENCENTCLOUD_SECRET_ID: 'k', TENCENTCLOUD_SECRET_KEY: 's' } },
} as const;

export interface BucketUnderTest {
  /** A model repository in an empty bucket, with a closing slash. */
  readonly uri: string;
  readonly proxy: StoreProxy;
  /** What the environment of another process needs to find it. */
  readonly environment: Readonly<Record<string, string>>;
}

const TOOLS = { s3: 'moto_server', oss: 'moto_server', cos: 'moto_server', gs: 'fake-gcs-server', az: 'azurite-blob' };

interface RunningStore {
  readonly proxy: StoreProxy;
  readonly environment: Readonly<Record<string, string>>;
  readonly stop: () => Promise<void>;
}

const running = new Map<StoreKind, Promise<RunningStore>>();

/** Ends what `startBucket` has started: for `afterAll`. */
export async function stopBuckets(): Promise<void> {
  for (const store of running.values()) await (await store).stop();
  running.clear();
}

/**
 * An empty model repository in an emulated bucket of a cloud, which this process finds by its environment; skips the test where
 * the emulator is not here. One emulator of a kind serves a whole file, for sources keep their connections.
 */
export async function startBucket(kind: StoreKind, ctx: Pick<TestContext, 'skip'>): Promise<BucketUnderTest> {
  const program = findTool(TOOLS[kind]);
  if (program === undefined) return ctx.skip(`${TOOLS[kind]} is not on the PATH`);
  let starting = running.get(kind);
  if (starting === undefined) running.set(kind, (starting = start(kind, program)));
  const { proxy, environment } = await starting;
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const root = kind === 'az' ? `az://${AZURITE_ACCOUNT}/models` : `${kind}://models-1250000000`;
  return { uri: `${root}/team/${randomUUID()}/`, proxy, environment };
}

async function start(kind: StoreKind, program: string): Promise<RunningStore> {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-bucket-'));
  const emulator = await startEmulatorOf(kind, program, folder);
  const proxy = await startStoreProxy(kind, emulator);
  // What a stopped upload is remembered by must not be that of another test, or of the one who tests.
  const environment = { XDG_CACHE_HOME: folder, ...(await open(kind, proxy)) };
  const stop = async (): Promise<void> => {
    await proxy.stop();
    await emulator.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { proxy, environment, stop };
}

async function startEmulatorOf(
  kind: StoreKind,
  program: string,
  folder: string,
): Promise<{ readonly port: number; readonly stop: () => Promise<unknown> }> {
  if (kind === 'gs') return startFakeGcsServer(program);
  if (kind === 'az') return startAzurite(program, folder);
  const moto = await startMotoServer(program);
  return { port: Number(new URL(moto.endpoint).port), stop: () => moto.stop() };
}

async function open(kind: StoreKind, { endpoint, port }: StoreProxy): Promise<Record<string, string>> {
  if (kind === 'gs') {
    const body = JSON.stringify({ name: 'models-1250000000' });
    const headers = { 'Content-Type': 'application/json' };
    await fetch(`${endpoint}/storage/v1/b?project=test`, { method: 'POST', body, headers });
    return { STORAGE_EMULATOR_HOST: endpoint };
  }
  if (kind === 'az') {
    const connection = azuriteConnection(port);
    await BlobServiceClient.fromConnectionString(connection).getContainerClient('models').create();
    return { AZURE_STORAGE_CONNECTION_STRING: connection };
  }
  const credentials = { accessKeyId: 'k', secretAccessKey: 's' };
  const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials });
  await client.send(new CreateBucketCommand({ Bucket: 'models-1250000000' }));
  return { ...S3_LIKE[kind].keys, [S3_LIKE[kind].endpoint]: endpoint };
}
