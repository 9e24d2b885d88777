import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { assertSucceeded, playClouds, runPulumiProgram } from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

test('clouds are played where the program says, by its stack, its providers and its resources', async () => {
  const config = { 'aws:region': 'cn-north-1', 'alicloud:region': 'cn-shanghai' };
  const made = await run(config);
  expect(made['regions']).toEqual({ here: 'cn-north-1', there: 'ap-northeast-1' });
  expect(made['uri']).toBe('123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/images');
  expect(made['roleArn']).toBe('arn:aws-cn:iam::123456789012:role/reader');
  expect(made['inChina']).toMatch(/\.cn-shanghai\.cr\.aliyuncs\.com\//);
});

test('without a word of the program they are in Ireland and in Hangzhou', async () => {
  const made = await run({});
  expect(made['regions']).toEqual({ here: 'eu-west-1', there: 'ap-northeast-1' });
  expect(made['roleArn']).toBe('arn:aws:iam::123456789012:role/reader');
  expect(made['inChina']).toMatch(/\.cn-hangzhou\.cr\.aliyuncs\.com\//);
});

async function run(config: Record<string, string>) {
  const program = path.join(__dirname, '../pulumi/programs/regions.ts');
  return assertSucceeded(await runPulumiProgram({ program, typeCheck: false, config, ...playClouds() })).stackOutputs;
}
