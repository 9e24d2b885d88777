import { App, Stack } from 'aws-cdk-lib';
import { Node } from 'constructs';
import { expect, test, vi } from 'vitest';
import { emptyFolder } from './support/cdk-cli';
import { FLAGS, newCluster, newFargateService } from './support/stacks';
import { OURS, PLAIN, templateOf } from './support/synth-fills';

// What makes a synthesis slow, counted: times are for the long suite, on a machine of their own.

interface Cost {
  readonly constructs: number;
  /** Walks over everything that is below a construct, by how much that was. */
  readonly walked: number;
}

function costOf(services: number): Cost {
  const app = new App({ context: FLAGS.recommended, outdir: emptyFolder(), analyticsReporting: false });
  const walks = vi.spyOn(Node.prototype, 'findAll');
  try {
    for (let i = 0; i < services; i++) {
      const stack = new Stack(app, `Stack${i}`);
      newFargateService(stack, { cluster: newCluster(stack), serviceName: `digits-${i}`, plaintextInsideVpc: true });
    }
    app.synth();
    const walked = walks.mock.results.reduce((sum, { value }) => sum + (value as readonly unknown[]).length, 0);
    return { constructs: app.node.findAll().length, walked };
  } finally {
    walks.mockRestore();
  }
}

test('every service costs as much as the one before it: nothing walks over the whole app for each', () => {
  const [two, four, six] = [costOf(2), costOf(4), costOf(6)];
  expect(four.constructs - two.constructs).toBe(six.constructs - four.constructs);
  expect(four.walked - two.walked).toBe(six.walked - four.walked);
});

test('the service by hand that the long suite measures against makes the very same template', () => {
  expect(templateOf(PLAIN)).toEqual(templateOf(OURS));
});
