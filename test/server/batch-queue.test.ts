import { expect, test } from 'vitest';
import { sliceRows } from '../../runtime/onnx/slice-rows';
import { joinRows } from '../../runtime/server/batch';
import { FairShares } from '../../runtime/server/fair-shares';
import { Cancellation } from '../../runtime/server/cancellation';
import { ServerError } from '../../runtime/server/errors';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { planBatching } from '../../runtime/server/batch-policy';
import { POISON, VirtualBatcher } from './harness/virtual-batcher';

const ONE_LEVEL = planBatching({ queueDepthRows: 1_000, maxQueueDelayMicroseconds: 0 }, 8).queues[0]!;

/** The rows of each run, in order. */
const batches = ({ runs }: VirtualBatcher): (readonly number[])[] => runs.map(({ rows }) => rows);

test('takes as many requests as fit into a batch, first come first served', async () => {
  const virtual = new VirtualBatcher({ policy: { maxBatchRows: 4 } });
  const calls = [[1], [2, 3], [4, 5], [6]].map((rows) => virtual.call(rows));
  await virtual.time.run();
  expect(batches(virtual)).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(await Promise.all(calls)).toEqual([[1], [2, 3], [4, 5], [6]]);
});

test('joins only equal shapes, and begins with what has waited longest', async () => {
  const virtual = new VirtualBatcher();
  const calls = [2, 3, 2, 3].map((width, i) => virtual.call([i], { width }));
  await virtual.time.run();
  expect(batches(virtual)).toEqual([
    [0, 2],
    [1, 3],
  ]);
  expect(await Promise.all(calls)).toEqual([[0], [1], [2], [3]]);
});

test('an executor that becomes free takes what has arrived by then', async () => {
  const virtual = new VirtualBatcher({ runMs: () => 10 });
  void virtual.call([1]);
  await virtual.time.run(5);
  void virtual.call([2]);
  void virtual.call([3]);
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [2, 3]]);
});

test('a full batch does not wait for the end of the turn', async () => {
  const virtual = new VirtualBatcher({ policy: { maxBatchRows: 2 } });
  void virtual.call([1]);
  void virtual.call([2]);
  expect(batches(virtual)).toEqual([[1, 2]]);
  await virtual.time.run();
});

test('a batch is padded to the next allowed size with its last row, and nobody gets the padding', async () => {
  const virtual = new VirtualBatcher({ policy: { allowedBatchSizes: [2, 4, 8] } });
  const calls = [virtual.call([1]), virtual.call([2, 3], { width: 2 })];
  await virtual.time.run();
  expect(batches(virtual)).toEqual([
    [1, 1],
    [2, 3],
  ]);
  const three = [virtual.call([4]), virtual.call([5, 6])];
  await virtual.time.run();
  expect(batches(virtual)[2]).toEqual([4, 5, 6, 6]);
  expect(await Promise.all([...calls, ...three])).toEqual([[1], [2, 3], [4], [5, 6]]);
  expect(virtual.observed.map(({ rows, executedRows }) => [rows, executedRows])).toEqual([
    [1, 2],
    [2, 2],
    [3, 4],
  ]);
});

test('a request without rows is padded with zeros and gets no rows', async () => {
  const virtual = new VirtualBatcher({ policy: { allowedBatchSizes: [2] } });
  const call = virtual.call([]);
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[0, 0]]);
  expect(await call).toEqual([]);
});

test('a higher priority goes first, and what is left of its batch goes to the next level', async () => {
  const policy = {
    maxBatchRows: 2,
    priorityLevels: 3,
    defaultPriorityLevel: 2,
    queues: [ONE_LEVEL, ONE_LEVEL, ONE_LEVEL],
  };
  const virtual = new VirtualBatcher({ policy });
  void virtual.call([100], { width: 2 });
  await virtual.time.run(1);
  for (const [row, priority] of [
    [1, 3],
    [2, 0],
    [3, 1],
    [4, 9],
  ] as const)
    void virtual.call([row], { priority });
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[100], [3, 2], [4, 1]]);
});

test('a higher priority goes first also when its shape is another', async () => {
  const virtual = new VirtualBatcher({ policy: { priorityLevels: 2, queues: [ONE_LEVEL, ONE_LEVEL] } });
  void virtual.call([1]);
  await virtual.time.run(1);
  void virtual.call([2], { priority: 2 });
  void virtual.call([3], { priority: 1, width: 2 });
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [3], [2]]);
});

