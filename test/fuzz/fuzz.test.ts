import { expect, test } from 'vitest';
import { fuzz } from './fuzzed-server';

test('twenty thousand requests that are mostly wrong leave no crash, no hang and no 500 behind', async () => {
  const { counts } = await fuzz(Number(process.env['FUZZ_SEED'] ?? 1), 20_000);
  // Much of what is sent must get as far as a model, or the cases judge nothing but the first check.
  expect(counts['http 200']).toBeGreaterThan(1_000);
  expect(counts['grpc 0']).toBeGreaterThan(500);
}, 180_000);
