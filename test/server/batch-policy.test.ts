import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { paddedRows, parseBatchSizes, planBatching, warmUpSizes } from '../../runtime/server/batch-policy';
import { readModelConfiguration } from '../../runtime/spec/model-configuration/read-model-configuration';
import { addOneModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';

const SETTINGS = { queueDepthRows: 100, maxQueueDelayMicroseconds: 0 };
const configured = (text: string): ReturnType<typeof readModelConfiguration> =>
  readModelConfiguration(text, 'config.pbtxt');

test('by default batches have any size, nothing waits for others, and a client may shorten its own wait', () => {
  expect(planBatching(SETTINGS, 32)).toEqual({
    maxBatchRows: 32,
    allowedBatchSizes: [],
    preferredBatchSizes: [],
    maxQueueDelayMs: 0,
    preserveOrdering: false,
    priorityLevels: 1,
    defaultPriorityLevel: 1,
    queues: [
      { timeoutAction: 'REJECT', defaultTimeoutMs: Infinity, allowTimeoutOverride: true, maxQueueSize: Infinity },
    ],
    queueDepthRows: 100,
    queueSeconds: Infinity,
  });
});

test('a model configuration says how its requests wait, level by level', () => {
  const policy = planBatching(
    { ...SETTINGS, maxQueueDelayMicroseconds: 9_000, queueSeconds: 2 },
    16,
    configured(`
      dynamic_batching {
        preferred_batch_size: [ 8, 4, 64 ]
        max_queue_delay_microseconds: 500
        preserve_ordering: true
        priority_levels: 2
        default_priority_level: 2
        default_queue_policy { default_timeout_microseconds: 3000 allow_timeout_override: true }
        priority_queue_policy { key: 1 value { timeout_action: DELAY max_queue_size: 5 } }
      }`),
  );
  expect(policy).toMatchObject({
    preferredBatchSizes: [4, 8],
    maxQueueDelayMs: 0.5,
    preserveOrdering: true,
    priorityLevels: 2,
    defaultPriorityLevel: 2,
    queueSeconds: 2,
    queues: [
      { timeoutAction: 'DELAY', defaultTimeoutMs: Infinity, allowTimeoutOverride: false, maxQueueSize: 5 },
      { timeoutAction: 'REJECT', defaultTimeoutMs: 3, allowTimeoutOverride: true, maxQueueSize: Infinity },
    ],
  });
});

test('allowed sizes bound a batch, those of the model before those of the server', () => {
  const settings = { ...SETTINGS, allowedBatchSizes: '8, 1,2,64' };
  const policy = planBatching(settings, 32);
  expect(policy).toMatchObject({ allowedBatchSizes: [1, 2, 8], maxBatchRows: 8 });
  expect([1, 2, 3, 8].map((rows) => paddedRows(policy, rows))).toEqual([1, 2, 8, 8]);
  expect(warmUpSizes(policy)).toEqual([1, 2, 8]);
  expect(planBatching(settings, 32, configured('allowed_batch_sizes: [ 4, 16 ]'))).toMatchObject({
    allowedBatchSizes: [4, 16],
    maxBatchRows: 16,
  });
  expect(warmUpSizes(planBatching(SETTINGS, 32))).toEqual([32]);
});

test('allowed sizes that leave none for a small model change nothing, and a model that takes no rows has none', () => {
  const settings = { ...SETTINGS, allowedBatchSizes: '8,16' };
  expect(planBatching(settings, 4)).toMatchObject({ allowedBatchSizes: [], maxBatchRows: 4 });
  expect(planBatching(settings, undefined)).toMatchObject({ allowedBatchSizes: [], maxBatchRows: 1 });
});

test.each(['', '0', '1,', '1;2', 'two', '1.5', '-1', '1,9999999'])('refuses the sizes %j', (text) => {
  expect(() => parseBatchSizes(text)).toThrow(
    `SLIPWAY_ALLOWED_BATCH_SIZES: must be numbers of rows as in 1,2,4,8, got '${text}'`,
  );
});

test('a served model runs nothing but its allowed sizes, and clients see only their own rows', async () => {
  const modelRepository = plainRepository({ addone: addOneModel() });
  writeFileSync(
    path.join(modelRepository, 'addone', 'config.pbtxt'),
    'max_batch_size: 6 allowed_batch_sizes: [ 3, 6 ]',
  );
  const server = await startServer({ modelRepository });
  const answers = await Promise.all(
    [1, 2, 2, 5, 6].map((rows, i) =>
      server.infer('addone', floats('input', [rows, 4], new Array<number>(rows * 4).fill(i))),
    ),
  );
  answers.forEach(({ json }, i) => {
    const rows = [1, 2, 2, 5, 6][i]!;
    expect(json.outputs[0]).toMatchObject({ shape: [rows, 4], data: new Array<number>(rows * 4).fill(i + 1) });
  });
  const tooMany = await server.infer('addone', floats('input', [7, 4], new Array<number>(28).fill(0)));
  expect(tooMany.status).toBe(400);
  expect(tooMany.json.error).toContain('takes at most 6 rows in one request, got 7');
  const { text } = await request(`${server.metricsUrl}/metrics`);
  expect(text).toMatch(/^slipway_batch_rows_sum\{model="addone",version="1"\} 16$/m);
});