test('tenants get equal shares of rows, whoever asks most, and each of them in order', async () => {
  const virtual = new VirtualBatcher({ policy: { maxBatchRows: 4 } });
  void virtual.call([0]);
  await virtual.time.run(1);
  for (let i = 1; i <= 8; i++) void virtual.call([i], { tenant: 'greedy' });
  void virtual.call([11, 12], { tenant: 'modest' });
  void virtual.call([13], { tenant: 'modest' });
  void virtual.call([21], { tenant: 'late' });
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[0], [1, 11, 12, 21], [2, 3, 13, 4], [5, 6, 7, 8]]);
});

test('a tenant that comes back after a pause has not saved anything up', () => {
  const shares = new FairShares();
  const serve = (tenant: string): void => {
    const share = shares.of(tenant);
    shares.waits(share, 1);
    shares.leaves(share, 1);
    shares.serves(share, 1);
  };
  serve('rare');
  for (let i = 0; i < 100; i++) serve('steady');
  const rare = shares.of('rare');
  shares.waits(rare, 1);
  expect(shares.of('steady').served - rare.served).toBeLessThanOrEqual(1);
});

test('no more tenants are told apart than there is memory for', () => {
  const shares = new FairShares();
  for (let i = 0; i < 5_000; i++) shares.waits(shares.of(`tenant ${i}`), 1);
  expect([...shares.all()].length).toBeLessThan(1_100);
  expect([...shares.all()].reduce((sum, { waitingRows }) => sum + waitingRows, 0)).toBe(5_000);
});

test('a cancelled request leaves the queue at once and is never run', async () => {
  const virtual = new VirtualBatcher();
  void virtual.call([1]);
  await virtual.time.run(1);
  const cancellation = new Cancellation();
  const gone = virtual.outcome([2], { cancellation });
  void virtual.call([3]);
  expect(virtual.batcher.queuedRows).toBe(2);
  cancellation.cancel(new ServerError('CLIENT_GONE', 'gone'));
  expect(virtual.batcher.queuedRows).toBe(1);
  expect(await gone).toBe('CLIENT_GONE');
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [3]]);
});

test('a run is interrupted when nobody waits for it any more, and not before', async () => {
  const virtual = new VirtualBatcher();
  const cancellations = [new Cancellation(), new Cancellation()];
  const outcomes = cancellations.map((cancellation, i) => virtual.outcome([i], { cancellation }));
  await virtual.time.run(1);
  expect(batches(virtual)).toEqual([[0, 1]]);
  cancellations[0]!.cancel(new ServerError('CLIENT_GONE', 'gone'));
  expect(virtual.interrupted).toBe(0);
  cancellations[1]!.cancel(new ServerError('DEADLINE', 'late'));
  expect(virtual.interrupted).toBe(1);
  expect(await Promise.all(outcomes)).toEqual(['CLIENT_GONE', 'DEADLINE']);
  const next = virtual.call([2]);
  await virtual.time.run();
  expect(await next).toEqual([2]);
  expect(batches(virtual)).toEqual([[0, 1], [2]]);
});

test('what is past its deadline never runs, and makes room', async () => {
  const virtual = new VirtualBatcher({ policy: { queueDepthRows: 2 }, expectedMs: 1, runMs: () => 100 });
  void virtual.call([1]);
  await virtual.time.run(1);
  const late = [2, 3].map((row) => virtual.outcome([row], { deadlineAt: 50 }));
  expect(await virtual.outcome([4])).toBe('QUEUE_FULL');
  await virtual.time.run(40);
  virtual.time.after(20, () => late.push(virtual.outcome([5])));
  await virtual.time.run();
  expect(await Promise.all(late)).toEqual(['DEADLINE', 'DEADLINE', 'ok 5']);
  expect(batches(virtual)).toEqual([[1], [5]]);
});

test('a queue timeout refuses by default, and a client may shorten its own', async () => {
  const virtual = new VirtualBatcher({
    policy: { queues: [{ ...ONE_LEVEL, defaultTimeoutMs: 60 }] },
    expectedMs: 1,
    runMs: () => 1_000,
  });
  void virtual.call([1]);
  await virtual.time.run(1);
  const outcomes = [virtual.outcome([2]), virtual.outcome([3], { queueTimeoutMs: 30 })];
  await virtual.time.run(55);
  expect(virtual.batcher.queuedRows).toBe(1);
  await virtual.time.run(90);
  expect(virtual.batcher.queuedRows).toBe(0);
  expect(await Promise.all(outcomes)).toEqual(['DEADLINE', 'DEADLINE']);
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1]]);
});

