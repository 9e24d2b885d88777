import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { assertSucceeded, runPulumiProgram, type PulumiRecording } from 'slipway/testing';
import { awsInvoke, awsState } from '../support/pulumi-aws';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const program = {
  program: path.join(__dirname, 'programs/cost-line.ts'),
  typeCheck: false,
  onResource: awsState,
  onInvoke: awsInvoke,
};
let preview: PulumiRecording;

beforeAll(async () => {
  // As pulumi writes them: whole numbers as numbers, others as texts.
  const config = { 'slipway:prices': JSON.stringify({ 'g6e.xlarge': '1.25', 'p5.48xlarge': 40 }) };
  preview = assertSucceeded(await runPulumiProgram({ ...program, preview: true, config }));
});

function serviceLines(recording: PulumiRecording): Record<string, string> {
  const lines = recording.logs.filter(
    ({ severity, message }) => severity === 'info' && message.startsWith('its share of '),
  );
  return Object.fromEntries(lines.map(({ urn, message }) => [urn.split('::').at(-1)!, message]));
}

function costLines(recording: PulumiRecording): Record<string, string> {
  const lines = recording.logs.filter(({ severity, message }) => severity === 'info' && message.includes(' × '));
  return Object.fromEntries(lines.map(({ urn, message }) => [urn.split('::').at(-1)!, message]));
}

test('the preview says under each group what it costs, by the list or by the prices of the stack', () => {
  expect(costLines(preview)).toMatchInlineSnapshot(`
    {
      "base": "2 to 4 × g6e.xlarge: 2.50 USD an hour at least, 5.00 USD at most; idle 60.00 USD a day, scale to zero would save up to 60.00 USD a day (prices as given; machines only)",
      "burst": "0 to 16 × g6.xlarge or g5.xlarge on spot: 0.00 USD an hour at least, 6.41 to 8.11 USD at most; idle 0.00 USD a day, scale to zero saves 9.62 to 12.17 USD a day for each machine that nobody needs (spot prices of us-east-1, read 2026-11-22; machines only)",
      "idle": "0 to 8 × g6.xlarge: 0.00 USD an hour at least, 6.44 USD at most; idle 0.00 USD a day, scale to zero saves 19.32 USD a day for each machine that nobody needs (list of us-east-1 of 2026-02-09; machines only)",
      "unpriced": "0 to 1 × p4d.24xlarge on spot: no spot price known for p4d.24xlarge",
    }
  `);
});

test('and under each service what its share is, where its machines are named and have a price', () => {
  expect(serviceLines(preview)).toMatchInlineSnapshot(`
    {
      "asleep": "its share of g2-standard-4, were nobody else's replicas on them: 0.00 USD an hour at 0 replicas, 4.95 USD at 7 replicas; idle 0.00 USD a day, scale to zero saves 16.96 USD a day for each machine that nobody needs (list of us-central1, read 2026-11-22, on demand; machines only)",
      "on-a-group": "its share of g6.xlarge, were nobody else's replicas on them: 0.80 USD an hour at 1 replica, 5.63 USD at 7 replicas; idle 19.32 USD a day, scale to zero would save up to 19.32 USD a day (list of us-east-1 of 2026-02-09, on demand; machines only)",
      "shared": "its share of g6.xlarge, were nobody else's replicas on them: 0.80 USD an hour at 1 replica, 1.61 USD at 7 replicas; idle 19.32 USD a day, scale to zero would save up to 19.32 USD a day (list of us-east-1 of 2026-02-09, on demand; machines only)",
    }
  `);
});

test('nothing is said while it is deployed: the same was said before', async () => {
  const up = assertSucceeded(await runPulumiProgram(program));
  expect([costLines(up), serviceLines(up)]).toEqual([{}, {}]);
});

test.each([
  [
    { 'g6.xlarge': -1 },
    'NUMBER_INVALID slipway:prices.g6.xlarge: must be USD an hour, a number from 0 to 10000, got -1',
  ],
  [{ 'g6.tiny': 1 }, "UNKNOWN_INSTANCE_TYPE slipway:prices: got 'g6.tiny', known: g6.xlarge"],
  [[1], 'NUMBER_INVALID slipway:prices: must be USD an hour by instance type, got [1]'],
])('prices of the stack that are none are refused before anything is declared: %j', async (prices, sentence) => {
  const config = { 'slipway:prices': JSON.stringify(prices) };
  const refused = await runPulumiProgram({ ...program, preview: true, config });
  expect(refused.exitCode).not.toBe(0);
  expect(
    refused.logs
      .filter(({ severity }) => severity === 'error')
      .map(({ message }) => message)
      .join('\n'),
  ).toContain(sentence);
  expect(refused.resources.filter(({ type }) => type.startsWith('aws:'))).toEqual([]);
});
