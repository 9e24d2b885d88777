import { CLOUDS, instanceTypesOf, lookUpInstance, planGpuPool, type Cloud } from 'slipway';
import { describe, expect, test } from 'vitest';

const SINGLE = Object.fromEntries(CLOUDS.map((cloud) => [cloud, instanceTypesOf(cloud)[0]!])) as Record<Cloud, string>;

describe.each(CLOUDS)('a GPU pool on %s', (cloud) => {
  const pool = planGpuPool([SINGLE[cloud]], 'vision', 200, cloud);

  test('is found by the label of the pool, past the taint of every GPU pool', () => {
    expect(pool.labels['slipway.dev/pool']).toBe('vision');
    expect(pool.placement).toEqual({
      nodeSelector: { 'slipway.dev/pool': 'vision' },
      tolerations: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule', operator: 'Equal' }],
      gpuResourceName: 'nvidia.com/gpu',
      instanceTypes: [SINGLE[cloud]],
    });
  });

  test('takes every type of its own cloud, and none of another', () => {
    for (const type of instanceTypesOf(cloud)) {
      expect(planGpuPool([type], 'vision', 200, cloud).gpuCount).toBe(lookUpInstance(type, 'type').gpuCount);
    }
    for (const other of CLOUDS.filter((name) => name !== cloud)) {
      expect(() => planGpuPool([SINGLE[cloud]], 'vision', 200, other)).toThrow(
        `UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got '${SINGLE[cloud]}', a type of`,
      );
    }
  });

  test('tells the autoscaler of AWS what an empty group will look like, and others nothing', () => {
    const hints = Object.values(pool.autoscalerHints);
    expect(hints.length > 0 || Object.keys(pool.labels).length > 1).toBe(cloud === 'aws');
  });
});

test('the hints on AWS are the labels, the taint, the GPUs and the disk', () => {
  const { labels, autoscalerHints } = planGpuPool(['g6.12xlarge', 'g5.12xlarge'], 'vision', 100, 'aws');
  const template = 'k8s.io/cluster-autoscaler/node-template';
  expect(labels).toEqual({ 'slipway.dev/pool': 'vision', 'k8s.amazonaws.com/accelerator': 'nvidia' });
  expect(Object.fromEntries(Object.values(autoscalerHints))).toEqual({
    [`${template}/label/slipway.dev/pool`]: 'vision',
    [`${template}/label/k8s.amazonaws.com/accelerator`]: 'nvidia',
    [`${template}/taint/nvidia.com/gpu`]: 'present:NoSchedule',
    [`${template}/resources/nvidia.com/gpu`]: '4',
    [`${template}/resources/ephemeral-storage`]: '100Gi',
  });
});

test.each([
  [[], 'NO_INSTANCE_FITS instanceTypes: must name at least one, got none'],
  [
    ['g2-standard-4', 'g2-standard-24'],
    'GPU_COUNT instanceTypes[1]: all must have the 1 GPUs of g2-standard-4, g2-standard-24 has 2',
  ],
])('%j is no pool', (types, message) => {
  expect(() => planGpuPool(types, 'vision', 200, 'gcp')).toThrow(message);
});