test('a request past its timeout is run after all others when the policy says DELAY', async () => {
  const queues = [{ ...ONE_LEVEL, timeoutAction: 'DELAY' as const, defaultTimeoutMs: 30 }];
  const virtual = new VirtualBatcher({ policy: { maxBatchRows: 1, queues }, runMs: () => 50 });
  void virtual.call([1]);
  await virtual.time.run(1);
  void virtual.call([2]);
  await virtual.time.run(45);
  void virtual.call([3]);
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [3], [2]]);
});

test('waits for a preferred size, and not longer than the delay', async () => {
  const virtual = new VirtualBatcher({ policy: { preferredBatchSizes: [2, 4], maxQueueDelayMs: 5 }, runMs: () => 1 });
  void virtual.call([1]);
  await virtual.time.run(4);
  expect(batches(virtual)).toEqual([]);
  await virtual.time.run(8);
  expect(virtual.runs[0]!.at).toBeGreaterThanOrEqual(5);
  expect(virtual.runs[0]!.at).toBeLessThan(6.5);
  for (const row of [2, 3, 4]) void virtual.call([row]);
  await virtual.time.run(9.5);
  expect(batches(virtual)).toEqual([[1], [2, 3]]);
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [2, 3], [4]]);
});

test('a timer that ends too early is set again', async () => {
  const virtual = new VirtualBatcher({ policy: { maxQueueDelayMs: 10 } });
  const after = virtual.time.after.bind(virtual.time);
  virtual.time.after = (ms, callback) => after(ms / 2, callback);
  const call = virtual.call([1]);
  await virtual.time.run();
  expect(await call).toEqual([1]);
  expect(virtual.runs[0]!.at).toBeGreaterThanOrEqual(10);
});

test('a batch that waits for more rows does not hold up one of another shape', async () => {
  const virtual = new VirtualBatcher({ policy: { preferredBatchSizes: [2], maxQueueDelayMs: 1_000 } });
  void virtual.call([1]);
  void virtual.call([2], { width: 2 });
  void virtual.call([3], { width: 2 });
  await virtual.time.run(100);
  expect(batches(virtual)).toEqual([[2, 3]]);
  await virtual.time.run();
});

test('each shape waits for its own delay', async () => {
  const virtual = new VirtualBatcher({ policy: { maxQueueDelayMs: 20 }, runMs: () => 1 });
  void virtual.call([1]);
  await virtual.time.run(10);
  void virtual.call([2], { width: 2 });
  await virtual.time.run();
  expect(batches(virtual)).toEqual([[1], [2]]);
  expect(virtual.runs[0]!.at).toBeLessThan(22);
  expect(virtual.runs[1]!.at).toBeGreaterThanOrEqual(30);
});

test('answers leave in the order of arrival when that is asked for', async () => {
  const virtual = new VirtualBatcher({
    policy: { maxBatchRows: 2, preserveOrdering: true },
    executors: 3,
    runMs: (rows) => (rows === 2 ? 50 : 5),
  });
  const order: string[] = [];
  const cancellation = new Cancellation();
  const note = (outcome: string): number => order.push(outcome);
  void virtual.outcome([1, 2]).then(note);
  void virtual.outcome([3]).then(note);
  void virtual.outcome([4], { cancellation, width: 2 }).then(note);
  await virtual.time.run(10);
  cancellation.cancel(new ServerError('CLIENT_GONE', 'gone'));
  await virtual.time.run();
  expect(order).toEqual(['ok 1,2', 'ok 3', 'ok 4']);
});

test('a full queue refuses with its numbers and the predicted wait', async () => {
  const virtual = new VirtualBatcher({ policy: { queueDepthRows: 3, maxBatchRows: 1 }, runMs: () => 1_000 });
  void virtual.call([0]);
  await virtual.time.run(1);
  for (const row of [1, 2, 3]) void virtual.call([row]);
  await expect(virtual.call([4])).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    message: "the queue of model 'm' is full: 3 of 3 rows wait, got 1 more",
    headers: { 'Retry-After': '4' },
  });
  await virtual.time.run();
  expect(virtual.runs).toHaveLength(4);
});

test('nobody is let in whose predicted wait is longer than the queue may be, or than they have time', async () => {
  const virtual = new VirtualBatcher({ policy: { queueSeconds: 2.5, maxBatchRows: 1 }, runMs: () => 1_000 });
  void virtual.call([0]);
  await virtual.time.run(1);
  expect(await virtual.outcome([9], { deadlineAt: 500 })).toBe('QUEUE_FULL');
  const let_in = [1, 2].map((row) => virtual.call([row]));
  await expect(virtual.call([3])).rejects.toThrow(
    "the queue of model 'm' is too long: 2 rows wait, a predicted 3 s, at most 2.5 s would do",
  );
  await virtual.time.run();
  expect(await Promise.all(let_in)).toEqual([[1], [2]]);
});

