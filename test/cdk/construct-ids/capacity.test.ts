import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newGpuService, newStack } from '../support/stacks';

test('the ids of a GPU instance group', () => {
  const service = newGpuService(newStack());
  expect(idsOf(service.node.scope!.node.findChild('L4'))).toMatchInlineSnapshot(`
    [
      "Role",
      "SecurityGroup",
      "LaunchTemplate",
      "AutoScalingGroup",
      "CapacityProvider",
    ]
  `);
});
