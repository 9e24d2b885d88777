import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { synthSeconds } from 'slipway/testing';
import { expect, test, vi } from 'vitest';
import { emptyFolder } from './support/cdk-cli';
import { newPlainService } from './support/plain-service';
import { FLAGS, newCluster, newFargateService } from './support/stacks';

// Times of one machine: run it where nothing else runs. The numbers are printed.
vi.setConfig({ testTimeout: 600_000 });

const FEW = 10;
const MANY = 100;

type Fill = (stack: Stack) => void;

const ours: Fill = (stack) => newFargateService(stack, { cluster: newCluster(stack), plaintextInsideVpc: true });
const plain: Fill = (stack) => newPlainService(stack, newCluster(stack));
const neither: Fill = (stack) => newCluster(stack);

function appOf(stacks: number, fill: Fill): App {
  const app = new App({ context: FLAGS.recommended, outdir: emptyFolder(), analyticsReporting: false });
  for (let i = 0; i < stacks; i++) fill(new Stack(app, `Stack${i}`));
  return app;
}

function resourcesOf(fill: Fill): number {
  const stack = new Stack(new App({ context: FLAGS.recommended, analyticsReporting: false }), 'Stack');
  fill(stack);
  return Object.keys(Template.fromStack(stack).toJSON()['Resources'] as object).length;
}

test('a service costs at most 1.3 times what its resources cost when they are written by hand', () => {
  const base = synthSeconds(() => appOf(FEW, neither)).median;
  const network = resourcesOf(neither);
  const perResource = (fill: Fill): number =>
    (synthSeconds(() => appOf(FEW, fill)).median - base) / FEW / (resourcesOf(fill) - network);
  // Taken in turns, since machines get slower and faster.
  const ratios = Array.from({ length: 3 }, () => perResource(ours) / perResource(plain)).sort((a, b) => a - b);
  console.log(`ours / plain, per resource: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}`);
  expect(resourcesOf(ours)).toBeGreaterThanOrEqual(resourcesOf(plain) * 0.9);
  expect(ratios[1]).toBeLessThanOrEqual(1.3);
});

test('a hundred services take at most 35 ms each', () => {
  const { perUnit } = synthSeconds(() => appOf(MANY, ours), { runs: 3, units: MANY });
  console.log(`${(perUnit * 1000).toFixed(1)} ms for each of ${MANY} services, each with a network of its own`);
  expect(perUnit).toBeLessThanOrEqual(0.035);
});
