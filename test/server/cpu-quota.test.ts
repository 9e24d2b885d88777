import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readCpuQuota } from '../../runtime/server/cpu-quota';
import { temporaryFolder } from './harness/model-repository';

function controlGroup(files: Readonly<Record<string, string>>): string {
  const root = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content);
  }
  return root;
}

test('reads the quota of control groups v2', () => {
  expect(readCpuQuota(controlGroup({ 'cpu.max': '50000 100000\n' }))).toBe(0.5);
});

test('reads the quota of control groups v1', () => {
  const files = { 'cpu/cpu.cfs_quota_us': '25000\n', 'cpu/cpu.cfs_period_us': '100000\n' };
  expect(readCpuQuota(controlGroup(files))).toBe(0.25);
});

test.each([
  ['no control group', {}],
  ['no quota in v2', { 'cpu.max': 'max 100000\n' }],
  ['no quota in v1', { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' }],
  ['a quota beyond the machine', { 'cpu.max': '99999999 100000\n' }],
])('takes the whole machine where there is %s', (_, files) => {
  expect(readCpuQuota(controlGroup(files))).toBe(availableParallelism());
});
