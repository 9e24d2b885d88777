import { expect, test } from 'vitest';
import { RunCost } from '../../runtime/server/run-cost';
import { averageOver, computeSaturation, type ModelLoad } from '../../runtime/server/saturation';

const idle: ModelLoad = { arrivingRowsPerSecond: 0, secondsPerRow: 0.01, queuedRows: 0 };

test('an idle replica has saturation 0, and so has one without models', () => {
  expect(computeSaturation([{ executors: 1, models: [idle] }], 0.1)).toBe(0);
  expect(computeSaturation([], 0.1)).toBe(0);
});

test('is 1 when rows arrive as fast as they can be run', () => {
  expect(computeSaturation([{ executors: 1, models: [{ ...idle, arrivingRowsPerSecond: 100 }] }], 0.1)).toBe(1);
  expect(computeSaturation([{ executors: 2, models: [{ ...idle, arrivingRowsPerSecond: 100 }] }], 0.1)).toBe(0.5);
});

test('two models that use half of a resource each fill it', () => {
  const half = { ...idle, arrivingRowsPerSecond: 50 };
  expect(computeSaturation([{ executors: 1, models: [half, half] }], 0.1)).toBe(1);
});

test('is that of the fullest resource', () => {
  const load = (arrivingRowsPerSecond: number): { executors: number; models: ModelLoad[] } => ({
    executors: 1,
    models: [{ ...idle, arrivingRowsPerSecond }],
  });
  expect(computeSaturation([load(20), load(80)], 0.1)).toBe(0.8);
});

test('a queue of the aimed-at length adds one whole replica', () => {
  // Ten rows of 10 ms: 0.1 s of work.
  expect(computeSaturation([{ executors: 1, models: [{ ...idle, queuedRows: 10 }] }], 0.1)).toBeCloseTo(1);
});

test('the average reaches 63 % of a new level after ten seconds, whatever the ticks', () => {
  let bySeconds = 0;
  for (let i = 0; i < 10; i++) bySeconds = averageOver(bySeconds, 1, 1);
  expect(bySeconds).toBeCloseTo(1 - Math.exp(-1));
  expect(averageOver(averageOver(0, 1, 3), 1, 7)).toBeCloseTo(bySeconds);
});

test('the cost of a row follows from warm-up: a part for each run and a part for each row', () => {
  const cost = new RunCost();
  expect(cost.perRow(8)).toBe(0);
  cost.calibrate(0.011, 11, 0.021);
  expect(cost.perRow(1)).toBeCloseTo(0.011);
  expect(cost.perRow(10)).toBeCloseTo(0.002);
});

test('the cost of a row follows live traffic, at whatever batch size that comes', () => {
  const cost = new RunCost();
  cost.calibrate(0.011, 11, 0.021);
  for (let i = 0; i < 100; i++) cost.observe(1, 0.022);
  expect(cost.perRow(10)).toBeCloseTo(0.004, 4);
  for (let i = 0; i < 100; i++) cost.observe(10, 0.02);
  expect(cost.perRow(10)).toBeCloseTo(0.002, 4);
});

test('warm-up noise never makes more rows cheaper than fewer', () => {
  const cost = new RunCost();
  cost.calibrate(0.02, 10, 0.01);
  expect(cost.perRow(10)).toBeCloseTo(0.002);
});

test('without warm-up the first run of live traffic says what a row costs', () => {
  const cost = new RunCost();
  cost.observe(4, 0.04);
  expect(cost.perRow(1)).toBeCloseTo(0.01);
});

/** Poisson arrivals at an eager batching executor, simulated; the saturation is what the server would publish. */
function simulate(options: {
  rowsPerSecond: number;
  maxBatch: number;
  secondsPerRun: number;
  secondsPerRow: number;
}): number {
  const { rowsPerSecond, maxBatch, secondsPerRun, secondsPerRow } = options;
  const cost = new RunCost();
  cost.calibrate(secondsPerRun + secondsPerRow, maxBatch, secondsPerRun + maxBatch * secondsPerRow);
  let seed = 1;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  let [average, queued, arrived] = [0, 0, 0];
  let [nextArrival, freeAt] = [0, Infinity];
  for (let tick = 1; tick <= 60;) {
    const now = Math.min(nextArrival, freeAt, tick);
    if (now === tick) {
      const model = { arrivingRowsPerSecond: arrived, secondsPerRow: cost.perRow(maxBatch), queuedRows: queued };
      average = averageOver(average, computeSaturation([{ executors: 1, models: [model] }], 0.1), 1);
      arrived = 0;
      tick += 1;
    } else if (now === nextArrival) {
      queued += 1;
      arrived += 1;
      nextArrival += -Math.log(1 - random()) / rowsPerSecond;
    } else {
      freeAt = Infinity;
    }
    if (freeAt === Infinity && queued > 0) {
      const rows = Math.min(queued, maxBatch);
      const seconds = secondsPerRun + rows * secondsPerRow;
      cost.observe(rows, seconds);
      queued -= rows;
      freeAt = now + seconds;
    }
  }
  return average;
}

test.each([1, 4, 32])(
  'a simulated executor at half of its capacity with batches up to %i shows about a half',
  (maxBatch) => {
    const [secondsPerRun, secondsPerRow] = [0.002, 0.0005];
    const capacity = maxBatch / (secondsPerRun + maxBatch * secondsPerRow);
    const at = (share: number): number =>
      simulate({ rowsPerSecond: share * capacity, maxBatch, secondsPerRun, secondsPerRow });
    expect(at(0.5)).toBeGreaterThan(0.5 * 0.85);
    expect(at(0.5)).toBeLessThan(0.5 * 1.15);
    expect(at(1.5)).toBeGreaterThan(1.5);
  },
);
