import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judge, p99, shareAbove, type TrackCounts } from '../../runtime/canary/verdict';
import { VERDICT_DEFAULTS } from '../../runtime/spec/kubernetes/verdict-rules';

const BOUNDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, Infinity];

/** @param inBuckets Requests that were answered well, by the bucket they fall into. */
function track(name: string, inBuckets: readonly number[], failed = 0, refused = 0): TrackCounts {
  let sum = 0;
  const durations = BOUNDS.map((bound, i) => [bound, (sum += inBuckets[i] ?? 0)] as const);
  return { name, answered: sum + failed + refused, failed, refused, durations };
}

const tracks = fc
  .record({
    inBuckets: fc.array(fc.nat(3_000), { minLength: BOUNDS.length, maxLength: BOUNDS.length }),
    failed: fc.nat(300),
    refused: fc.nat(300),
  })
  .map(({ inBuckets, failed, refused }) => ({ inBuckets, failed, refused }));
const steady = track('digits', [9_000, 990, 10]);

describe('a verdict', () => {
  test('is good for a canary that does as the stable track does', () => {
    expect(judge(steady, track('digits-canary', [900, 99, 1]), VERDICT_DEFAULTS, true)).toEqual({
      outcome: 'good',
      sentence:
        'digits-canary failed 0.0% of 1,000 requests, digits 0.0% of 10,000; ' +
        'digits-canary refused 0.0% of 1,000 requests, digits 0.0% of 10,000; ' +
        'p99 of digits-canary 9.5 ms, of digits 9.5 ms',
    });
  });

  test.each([
    [
      'fails more',
      track('digits-canary', [880], 20),
      'digits-canary failed 2.2% of 900 requests, digits 0.0% of 10,000: more than 1.0% above it',
    ],
    ['refuses what clients send', track('digits-canary', [880], 0, 20), 'digits-canary refused 2.2% of 900 requests'],
    ['is slower', track('digits-canary', [500, 380, 20]), 'p99 of digits-canary'],
  ])('is bad for a canary that %s, with the numbers', (_, canary, sentence) => {
    const verdict = judge(steady, canary, VERDICT_DEFAULTS, true);
    expect(verdict.outcome).toBe('bad');
    expect(verdict.sentence).toContain(sentence);
  });

  test('is none before the end, unless the canary is bad beyond chance', () => {
    expect(judge(steady, track('digits-canary', [999]), VERDICT_DEFAULTS, false).outcome).toBe('undecided');
    expect(judge(steady, track('digits-canary', [97], 3), VERDICT_DEFAULTS, false).outcome).toBe('undecided');
    expect(judge(steady, track('digits-canary', [30], 30), VERDICT_DEFAULTS, false).outcome).toBe('bad');
    // Three failures of three are a bad start, and no more than that.
    expect(judge(steady, track('digits-canary', [], 3), VERDICT_DEFAULTS, false).outcome).toBe('undecided');
  });

  test('of a canary that fails as often as the stable track is good', () => {
    const failing = track('digits', [5_000], 5_000);
    expect(judge(failing, track('digits-canary', [500], 500), VERDICT_DEFAULTS, true).outcome).toBe('good');
  });

  test('says that requests are missing, and how many', () => {
    expect(judge(steady, track('digits-canary', [99]), VERDICT_DEFAULTS, true)).toEqual({
      outcome: 'not enough requests',
      sentence: 'digits-canary answered 99 requests and digits 10,000, a verdict needs 100 of each',
    });
    expect(judge(track('digits', [99]), track('digits-canary', [5_000]), VERDICT_DEFAULTS, true).outcome).toBe(
      'not enough requests',
    );
  });
});

describe('for any counts', () => {
  test('nobody is judged good or bad at the end on fewer requests than were asked for', () => {
    fc.assert(
      fc.property(tracks, tracks, fc.integer({ min: 20, max: 5_000 }), (one, other, minRequests) => {
        const [stable, canary] = [of('digits', one), of('digits-canary', other)];
        const { outcome } = judge(stable, canary, { ...VERDICT_DEFAULTS, minRequests }, true);
        const areEnough = Math.min(stable.answered, canary.answered) >= minRequests;
        expect(outcome === 'not enough requests').toBe(!areEnough);
        expect(outcome).not.toBe('undecided');
      }),
    );
  });

  test('a canary with the very counts of the stable track is never bad', () => {
    fc.assert(
      fc.property(tracks, fc.boolean(), fc.integer({ min: 1, max: 5 }), (same, isOver, maxLatencyRatio) => {
        const rules = { ...VERDICT_DEFAULTS, maxLatencyRatio };
        expect(judge(of('digits', same), of('digits-canary', same), rules, isOver).outcome).not.toBe('bad');
      }),
    );
  });

  test('more failures never make a bad canary good', () => {
    fc.assert(
      fc.property(tracks, tracks, fc.integer({ min: 1, max: 5_000 }), (one, other, more) => {
        const stable = of('digits', one);
        const before = judge(stable, of('digits-canary', other), VERDICT_DEFAULTS, true).outcome;
        const after = judge(
          stable,
          of('digits-canary', { ...other, failed: other.failed + more, refused: 0 }),
          VERDICT_DEFAULTS,
          true,
        ).outcome;
        if (before === 'bad' && of('', other).refused === 0) expect(after).not.toBe('good');
      }),
    );
  });

  test('what is called bad early is bad at the end with the same counts', () => {
    fc.assert(
      fc.property(tracks, tracks, (one, other) => {
        const [stable, canary] = [of('digits', one), of('digits-canary', other)];
        if (judge(stable, canary, VERDICT_DEFAULTS, false).outcome !== 'bad') return;
        expect(['bad', 'not enough requests']).toContain(judge(stable, canary, VERDICT_DEFAULTS, true).outcome);
      }),
    );
  });

  test('the p99 is a duration that one request in a hundred exceeds', () => {
    fc.assert(
      fc.property(tracks, (one) => {
        const { durations } = of('digits', one);
        const seconds = p99(durations);
        if (seconds === undefined) return expect(durations.at(-1)![1]).toBe(0);
        expect(shareAbove(durations, seconds)).toBeLessThanOrEqual(
          Math.max(0.01 + 1e-9, shareAbove(durations, BOUNDS.at(-2)!)),
        );
      }),
    );
  });

  test('the share above a duration falls from all to none as it grows', () => {
    fc.assert(
      fc.property(tracks, fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 2 }), (one, seconds) => {
        const { durations } = of('digits', one);
        const shares = [...seconds].sort((a, b) => a - b).map((s) => shareAbove(durations, s));
        expect(shares).toEqual([...shares].sort((a, b) => b - a));
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...shares)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

function of(name: string, given: { inBuckets: readonly number[]; failed: number; refused: number }): TrackCounts {
  return track(name, given.inBuckets, given.failed, given.refused);
}
