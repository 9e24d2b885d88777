import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * CPUs this process may use: the quota of its control group (v2, then v1), at most what the machine has.
 * `os.availableParallelism` does not see the quota on Node 20, and onnxruntime sees the machine's cores.
 */
export function readCpuQuota(root = '/sys/fs/cgroup'): number {
  const quota = readV2(`${root}/cpu.max`) ?? readV1(`${root}/cpu`) ?? Infinity;
  return Math.min(quota, availableParallelism());
}

/** `150000 100000` is one and a half CPUs, `max 100000` no quota. */
function readV2(path: string): number | undefined {
  const [quota, period] = read(path)?.split(' ') ?? [];
  return quota === undefined || quota === 'max' ? undefined : ratio(quota, period);
}

function readV1(folder: string): number | undefined {
  const quota = read(`${folder}/cpu.cfs_quota_us`);
  return quota === undefined || quota === '-1' ? undefined : ratio(quota, read(`${folder}/cpu.cfs_period_us`));
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
