import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { RunCost } from '../../runtime/server/run-cost';
import { averageOver, computeSaturation, type ModelLoad } from '../../runtime/server/saturation';
import { SaturationMeter } from '../../runtime/server/saturation-meter';
import { SharedResource, type ResourceShare } from '../../runtime/server/shared-resource';

const idle: ModelLoad = { arrivingRowsPerSecond: 0, secondsPerRow: 0.01, queuedRows: 0, executors: 1 };

test('an idle replica has saturation 0, and so has one without models', () => {
  expect(computeSaturation([{ models: [idle] }], 0.1)).toBe(0);
  expect(computeSaturation([], 0.1)).toBe(0);
});

test('is 1 when rows arrive as fast as they can be run', () => {
  expect(computeSaturation([{ models: [{ ...idle, arrivingRowsPerSecond: 100 }] }], 0.1)).toBe(1);
  expect(computeSaturation([{ models: [{ ...idle, arrivingRowsPerSecond: 100, executors: 2 }] }], 0.1)).toBe(0.5);
});

test('two models that use half of a resource each fill it', () => {
  const half = { ...idle, arrivingRowsPerSecond: 50 };
  expect(computeSaturation([{ models: [half, half] }], 0.1)).toBe(1);
});

test('is that of the fullest resource', () => {
  const load = (arrivingRowsPerSecond: number): { models: ModelLoad[] } => ({
    models: [{ ...idle, arrivingRowsPerSecond }],
  });
  expect(computeSaturation([load(20), load(80)], 0.1)).toBe(0.8);
});

test('a queue of the aimed-at length adds one whole replica', () => {
  // Ten rows of 10 ms: 0.1 s of work.
  expect(computeSaturation([{ models: [{ ...idle, queuedRows: 10 }] }], 0.1)).toBeCloseTo(1);
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
      const model = {
        ...idle,
        arrivingRowsPerSecond: arrived,
        secondsPerRow: cost.perRow(maxBatch),
        queuedRows: queued,
      };
      average = averageOver(average, computeSaturation([{ models: [model] }], 0.1), 1);
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

test('a run that shares its executor with others has only its part of it', () => {
  let now = 0;
  const resource = new SharedResource(1, () => now);
  const first = resource.begin();
  now = 1;
  const second = resource.begin();
  now = 3;
  // One second alone, two seconds with half of the executor each.
  expect(first.end()).toBeCloseTo(2 / 3);
  now = 4;
  expect(second.end()).toBeCloseTo(2 / 3);
  const two = new SharedResource(2, () => now);
  const [left, right] = [two.begin(), two.begin()];
  now = 5;
  expect([left.end(), right.end()]).toEqual([1, 1]);
});

test('each executor of a model takes its part of the resource, however many other models have', () => {
  let now = 0;
  const resource = new SharedResource(1, () => now);
  const [four, one] = [resource.forModel(4), resource.forModel(1)];
  const runs = Array.from({ length: 4 }, () => four.begin());
  now = 1;
  for (const run of runs) expect(run.end()).toBe(1);
  const [quarter, whole] = [four.begin(), one.begin()];
  now = 2;
  // A quarter and a whole of it are wanted at the same time.
  expect(quarter.end()).toBeCloseTo(0.8);
  expect(whole.end()).toBeCloseTo(0.8);
});

test('a model with more executors than another has more capacity', () => {
  const load = { ...idle, arrivingRowsPerSecond: 100 };
  expect(computeSaturation([{ models: [load, { ...load, executors: 4 }] }], 0.1)).toBe(1.25);
});

/** Two models with an executor each on one CPU, which it divides evenly between the runs that go on; Poisson arrivals. */
function simulateTwoModels(rowsPerSecond: number, { secondsPerRun, secondsPerRow, maxBatch }: TwoModels): number {
  let now = 0;
  let seed = 1;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const resource = new SharedResource(1, () => now);
  const models = [0, 1].map(() => {
    const cost = new RunCost();
    cost.calibrate(secondsPerRun + secondsPerRow, maxBatch, secondsPerRun + maxBatch * secondsPerRow);
    return { cost, queued: 0, arrived: 0, nextArrival: 0, run: undefined as undefined | Run };
  });
  let average = 0;
  for (let tick = 1; tick <= 60;) {
    const running = models.flatMap(({ run }) => run ?? []);
    const ends = now + Math.min(Infinity, ...running.map(({ left }) => left)) * Math.max(1, running.length);
    const next = Math.min(tick, ends, ...models.map(({ nextArrival }) => nextArrival));
    for (const run of running) run.left -= (next - now) / running.length;
    now = next;
    for (const model of models) {
      const { run } = model;
      if (run !== undefined && run.left < 1e-9) {
        model.cost.observe(run.rows, (now - run.startedAt) * run.share.end());
        model.run = undefined;
      }
      if (now === model.nextArrival) {
        model.queued += 1;
        model.arrived += 1;
        model.nextArrival += -Math.log(1 - random()) / (rowsPerSecond / 2);
      }
      if (model.run === undefined && model.queued > 0) {
        const rows = Math.min(model.queued, maxBatch);
        model.queued -= rows;
        model.run = { rows, left: secondsPerRun + rows * secondsPerRow, startedAt: now, share: resource.begin() };
      }
    }
    if (now !== tick) continue;
    const loads = models.map(({ arrived, queued, cost }) => ({
      executors: 1,
      arrivingRowsPerSecond: arrived,
      secondsPerRow: cost.perRow(maxBatch),
      queuedRows: queued,
    }));
    for (const model of models) model.arrived = 0;
    average = averageOver(average, computeSaturation([{ models: loads }], 0.1), 1);
    tick += 1;
  }
  return average;
}

interface Run {
  readonly rows: number;
  left: number;
  readonly startedAt: number;
  readonly share: ResourceShare;
}

interface TwoModels {
  readonly maxBatch: number;
  readonly secondsPerRun: number;
  readonly secondsPerRow: number;
}

test.each([1, 4, 32])(
  'two simulated models that share a CPU show what both use of it, with batches up to %i',
  (maxBatch) => {
    const models = { maxBatch, secondsPerRun: 0.002, secondsPerRow: 0.0005 };
    const capacity = maxBatch / (models.secondsPerRun + maxBatch * models.secondsPerRow);
    for (const share of [0.3, 0.5]) {
      expect(simulateTwoModels(share * capacity, models)).toBeGreaterThan(share * 0.85);
      expect(simulateTwoModels(share * capacity, models)).toBeLessThan(share * 1.15);
    }
  },
);

test('a replica that is busy reading requests is saturated, however light its models are', async () => {
  const meter = new SaturationMeter({ models: () => [], targetQueueSeconds: 0.1 });
  onTestFinished(() => meter.stop());
  meter.start();
  const end = performance.now() + 3_300;
  while (performance.now() < end) {
    const slice = performance.now() + 50;
    while (performance.now() < slice);
    await setImmediate();
  }
  // Three seconds of a ten-second average at 1.
  expect(meter.value).toBeGreaterThan(0.2);
  expect(meter.value).toBeLessThanOrEqual(1);
});
