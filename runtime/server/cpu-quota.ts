import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { ExecutorKind } from './executor';

/**
 * CPUs this process may use: the least quota of its control group and those above it (v2, then v1), at most what the
 * machine has. `os.availableParallelism` does not see the quota on Node 20, and onnxruntime sees the machine's cores.
 * @param membership `/proc/self/cgroup`. In a container of its own name space the group is the root.
 */
export function readCpuQuota(root = '/sys/fs/cgroup', membership = read('/proc/self/cgroup') ?? ''): number {
  return Math.min(readV2(root, membership) ?? readV1(`${root}/cpu`, membership) ?? Infinity, availableParallelism());
}

/**
 * Threads that a run may use, when all executors of a model run at once and together keep to the quota. Workers have a
 * session with threads of its own each; native executors share the threads of one session and add one each.
 */
export function intraOpThreadsFor(kind: ExecutorKind, cpus: number, executors: number): number {
  const threads = kind === 'native' ? Math.floor(cpus) - executors + 1 : Math.floor(cpus / executors);
  return Math.max(1, threads);
}

/** `150000 100000` is one and a half CPUs, `max 100000` no quota. */
function readV2(root: string, membership: string): number | undefined {
  const path = /^0::(\/.*)$/m.exec(membership)?.[1] ?? '/';
  return least(
    foldersUpFrom(root, path).map((folder) => {
      const [quota, period] = read(`${folder}/cpu.max`)?.split(' ') ?? [];
      return quota === undefined || quota === 'max' ? undefined : ratio(quota, period);
    }),
  );
}

function readV1(root: string, membership: string): number | undefined {
  const path = /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(\/.*)$/m.exec(membership)?.[1] ?? '/';
  return least(
    foldersUpFrom(root, path).map((folder) => {
      const quota = read(`${folder}/cpu.cfs_quota_us`);
      return quota === undefined || quota === '-1' ? undefined : ratio(quota, read(`${folder}/cpu.cfs_period_us`));
    }),
  );
}

/** The folder of a control group and of all that hold it, up to the root. */
function foldersUpFrom(root: string, path: string): readonly string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, i) => [root, ...names.slice(0, i)].join('/'));
}

function least(quotas: readonly (number | undefined)[]): number | undefined {
  const known = quotas.filter((quota) => quota !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function ratio(quota: string, period: string | undefined): number | undefined {
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
