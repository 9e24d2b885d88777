import { assertSynthBudget, synthSeconds } from 'slipway/testing';
import { expect, test } from 'vitest';

/** An app whose n-th synthesis keeps the processor for as many milliseconds as the list says. */
function taking(milliseconds: readonly number[]): () => { synth(): void } {
  let built = 0;
  return () => {
    const wanted = milliseconds[Math.min(built++, milliseconds.length - 1)]!;
    return {
      synth: () => {
        const until = performance.now() + wanted;
        while (performance.now() < until);
      },
    };
  };
}

test('the time is the median of runs of new apps, without the first', () => {
  let built = 0;
  const timing = synthSeconds(
    () => {
      built++;
      return taking([2])();
    },
    { runs: 3, units: 2 },
  );
  expect(built).toBe(4);
  expect(timing.median).toBeGreaterThanOrEqual(0.002);
  expect(timing.perUnit).toBe(timing.median / 2);
  // One slow run of five is no median, and the cold one does not count.
  expect(synthSeconds(taking([400, 1, 1, 400, 1, 1]), { runs: 5 }).median).toBeLessThan(0.4);
});

test('an app over its budget fails with the numbers, one within it does not', () => {
  expect(() => assertSynthBudget(taking([20]), 0.001, { runs: 1, units: 2 })).toThrow(
    /^synthesis took \d+\.\d ms for each of 2, and may take 1\.0 ms; look for /,
  );
  assertSynthBudget(taking([1]), 60, { runs: 1 });
});
