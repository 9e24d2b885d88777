import { afterEach, expect, test } from 'vitest';
import { ByteBudget } from '../../runtime/worker/byte-budget';
import { inferAndStore, TryAgainError, type InferenceTools } from '../../runtime/worker/infer-and-store';
import type { MessageQueue } from '../../runtime/worker/message-queue';
import { ObjectError, type FoundObject, type ObjectStore } from '../../runtime/worker/object-store';
import { QueueWorker } from '../../runtime/worker/queue-worker';
import { ServerClient } from '../../runtime/worker/server-client';
import { plainRepository } from '../server/harness/model-repository';
import { floats, startServer } from '../server/harness/running-server';
import { until } from '../server/harness/until';
import { addOneModel } from '../support/onnx-models';

/** Objects in memory, which know who holds one open without reading it. */
class Objects implements ObjectStore {
  readonly content = new Map<string, Uint8Array>();
  opened = 0;
  idle = 0;

  open(uri: string): Promise<FoundObject> {
    const body = this.content.get(uri);
    if (body === undefined) return Promise.reject(new ObjectError('gone', uri));
    this.opened += 1;
    this.idle += 1;
    return Promise.resolve({
      bytes: body.byteLength,
      read: () => {
        this.idle -= 1;
        return Promise.resolve(body);
      },
      discard: () => void (this.idle -= 1),
    });
  }

  put(uri: string, { body }: { body: Uint8Array | string }): Promise<void> {
    this.content.set(uri, Buffer.from(body));
    return Promise.resolve();
  }

  exists(uri: string): Promise<boolean> {
    return Promise.resolve(this.content.has(uri));
  }

  async *list(): AsyncIterable<string> {}
}

const INPUT = 's3://team/inputs/a.json';
const task = (id: string) => ({ id, model: 'addone', input: { uri: INPUT }, result: `s3://team/results/${id}` });

let client: ServerClient | undefined;
afterEach(() => client?.close());

async function setUp(): Promise<{ store: Objects; tools: InferenceTools; fill: () => Promise<() => void> }> {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  const store = new Objects();
  store.content.set(INPUT, Buffer.from(JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]))));
  const maxBodyBytes = 1_024;
  const answers = new ByteBudget(maxBodyBytes);
  client = new ServerClient({ url: server.url, requestDeadlineSeconds: 10, answers });
  const inputs = new ByteBudget(maxBodyBytes);
  const { signal } = new AbortController();
  const tools = { server: client, store, inputs, maxBodyBytes, inputPlaces: ['s3://team/inputs/'], signal };
  return { store, tools, fill: () => inputs.take(maxBodyBytes) };
}

test('who waits for memory holds no connection that would be cut off meanwhile, and reads the input when there is room', async () => {
  const { store, tools, fill } = await setUp();
  const free = await fill();
  const answered = inferAndStore(task('a'), tools);
  await until('it waits', () => Promise.resolve(tools.inputs.isContested));
  expect([store.opened, store.idle]).toEqual([1, 0]);
  free();
  expect(await answered).toBe('answered');
  expect(store.idle).toBe(0);
  expect(store.content.has('s3://team/results/a.json')).toBe(true);
  expect(tools.inputs.tryTake(tools.maxBodyBytes)).toBeDefined();
});

test('an input that grew while it waited takes no more memory than it asked for: it is tried again', async () => {
  const { store, tools, fill } = await setUp();
  const free = await fill();
  const answered = inferAndStore(task('a'), tools);
  const refused = expect(answered).rejects.toThrow(TryAgainError);
  await until('it waits', () => Promise.resolve(tools.inputs.isContested));
  store.content.set(INPUT, new Uint8Array(tools.maxBodyBytes));
  free();
  await refused;
  expect(store.idle).toBe(0);
  expect(tools.inputs.tryTake(tools.maxBodyBytes)).toBeDefined();
});

test('while messages wait for memory no more are received, for other replicas may have room', async () => {
  const { store, tools, fill } = await setUp();
  const ids = Array.from({ length: 40 }, (_, i) => `n${i}`);
  const waiting = ids.map((id) => JSON.stringify({ id, model: 'addone', input: { uri: INPUT } }));
  let received = 0;
  const queue: MessageQueue = {
    receive: async (max) => {
      const bodies = waiting.splice(0, Math.min(max, 10));
      received += bodies.length;
      if (bodies.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      return bodies.map((body, i) => ({ id: `m${received}-${i}`, receipt: `r${received}-${i}`, body, deliveries: 1 }));
    },
    delete: () => Promise.resolve(),
    hide: () => Promise.resolve(),
  };
  const free = await fill();
  const options = { concurrency: 40, visibilitySeconds: 60, graceSeconds: 5, log: () => {} };
  const worker = new QueueWorker({ ...options, queue, tools, results: 's3://team/results/' });
  const running = worker.run();
  await until('all that were received wait', () => Promise.resolve(store.opened === 10));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(received).toBe(10);
  free();
  await until('all are answered', async () => {
    const found = await Promise.all(ids.map((id) => store.exists(`s3://team/results/addone/${id}.json`)));
    return found.every(Boolean);
  });
  worker.stop();
  await running;
});
