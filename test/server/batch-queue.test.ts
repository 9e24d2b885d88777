import { expect, test } from 'vitest';
import { joinRows, sliceRows } from '../../runtime/server/batch';
import { BatchQueue, type QueuedRequest } from '../../runtime/server/batch-queue';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';

interface Named extends QueuedRequest {
  readonly name: string;
}

let clock = 0;

function ofShape(name: string, rows: number, width = 2): Named {
  const data = new Float32Array(rows * width);
  return { name, rows, enqueuedAt: clock++, inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, width], data }] };
}

const names = (batch: readonly Named[]): string[] => batch.map(({ name }) => name);

test('takes as many requests as fit into a batch, first come first served', () => {
  const queue = new BatchQueue<Named>(4, 100);
  for (const request of [ofShape('a', 1), ofShape('b', 2), ofShape('c', 2), ofShape('d', 1)]) queue.add(request);
  expect(names(queue.take())).toEqual(['a', 'b']);
  expect(names(queue.take())).toEqual(['c', 'd']);
  expect(queue.isEmpty).toBe(true);
  expect(queue.rows).toBe(0);
});

test('joins only equal shapes, and takes the bucket whose first request has waited longest', () => {
  const queue = new BatchQueue<Named>(4, 100);
  for (const request of [ofShape('a', 1, 2), ofShape('b', 1, 3), ofShape('c', 1, 2), ofShape('d', 1, 3)])
    queue.add(request);
  expect(names(queue.take())).toEqual(['a', 'c']);
  expect(names(queue.take())).toEqual(['b', 'd']);
});

test('counts rows, and always has room for one request', () => {
  const queue = new BatchQueue<Named>(8, 4);
  expect(queue.hasRoomFor(8)).toBe(true);
  queue.add(ofShape('a', 3));
  expect(queue.hasRoomFor(1)).toBe(true);
  expect(queue.hasRoomFor(2)).toBe(false);
});

test('forgets a request that is taken out', () => {
  const queue = new BatchQueue<Named>(8, 100);
  const [a, b] = [ofShape('a', 1), ofShape('b', 2)];
  queue.add(a);
  queue.add(b);
  expect(queue.remove(a)).toBe(true);
  expect(queue.remove(a)).toBe(false);
  expect(queue.rows).toBe(2);
  expect(names(queue.take())).toEqual(['b']);
});

test('a batch of one row at most runs every request alone', () => {
  const queue = new BatchQueue<Named>(1, 100);
  queue.add(ofShape('a', 1));
  queue.add(ofShape('b', 1));
  expect(names(queue.take())).toEqual(['a']);
});

test('rows that were joined come apart again, for numbers and for text', () => {
  const text = (data: string[]): Tensor => ({ name: 'x', datatype: 'BYTES', shape: [data.length / 2, 2], data });
  const joined = joinRows([text(['a', 'b']), text(['c', 'd', 'e', 'f'])]);
  expect(joined).toMatchObject({ shape: [3, 2], data: ['a', 'b', 'c', 'd', 'e', 'f'] });
  expect(sliceRows(joined, 1, 3)).toMatchObject({ shape: [2, 2], data: ['c', 'd', 'e', 'f'] });
  const numbers = (data: BigInt64Array): Tensor => ({ name: 'x', datatype: 'INT64', shape: [data.length], data });
  const whole = joinRows([numbers(BigInt64Array.of(1n, 2n)), numbers(BigInt64Array.of(3n))]);
  expect(whole).toMatchObject({ shape: [3], data: BigInt64Array.of(1n, 2n, 3n) });
  expect(sliceRows(whole, 2, 3)).toMatchObject({ shape: [1], data: BigInt64Array.of(3n) });
});
