import type { ExecutorCounts } from '../model-facts';
import type { ModelConfiguration } from './model-configuration';

/** What the instance groups of a configuration come to. @returns undefined where the server decides */
export function executorsOf({
  instanceGroups,
}: Pick<ModelConfiguration, 'instanceGroups'>): ExecutorCounts | undefined {
  if (instanceGroups.length === 0) return undefined;
  let all = 0;
  let onCpu = 0;
  const onGpu = new Map<number | 'default', number>();
  for (const { kind, count, gpus } of instanceGroups) {
    for (const device of gpus.length > 0 ? gpus : (['default'] as const)) {
      all += count;
      if (kind === 'KIND_CPU') onCpu += count;
      else onGpu.set(device, (onGpu.get(device) ?? 0) + count);
    }
  }
  // The server's own device may be any of those that are named.
  const own = onGpu.get('default') ?? 0;
  onGpu.delete('default');
  return {
    all,
    perGpu: own + Math.max(0, ...onGpu.values()),
    onCpu,
    needGpu: instanceGroups.some(({ kind }) => kind === 'KIND_GPU'),
  };
}
