import { expect, test } from 'vitest';
import { modelPython } from '../support/model-python';
import { runExample } from './run-example';

test('sentences are answered with names of classes, also those with words that nobody trained', async (context) => {
  await modelPython(context, 'torch');
  const { report } = await runExample('text-classifier');
  expect(report.accuracy).toBeGreaterThan(0.95);
  expect(report.answers.map(({ label }: { label: string }) => label)).toEqual(['delivery', 'billing', 'fault']);
});

test('records of a user and an item are answered with ratings', async (context) => {
  await modelPython(context, 'torch');
  const { report } = await runExample('recommender');
  expect(report.meanAbsoluteError).toBeLessThan(0.5);
  expect(report.best).toHaveLength(3);
  for (const { item, rating } of report.best) {
    expect(item).toMatch(/^item-\d\d$/);
    expect(rating).toBeGreaterThan(1);
  }
});
