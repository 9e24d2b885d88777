import fc from 'fast-check';
import {
  assertPrices,
  CLOUDS,
  describeCost,
  formatUsd,
  INSTANCE_CATALOG,
  isKnownCost,
  lookUpInstance,
  planCost,
  planInferenceService,
  planServiceCost,
  PRICE_TABLES,
  type Cost,
  type InferenceServiceSpec,
  type InstanceType,
  type MachineNumbers,
  type PriceRange,
  type UnknownCost,
} from 'slipway';
import { describe, expect, test } from 'vitest';

const TABLES = Object.values(PRICE_TABLES);
const PRICED = TABLES.flatMap(({ prices }) => Object.keys(prices)) as InstanceType[];

function known(cost: Cost | UnknownCost | undefined): Cost {
  if (cost === undefined || !isKnownCost(cost)) throw new Error(`no price known: ${JSON.stringify(cost)}`);
  return cost;
}

describe('the price tables', () => {
  test('say their region, source and day, and have prices of types of their own cloud alone', () => {
    for (const [cloud, table] of Object.entries(PRICE_TABLES)) {
      expect(table.cloud).toBe(cloud);
      expect([table.region, table.source]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
      for (const day of [table.readOn, table.listedOn ?? table.readOn]) expect(new Date(day).toJSON()).toContain(day);
      for (const type of Object.keys(table.prices)) expect(lookUpInstance(type, 'type', table.cloud).cloud).toBe(cloud);
    }
  });

  test('spot is cheaper than on demand, and no range is upside down', () => {
    for (const { prices } of TABLES) {
      for (const [type, { onDemand, spot = { low: 0, high: 0 } }] of Object.entries(prices)) {
        expect(onDemand, type).toBeGreaterThan(0);
        expect(spot.low, type).toBeLessThanOrEqual(spot.high);
        expect(spot.high, type).toBeLessThan(onDemand);
      }
    }
  });

  test('of one cloud and GPU, a machine that has more of everything is not cheaper', () => {
    for (const { prices } of TABLES) {
      for (const [small, { onDemand }] of Object.entries(prices)) {
        for (const [large, { onDemand: price }] of Object.entries(prices)) {
          const [a, b] = [lookUpInstance(small, 'type'), lookUpInstance(large, 'type')];
          if (a.gpu !== b.gpu || small === large) continue;
          if (a.gpuCount <= b.gpuCount && a.vcpu <= b.vcpu && a.memoryMiB <= b.memoryMiB) {
            expect(onDemand, `${small} against ${large}`).toBeLessThanOrEqual(price);
          }
        }
      }
    }
  });
});

describe('the cost of a group', () => {
  test('is machines times price an hour, and times 24 a day', () => {
    const cost = known(planCost({ instanceTypes: ['g6.xlarge'], minMachines: 2, maxMachines: 8 }));
    expect(cost).toMatchObject({
      perHourAtMin: { low: 2 * 0.8048, high: 2 * 0.8048 },
      perHourAtMax: { low: 8 * 0.8048, high: 8 * 0.8048 },
      scalesToZero: false,
    });
    expect(cost.idlePerDay.low).toBeCloseTo(48 * 0.8048);
    expect(cost.savedPerDayByZero).toEqual(cost.idlePerDay);
    expect(cost.tables.map(({ region }) => region)).toEqual(['us-east-1']);
  });

  test('that goes down to zero is nothing while nobody asks, and a machine’s day is saved', () => {
    const cost = known(planCost({ instanceTypes: ['g6.xlarge'], minMachines: 0, maxMachines: 8 }));
    expect([cost.idlePerDay, cost.scalesToZero]).toEqual([{ low: 0, high: 0 }, true]);
    expect(cost.savedPerDayByZero.low).toBeCloseTo(24 * 0.8048);
  });

  test('of several types reaches from the cheapest to the dearest, and on spot over the zones', () => {
    const types = ['g6.xlarge', 'g6e.xlarge'];
    const one = { instanceTypes: types, minMachines: 1, maxMachines: 1 };
    expect(known(planCost(one)).perHourAtMin).toEqual({ low: 0.8048, high: 1.861 });
    expect(known(planCost({ ...one, spot: true })).perHourAtMin).toEqual({ low: 0.4007, high: 0.9302 });
  });

  test.each([
    ['ecs.gn7i-c8g1.2xlarge', false, 'no price known for ecs.gn7i-c8g1.2xlarge'],
    ['GN7.2XLARGE32', false, 'no price known for GN7.2XLARGE32'],
    ['Standard_NC40ads_H100_v5', false, 'no price known for Standard_NC40ads_H100_v5'],
    ['Standard_NC4as_T4_v3', true, 'no spot price known for Standard_NC4as_T4_v3'],
  ])('of %s (spot: %s) is not made up', (type, spot, sentence) => {
    const group = { instanceTypes: ['g2-standard-4', type], minMachines: 1, maxMachines: 2, spot };
    expect(planCost(group)).toEqual({ noPriceFor: [type] });
    expect(describeCost(group)).toContain(sentence);
    expect(isKnownCost(planCost(group, { [type]: 1.5 }))).toBe(true);
  });

  test('is one line that names region and day of the prices', () => {
    const group = { instanceTypes: ['g6.xlarge'], minMachines: 0, maxMachines: 8 };
    expect(describeCost(group)).toMatchInlineSnapshot(
      `"0 to 8 × g6.xlarge: 0.00 USD an hour at least, 6.44 USD at most; idle 0.00 USD a day, scale to zero saves 19.32 USD a day for each machine that nobody needs (list of us-east-1 of 2026-02-09; machines only)"`,
    );
    expect(describeCost({ ...group, minMachines: 2 }, { 'g6.xlarge': 0.5 })).toMatchInlineSnapshot(
      `"2 to 8 × g6.xlarge: 1.00 USD an hour at least, 4.00 USD at most; idle 24.00 USD a day, scale to zero would save up to 24.00 USD a day (prices as given; machines only)"`,
    );
    expect(describeCost({ ...group, instanceTypes: ['a3-highgpu-1g'], spot: true })).toMatchInlineSnapshot(
      `"0 to 8 × a3-highgpu-1g on spot: 0.00 USD an hour at least, 31.20 USD at most; idle 0.00 USD a day, scale to zero saves 93.59 USD a day for each machine that nobody needs (spot prices of us-central1, read 2026-11-22; machines only)"`,
    );
  });

  const group: fc.Arbitrary<MachineNumbers> = fc
    .record({
      instanceTypes: fc.uniqueArray(fc.constantFrom(...PRICED), { minLength: 1, maxLength: 4 }),
      sizes: fc.tuple(fc.nat(100), fc.nat(100)),
    })
    .map(({ instanceTypes, sizes: [a, b] }) => ({
      instanceTypes,
      minMachines: Math.min(a, b),
      maxMachines: Math.max(a, b),
    }));

  test('is never more at least than at most, and grows with every machine and every price', () => {
    fc.assert(
      fc.property(group, fc.double({ min: 0, max: 5, noNaN: true }), (machines, more) => {
        const cost = known(planCost(machines));
        for (const range of [cost.perHourAtMin, cost.perHourAtMax, cost.idlePerDay, cost.savedPerDayByZero]) {
          expect(range.low).toBeLessThanOrEqual(range.high);
          expect(range.low).toBeGreaterThanOrEqual(0);
        }
        expectAtMost(cost.perHourAtMin, cost.perHourAtMax);
        expectAtMost(cost.idlePerDay, cost.savedPerDayByZero);
        expect(cost.idlePerDay.high).toBeCloseTo(24 * cost.perHourAtMin.high);
        expect(cost.scalesToZero).toBe(machines.minMachines === 0);

        const larger = known(planCost({ ...machines, maxMachines: machines.maxMachines + 1 }));
        expectAtMost(cost.perHourAtMax, larger.perHourAtMax);
        const [type] = machines.instanceTypes;
        const price = PRICE_TABLES[INSTANCE_CATALOG[type as InstanceType].cloud]!.prices[type!]!.onDemand;
        expectAtMost(cost.perHourAtMax, known(planCost(machines, { [type!]: price + more })).perHourAtMax);
        // A price that says what the list says changes nothing.
        expect(known(planCost(machines, { [type!]: price })).perHourAtMax).toEqual(cost.perHourAtMax);
      }),
      { numRuns: 300 },
    );
  });
});

function expectAtMost(less: PriceRange, more: PriceRange): void {
  expect(less.low).toBeLessThanOrEqual(more.low);
  expect(less.high).toBeLessThanOrEqual(more.high);
}

describe('the cost of a service', () => {
  const spec: InferenceServiceSpec = {
    name: 'reader',
    models: [{ name: 'digits', version: 1 }],
    startupBudgetSeconds: 60,
    memoryMiB: 2_048,
    executionProvider: 'cuda',
    minReplicas: 3,
    maxReplicas: 9,
  };

  test('counts as many machines as its replicas fill', () => {
    const cost = known(planServiceCost(planInferenceService({ ...spec, instanceTypes: ['g6.12xlarge'] })));
    // Four GPUs a machine: three replicas need one, nine need three.
    expect([cost.perHourAtMin.low, cost.perHourAtMax.low]).toEqual([4.6016, 3 * 4.6016]);
    const two = planInferenceService({ ...spec, instanceTypes: ['g6.12xlarge'], gpuCount: 2 });
    expect(known(planServiceCost(two)).perHourAtMin.low).toBeCloseTo(2 * 4.6016);
  });

  test('is not known where it runs on whatever machine there is', () => {
    expect(planServiceCost(planInferenceService({ ...spec, executionProvider: 'cpu' }))).toBeUndefined();
  });
});

test('a price that is none, or of a type that nobody knows, is refused', () => {
  for (const price of [-1, NaN, Infinity, 1e9]) {
    expect(() => assertPrices({ 'g6.xlarge': price }, 'prices')).toThrow(
      `NUMBER_INVALID prices.g6.xlarge: must be USD an hour, a number from 0 to 10000, got ${price}`,
    );
  }
  expect(() => assertPrices({ 'g6.tiny': 1 }, 'prices')).toThrow("UNKNOWN_INSTANCE_TYPE prices: got 'g6.tiny', known");
});

test('money is written with two digits, and a range only where there is one', () => {
  expect([formatUsd({ low: 1.609, high: 1.611 }), formatUsd({ low: 0, high: 2.5 })]).toEqual([
    '1.61 USD',
    '0.00 to 2.50 USD',
  ]);
});

test('every cloud has a table, or is named among those without one', () => {
  expect(CLOUDS.filter((cloud) => PRICE_TABLES[cloud] === undefined)).toEqual(['alibaba', 'tencent']);
});
