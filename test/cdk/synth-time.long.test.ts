import { synthSeconds } from 'slipway/testing';
import { expect, test, vi } from 'vitest';
import { appOf, NETWORK, OURS, PLAIN, templateOf, type Fill } from './support/synth-fills';

// Times of one machine: run it where nothing else runs. The numbers are printed.
vi.setConfig({ testTimeout: 600_000 });

const FEW = 10;
const MANY = 100;

test('a service costs at most 1.3 times what its resources cost when they are written by hand', () => {
  expect(templateOf(OURS)).toEqual(templateOf(PLAIN));
  const seconds = (fill: Fill): number => synthSeconds(() => appOf(FEW, fill), { runs: 3, units: FEW }).perUnit;
  // The code that both share is compiled while it first runs often, and whoever comes first would pay for that.
  for (const fill of [OURS, PLAIN, OURS, PLAIN]) seconds(fill);
  // The network is the author's own in both. Taken in turns, since machines get slower and faster.
  const rounds = Array.from({ length: 7 }, () => {
    const network = seconds(NETWORK);
    const [ours, plain] = [seconds(OURS) - network, seconds(PLAIN) - network];
    return { ours, plain, ratio: ours / plain };
  }).sort((a, b) => a.ratio - b.ratio);
  for (const { ours, plain, ratio } of rounds) {
    console.log(`ours ${milliseconds(ours)}, by hand ${milliseconds(plain)}: ${ratio.toFixed(2)}`);
  }
  expect(rounds[3]!.ratio).toBeLessThanOrEqual(1.3);
});

test('a hundred services take at most 35 ms each', () => {
  const { perUnit } = synthSeconds(() => appOf(MANY, OURS), { runs: 3, units: MANY });
  console.log(`${milliseconds(perUnit)} for each of ${MANY} services, each with a network of its own`);
  expect(perUnit).toBeLessThanOrEqual(0.035);
});

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`;
}
