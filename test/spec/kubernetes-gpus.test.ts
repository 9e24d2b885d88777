import {
  anyOf,
  machinesOf,
  planInferenceService,
  PLAIN,
  renderKubernetesObjects,
  type EngineServiceSpec,
  type Placement,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { GPU_SPEC } from '../support/specs';

const { instanceTypes: _named, ...SPEC } = GPU_SPEC;

const placement: Placement = {
  nodeSelector: { 'slipway.dev/pool': 'l4' },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
  gpuResourceName: 'nvidia.com/gpu',
  instanceTypes: ['g6.xlarge'],
  maxGpus: 4,
};

function plan(change: Partial<Placement> = {}, spec: Partial<EngineServiceSpec> = {}) {
  return planInferenceService({ ...SPEC, machines: machinesOf({ ...placement, ...change })!, ...spec });
}

function render(change: Partial<Placement> = {}, spec: Partial<EngineServiceSpec> = {}) {
  return renderKubernetesObjects(plan(change, spec), {
    ...PLAIN,
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    clusterName: 'prod',
    models: { resnet50: { folder: 's3://models/resnet50/3/' } },
    placement: { ...placement, ...change },
  });
}

describe('machines of a placement', () => {
  test('size a replica whose author names no type, and make it a GPU service', () => {
    expect(plan().resources).toMatchObject({ instanceTypes: ['g6.xlarge'], executionProvider: 'cuda', gpuCount: 1 });
  });

  test('are left alone by a service on CPU', () => {
    const { resources } = plan({}, { executionProvider: 'cpu', metricsFrom: 'cpu' });
    expect(resources).toMatchObject({ instanceTypes: [], gpuCount: 0 });
  });

  test('bound the replicas that nobody bounded, less the one that a rollout starts first', () => {
    expect(plan().scaling.maxReplicas).toBe(3);
    expect(plan({}, { spareReplica: false }).scaling.maxReplicas).toBe(4);
    expect(plan({ maxGpus: 100 }).scaling.maxReplicas).toBe(8);
    expect(plan().warnings).toEqual([]);
  });

  test('with more GPUs than a replica takes lose what is left over in each', () => {
    const four = { instanceTypes: ['g6.12xlarge'], maxGpus: 8 };
    expect(plan(four, { gpuCount: 3, spareReplica: false, minReplicas: 1 }).scaling.maxReplicas).toBe(2);
  });

  test('that cannot hold the replicas are refused', () => {
    expect(() => plan({}, { maxReplicas: 5 })).toThrow(
      "POOL_TOO_SMALL maxReplicas: got 5, but the machines of the placement have GPUs for 4 (4 GPUs, 1 for each replica); the others would wait for ever: raise the group's maxSize, or lower maxReplicas to 4",
    );
  });

  test('that cannot hold a rollout under full load are warned of, with the way out', () => {
    expect(plan({}, { maxReplicas: 4 }).warnings).toEqual([
      expect.stringMatching(
        /^maxReplicas 4 takes every GPU: .*GPUs for 4 \(4 GPUs, 1 for each replica\).*spareReplica: false/,
      ),
    ]);
    expect(plan({}, { maxReplicas: 4, spareReplica: false }).warnings).toEqual([]);
  });

  test('on which no rollout could ever end are refused', () => {
    expect(() => plan({ maxGpus: 2 })).toThrow(
      'POOL_TOO_SMALL spareReplica: minReplicas 2 takes every GPU: the machines of the placement have GPUs for 2',
    );
    expect(plan({ maxGpus: 2 }, { spareReplica: false }).rollout.maxSurge).toBe(0);
  });
});

describe('a shared GPU', () => {
  test('holds a replica in each share, which has a part of its memory and of its machine', () => {
    const whole = plan().resources;
    const shared = plan({ sharesPerGpu: 4 }).resources;
    expect(shared.memoryMiB).toBeLessThan(whole.memoryMiB / 3);
    expect(shared.vcpu).toBeLessThan(whole.vcpu / 3);
    expect(plan({ sharesPerGpu: 4 }, { spareReplica: false, minReplicas: 4 }).scaling.maxReplicas).toBe(16);
  });

  test('that is too small for the models is refused by its share', () => {
    expect(() => plan({ sharesPerGpu: 20 })).toThrow(
      /^GPU_MEMORY instanceTypes\[0\]: the models need [0-9]+ MiB of GPU memory, one of 20 shares of a L4 of g6.xlarge has 1144/,
    );
  });

  test('has the memory that is said of it, where the hardware parts it', () => {
    expect(() => plan({ sharesPerGpu: 7, gpuMemoryMiB: 600 })).toThrow('one of 7 shares of a L4 of g6.xlarge has 600');
  });

  test('is given once: two shares may be of one GPU', () => {
    expect(() => plan({ sharesPerGpu: 4 }, { gpuCount: 2 })).toThrow(
      'GPU_SHARING gpuCount: must be 1 where GPUs are shared, got 2',
    );
  });

  test('is asked for by the name that the device plugin offers it by', () => {
    const [container] = render({ sharesPerGpu: 4, gpuResourceName: 'nvidia.com/gpu.shared' }).deployment.spec.template
      .spec.containers;
    expect(container!.resources.limits['nvidia.com/gpu.shared']).toBe('1');
  });
});

describe('Dynamic Resource Allocation', () => {
  test('gives every pod a claim of its own for a GPU that holds the models', () => {
    const { gpuClaim, deployment } = render({ gpuAllocation: 'dra' });
    const { spec } = deployment.spec.template;
    expect(gpuClaim!.spec.spec.devices.requests).toEqual([
      {
        name: 'gpu',
        exactly: {
          deviceClassName: 'gpu.nvidia.com',
          allocationMode: 'ExactCount',
          count: 1,
          selectors: [
            {
              cel: {
                expression: `device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('${plan().resources.neededGpuMemoryMiB}Mi')) >= 0`,
              },
            },
          ],
        },
      },
    ]);
    expect(spec.resourceClaims).toEqual([{ name: 'gpu', resourceClaimTemplateName: gpuClaim!.metadata.name }]);
    expect(spec.containers[0]!.resources.claims).toEqual([{ name: 'gpu' }]);
    expect(spec.containers[0]!.resources.limits).not.toHaveProperty('nvidia.com/gpu');
  });

  test('is not claimed by a service without a GPU, nor where the resource is asked for', () => {
    expect(render({ gpuAllocation: 'dra' }, { executionProvider: 'cpu', metricsFrom: 'cpu' }).gpuClaim).toBeUndefined();
    expect(render().gpuClaim).toBeUndefined();
  });

  test('does not share: a pod’s claim is nobody else’s', () => {
    expect(() => render({ gpuAllocation: 'dra', sharesPerGpu: 2 })).toThrow(
      "GPU_SHARING placement.sharesPerGpu: must be 1 with gpuAllocation 'dra', got 2",
    );
  });

  test('is refused on a cluster that is too old for it', () => {
    expect(() =>
      renderKubernetesObjects(plan(), {
        ...PLAIN,
        namespace: 'inference',
        image: 'registry.example.com/slipway:1',
        clusterName: 'prod',
        models: { resnet50: { folder: 's3://models/resnet50/3/' } },
        placement: { ...placement, gpuAllocation: 'dra' },
        kubernetesVersion: '1.33',
      }),
    ).toThrow('a GPU by Dynamic Resource Allocation needs Kubernetes 1.34, the cluster has 1.33');
  });
});

describe('several groups of one pool', () => {
  const spot: Placement = {
    ...placement,
    tolerations: [...placement.tolerations, { key: 'spot', operator: 'Exists', effect: 'NoSchedule' }],
    instanceTypes: ['g6.2xlarge', 'g6.xlarge'],
    maxGpus: 6,
  };

  test('are one placement: what either tolerates, the types and the GPUs of both', () => {
    expect(anyOf(placement, spot)).toEqual({
      ...placement,
      tolerations: [
        { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
        { key: 'spot', operator: 'Exists', effect: 'NoSchedule' },
      ],
      instanceTypes: ['g6.xlarge', 'g6.2xlarge'],
      maxGpus: 10,
    });
  });

  test('say nothing of what one of them does not say', () => {
    const { maxGpus: _gpus, instanceTypes: _types, ...silent } = spot;
    expect(anyOf(placement, silent)).not.toHaveProperty('maxGpus');
    expect(anyOf(placement, silent)).not.toHaveProperty('instanceTypes');
  });

  test.each<[string, Partial<Placement>]>([
    ['nodeSelector', { nodeSelector: { 'slipway.dev/pool': 'other' } }],
    ['gpuResourceName', { gpuResourceName: 'nvidia.com/mig-1g.5gb' }],
    ['sharesPerGpu', { sharesPerGpu: 2 }],
    ['gpuAllocation', { gpuAllocation: 'dra' }],
  ])('that differ in %s are refused', (field, change) => {
    expect(() => anyOf(placement, { ...spot, ...change })).toThrow(
      `PLACEMENT_CONFLICT placements[1].${field}: must be `,
    );
  });
});
