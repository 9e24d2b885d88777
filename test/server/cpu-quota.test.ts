import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { intraOpThreadsFor, readCpuQuota } from '../../runtime/server/cpu-quota';
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

test('takes the least quota of the group and of those that hold it', () => {
  const root = controlGroup({
    'a/cpu.max': '50000 100000\n',
    'a/b/cpu.max': '75000 100000\n',
    'a/b/c/cpu.max': 'max 100000\n',
    'other/cpu.max': '10000 100000\n',
  });
  expect(readCpuQuota(root, '0::/a/b/c\n')).toBe(0.5);
  const v1 = controlGroup({
    'cpu/docker/cpu.cfs_quota_us': '25000\n',
    'cpu/docker/cpu.cfs_period_us': '100000\n',
    'cpu/docker/x/cpu.cfs_quota_us': '-1\n',
  });
  expect(readCpuQuota(v1, '3:memory:/m\n2:cpu,cpuacct:/docker/x\n')).toBe(0.25);
});

test('threads of all executors keep to the quota, whether each has its own or all share them', () => {
  expect(intraOpThreadsFor('worker', 8, 2)).toBe(4);
  expect(intraOpThreadsFor('native', 8, 2)).toBe(7);
  expect(intraOpThreadsFor('native', 8, 1)).toBe(8);
  expect(intraOpThreadsFor('worker', 1.5, 4)).toBe(1);
  expect(intraOpThreadsFor('native', 2, 4)).toBe(1);
});
