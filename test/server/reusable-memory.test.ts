import { expect, test } from 'vitest';
import { ReusableMemory } from '../../runtime/server/reusable-memory';

const KIB = 1_024;

test('memory that was given back is used again, for bodies of nearly the same length', () => {
  const memory = new ReusableMemory();
  const buffer = memory.take(602_300);
  expect(buffer.byteLength).toBeGreaterThanOrEqual(602_300);
  expect(buffer.byteLength).toBeLessThanOrEqual(602_300 * 1.125);
  memory.give(buffer);
  expect(memory.take(602_112)).toBe(buffer);
  expect(memory.take(602_112)).not.toBe(buffer);
});

test('short memory is made anew, exactly as long as it must be', () => {
  const memory = new ReusableMemory();
  const buffer = memory.take(1_000);
  expect(buffer.byteLength).toBe(1_000);
  memory.give(buffer);
  expect(memory.take(1_000)).not.toBe(buffer);
});

test('every size up to the largest fits, with at most an eighth more', () => {
  const memory = new ReusableMemory();
  for (let bytes = 64 * KIB; bytes < 4 * 1_024 * KIB; bytes += 12_345) {
    const { byteLength } = memory.take(bytes);
    expect(byteLength).toBeGreaterThanOrEqual(bytes);
    expect(byteLength).toBeLessThanOrEqual(bytes * 1.125 + 16);
  }
});

test('only so much is kept, and what is used now drives out what was used before', () => {
  const memory = new ReusableMemory(1_024 * KIB);
  const old = memory.take(512 * KIB);
  const others = [1, 2, 3].map(() => memory.take(256 * KIB));
  memory.give(old);
  for (const buffer of others) memory.give(buffer);
  expect(memory.take(512 * KIB)).not.toBe(old);
  expect(new Set([1, 2, 3].map(() => memory.take(256 * KIB)))).toEqual(new Set(others));
});

test('a buffer larger than all that may be kept is let go', () => {
  const memory = new ReusableMemory(128 * KIB);
  const buffer = memory.take(256 * KIB);
  memory.give(buffer);
  expect(memory.take(256 * KIB)).not.toBe(buffer);
});

test('views of memory that is reclaimed become empty, so that nobody reads what another request writes', () => {
  const memory = new ReusableMemory();
  const view = new Uint8Array(memory.take(100 * KIB), 16, 50 * KIB).fill(7);
  memory.reclaim(view.buffer);
  expect(view.byteLength).toBe(0);
  const again = new Uint8Array(memory.take(100 * KIB));
  expect(again[16]).toBe(7);
});

test('a buffer that was not taken here is left alone', () => {
  const memory = new ReusableMemory();
  // So large is the pool of which Node 24 makes short buffers; it cannot be detached.
  const view = new Uint8Array(64 * KIB);
  memory.reclaim(view.buffer);
  expect(view.byteLength).toBe(64 * KIB);
});
