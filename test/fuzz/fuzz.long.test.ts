import { test } from 'vitest';
import { fuzz } from './fuzzed-server';

test('a million requests that are mostly wrong leave no crash, no hang and no 500 behind', async () => {
  await fuzz(Number(process.env['FUZZ_SEED'] ?? 2), 1_000_000, { untilClosed: true });
}, 3_600_000);
