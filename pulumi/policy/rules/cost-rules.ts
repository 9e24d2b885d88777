import { nodePoolOf } from '../node-pools';
import type { Rule } from '../rule';

/** What GPU machines may cost without anybody noticing. */
export const COST_RULES: readonly Rule[] = [
  {
    id: 'gpu-machines-bounded',
    group: 'cost',
    level: 'mandatory',
    severity: 'high',
    description: 'A group of GPU machines has a bound that somebody chose.',
    setting: 'maxGpuMachines',
    *check(resource, { maxGpuMachines }) {
      const pool = nodePoolOf(resource);
      if (pool?.hasGpu !== true) return;
      if (pool.max === undefined) yield `may grow without a bound; say the most machines, at most ${maxGpuMachines}`;
      else if (pool.max > maxGpuMachines) yield `may grow to ${pool.max} machines, the bound is ${maxGpuMachines}`;
    },
  },
  {
    id: 'gpu-machines-idle',
    group: 'cost',
    level: 'advisory',
    severity: 'low',
    description: 'GPU machines that run when nobody asks are meant to.',
    *check(resource) {
      const pool = nodePoolOf(resource);
      if (pool?.hasGpu === true && pool.min > 0) {
        yield `keeps ${pool.min} of ${pool.machineTypes.join(', ')} running day and night; 0 costs nothing when idle`;
      }
    },
  },
  {
    id: 'required-tags',
    group: 'cost',
    level: 'mandatory',
    severity: 'medium',
    description: 'What costs something says whose it is.',
    setting: 'requiredTags',
    *check({ type, props }, { requiredTags }) {
      const field = TAG_FIELDS.find(([prefix]) => type.startsWith(prefix))?.[1];
      if (field === undefined || requiredTags.length === 0 || !COSTS.has(type.split(':').at(-1)!)) return;
      const tags = (props[field] ?? {}) as Record<string, string>;
      const without = requiredTags.filter((tag) => tags[tag] === undefined);
      if (without.length > 0) yield `has no ${field} ${without.join(', ')}`;
    },
  },
];

const TAG_FIELDS = [
  ['aws:', 'tags'],
  ['gcp:container/', 'resourceLabels'],
  ['gcp:', 'labels'],
  ['azure-native:', 'tags'],
  ['alicloud:', 'tags'],
  ['tencentcloud:', 'tags'],
] as const;

/** Types that are billed and that can have tags, by the last word of their token. */
const COSTS = new Set([
  'Bucket',
  'BucketV2',
  'StorageAccount',
  'CosBucket',
  'Repository',
  'Registry',
  'RegistryEnterpriseInstance',
  'NodeGroup',
  'NodePool',
  'AgentPool',
  'KubernetesNodePool',
  'Cluster',
  'ManagedCluster',
  'ManagedKubernetes',
  'Instance',
]);
