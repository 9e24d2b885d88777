import { Capacity } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { addGroup } from '../support/machines';
import { newStack } from '../support/stacks';

test('the ids of a GPU instance group', () => {
  expect(idsOf(addGroup(newStack()))).toMatchInlineSnapshot(`
    [
      "Role",
      "SecurityGroup",
      "LaunchTemplate",
      "AutoScalingGroup",
      "CapacityProvider",
    ]
  `);
});

test('the ids of a group of managed instances', () => {
  const group = addGroup(newStack(), { capacity: Capacity.managedInstances(['g6.xlarge']) });
  expect(idsOf(group)).toMatchInlineSnapshot(`
    [
      "SecurityGroup",
      "CapacityProvider",
    ]
  `);
});
