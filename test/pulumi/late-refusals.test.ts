import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { loggedErrors, runPulumiProgram } from 'slipway/testing';
import { alibabaInvoke, alibabaState } from '../support/pulumi-alibaba';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

test.each<[string, string | RegExp]>([
  [
    'alibabaRegions',
    'BUCKET_REGION reads: models of one service lie in buckets of one region, got cn-hangzhou, cn-beijing; copy them into one',
  ],
  [
    'tencentRegions',
    'BUCKET_REGION reads: models of one service lie in buckets of one region, got ap-guangzhou, cn-beijing; copy them into one',
  ],
  [
    'alibabaMirror',
    "NAME_INVALID replicateTo[0].uri: must be '<domain>/<namespace>/<repository>', got 'there.example.com/slipway'",
  ],
  [
    'alibabaModels',
    /^POLICY_TOO_LARGE reads: these models make a policy of \d{4} bytes, RAM takes 6144; give some of them to another service$/,
  ],
])('what only the update knows is refused with the same sentence, in one line: %s', async (mistake, line) => {
  const recording = await runPulumiProgram({
    program: path.join(__dirname, 'programs/late-refusals.ts'),
    config: { mistake },
    typeCheck: false,
    onResource: alibabaState,
    onInvoke: alibabaInvoke,
  });
  expect(recording.exitCode).not.toBe(0);
  expect(loggedErrors(recording)).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)]);
});
