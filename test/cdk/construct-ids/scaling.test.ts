import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newGpuService, newStack } from '../support/stacks';

test('the ids of the alarms', () => {
  expect(idsOf(newGpuService(newStack()).alarms!)).toMatchInlineSnapshot(`
    [
      "MissingReplicas",
      "ServerErrors",
      "Latency",
      "Saturation",
    ]
  `);
});
