import { GpuBudget } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newStack } from '../support/stacks';

test('the ids of a budget', () => {
  const budget = new GpuBudget(newStack(), 'Budget', {
    monthlyLimit: 100,
    tagKey: 'team',
    tagValue: 'vision',
    emails: ['vision@example.com'],
  });
  expect(idsOf(budget)).toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
});