test('a tenant that floods the queue makes room for others, with its newest requests', async () => {
  const virtual = new VirtualBatcher({ policy: { queueDepthRows: 4, maxBatchRows: 1 } });
  void virtual.call([0]);
  await virtual.time.run(1);
  const flood = [1, 2, 3, 4].map((row) => virtual.outcome([row], { tenant: 'flood' }));
  const modest = [11, 12, 13].map((row) => virtual.outcome([row], { tenant: 'modest' }));
  await virtual.time.run();
  expect(await Promise.all(flood)).toEqual(['ok 1', 'ok 2', 'QUEUE_FULL', 'QUEUE_FULL']);
  expect(await Promise.all(modest)).toEqual(['ok 11', 'ok 12', 'QUEUE_FULL']);
});

test('a level holds no more requests than its policy says', async () => {
  const virtual = new VirtualBatcher({ policy: { queues: [{ ...ONE_LEVEL, maxQueueSize: 1 }] } });
  void virtual.call([0]);
  await virtual.time.run(1);
  void virtual.call([1]);
  await expect(virtual.call([2])).rejects.toThrow("the queue of model 'm' is full: 1 of 1 requests of priority 1 wait");
  await virtual.time.run();
});

test('values that make a run fail cost only the request that brought them', async () => {
  const virtual = new VirtualBatcher();
  const outcomes = [1, 2, POISON, 3, 4, 5, 6, 7].map((row) => virtual.outcome([row]));
  await virtual.time.run();
  expect(await Promise.all(outcomes)).toEqual([
    'ok 1',
    'ok 2',
    'RUN_REFUSED',
    ...[3, 4, 5, 6, 7].map((row) => `ok ${row}`),
  ]);
  expect(virtual.runs).toHaveLength(7);
});

test('what an executor had not begun when it was lost is run by the next one, in its old place', async () => {
  const virtual = new VirtualBatcher({
    policy: { maxBatchRows: 2 },
    fate: (run) => (run === 0 && virtual.idle.length === 0 && virtual.time.now() < 40 ? 'refused' : 'works'),
  });
  const outcomes = [1, 2, 3].map((row) => virtual.outcome([row]));
  await virtual.time.run();
  expect(await Promise.all(outcomes)).toEqual(['ok 1', 'ok 2', 'ok 3']);
  expect(batches(virtual)).toEqual([[1, 2], [3]]);
});

test('what was running on a lost executor fails, and an executor that is always gone is not tried for ever', async () => {
  const lost = new VirtualBatcher({ fate: () => 'lost' });
  const outcome = lost.outcome([1]);
  await lost.time.run();
  expect(await outcome).toBe('EXECUTOR_LOST');
  expect(lost.runs).toHaveLength(1);

  const never = new VirtualBatcher({ fate: () => 'refused' });
  const given = never.outcome([1]);
  await never.time.run();
  expect(await given).toBe('EXECUTOR_LOST');
});

test('rows that were joined come apart again, for numbers and for text', () => {
  const text = (data: string[]): Tensor => ({ name: 'x', datatype: 'BYTES', shape: [data.length / 2, 2], data });
  const joined = joinRows([text(['a', 'b']), text(['c', 'd', 'e', 'f'])], 4);
  expect(joined).toMatchObject({ shape: [4, 2], data: ['a', 'b', 'c', 'd', 'e', 'f', 'e', 'f'] });
  expect(sliceRows(joined, 1, 3)).toMatchObject({ shape: [2, 2], data: ['c', 'd', 'e', 'f'] });
  const numbers = (data: BigInt64Array): Tensor => ({ name: 'x', datatype: 'INT64', shape: [data.length], data });
  const whole = joinRows([numbers(BigInt64Array.of(1n, 2n)), numbers(BigInt64Array.of(3n))]);
  expect(whole).toMatchObject({ shape: [3], data: BigInt64Array.of(1n, 2n, 3n) });
  expect(sliceRows(whole, 2, 3)).toMatchObject({ shape: [1], data: BigInt64Array.of(3n) });
  expect(joinRows([numbers(BigInt64Array.of(1n))], 3)).toMatchObject({ data: BigInt64Array.of(1n, 1n, 1n) });
});
