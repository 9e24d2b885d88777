import {
  containerEnvironment,
  PLAIN,
  planInferenceService,
  SpecError,
  type InferenceServiceSpec,
  type ModelFacts,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { CLASSIFIER_FACTS, CLASSIFIER_FILES, CPU_SPEC, GPU_SPEC } from '../support/specs';

const refusal = (change: Partial<InferenceServiceSpec>, base = CPU_SPEC): SpecError => {
  try {
    planInferenceService({ ...base, ...change });
  } catch (error) {
    if (SpecError.is(error)) return error;
    throw error;
  }
  throw new Error('the spec was accepted');
};

const withFacts = (facts: Partial<ModelFacts>, base = CPU_SPEC): InferenceServiceSpec => ({
  ...base,
  models: [{ ...base.models[0]!, facts: { ...CLASSIFIER_FACTS, ...facts } }],
});

const FOUR = { all: 4, perGpu: 4, onCpu: 0, needGpu: false };
const HOOKED = [...CLASSIFIER_FILES, { path: 'around.mjs', bytes: 9, sha256: 'c'.repeat(64) }];

describe('a plan', () => {
  test('has memory for every executor that the published configuration asks for', () => {
    const weights = 100;
    const rows = (executors: number): number => (32 * (executors + 4) * 4 * (3 * 224 * 224 + 1000)) / 2 ** 20;
    const planned = (spec: InferenceServiceSpec) => planInferenceService(spec).resources;
    const onCpu = planned(withFacts({ executors: FOUR }));
    expect(onCpu.neededMemoryMiB).toBe(Math.ceil(256 + 1.25 * (4 * 2 * weights + rows(4))));
    // Each runs on a GPU of its own: the card holds one, the host's memory the weights of both on their way.
    const two = { all: 3, perGpu: 1, onCpu: 1, needGpu: true };
    const onGpu = planned(withFacts({ executors: two }, GPU_SPEC));
    expect(onGpu.neededGpuMemoryMiB).toBe(Math.ceil(800 + 1.25 * (2 * weights + rows(3))));
    expect(onGpu.neededMemoryMiB).toBe(Math.ceil(256 + 1.25 * (2 * weights + 2 * weights + rows(3))));
  });

  test('runs published hooks where its author says so, and tells the server nothing else', () => {
    const models = [{ ...CPU_SPEC.models[0]!, files: HOOKED }];
    const told = (hooks: boolean): string | undefined => {
      const plan = planInferenceService({ ...CPU_SPEC, models, hooks });
      const at = { resnet50: { folder: 's3://team-models/resnet50/3/' } };
      return containerEnvironment(plan, { ...PLAIN, models: at, clusterName: 'c', cloudwatchMetrics: false })[
        'SLIPWAY_HOOKS'
      ];
    };
    expect(told(true)).toBe('true');
    expect(told(false)).toBeUndefined();
    // What lies deeper was never published as hooks.
    const weights = [...CLASSIFIER_FILES, { ...HOOKED[2]!, path: 'weights/a.mjs' }];
    expect(planInferenceService({ ...CPU_SPEC, models: [{ ...models[0]!, files: weights }] }).hooks).toBe(false);
  });

  test('tells the server what it must refuse, by the lowest contract that knows it', () => {
    const told = (choices: Partial<InferenceServiceSpec>): Record<string, string> => {
      const at = { resnet50: { folder: 's3://team-models/resnet50/3/' } };
      const plan = planInferenceService({ ...CPU_SPEC, ...choices });
      return containerEnvironment(plan, { ...PLAIN, models: at, clusterName: 'c', cloudwatchMetrics: false });
    };
    const nothing = told({ requireEvidence: false });
    expect(nothing['SLIPWAY_CONTRACT']).toBe('1');
    expect(Object.keys(nothing)).not.toContain('SLIPWAY_REQUIRE_EVIDENCE');
    expect(told({ requireEvidence: true })).toMatchObject({ SLIPWAY_REQUIRE_EVIDENCE: 'true', SLIPWAY_CONTRACT: '3' });
    const pem = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n';
    expect(told({ modelSigningKeys: pem })).toMatchObject({ SLIPWAY_MODEL_SIGNING_KEYS: pem, SLIPWAY_CONTRACT: '3' });
  });

  test('never writes a private key into a template', () => {
    for (const kind of ['EC PRIVATE KEY', 'PRIVATE KEY', 'ENCRYPTED SIGSTORE PRIVATE KEY']) {
      const modelSigningKeys = `-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n-----BEGIN ${kind}-----\nsecret\n`;
      const plan = (): unknown => planInferenceService({ ...CPU_SPEC, modelSigningKeys });
      expect(plan).toThrow(`MODEL_SIGNING_KEYS modelSigningKeys: must be public keys in PEM`);
      expect(plan).not.toThrow('secret');
    }
    expect(() => planInferenceService({ ...CPU_SPEC, modelSigningKeys: '/keys/release.pub' })).toThrow('got no PEM');
  });

  test('is the same for the same spec, and frozen to the bottom', () => {
    const plan = planInferenceService(CPU_SPEC);
    expect(planInferenceService(structuredClone(CPU_SPEC))).toEqual(plan);
    expect(() => Object.assign(plan.lifecycle.loadBalancerCheck, { path: '/' })).toThrow(TypeError);
  });

  test('gives a CPU model a Fargate size that holds it, and its threads', () => {
    const { resources, executionProvider } = planInferenceService(CPU_SPEC);
    expect(executionProvider).toBe('cpu');
    // 256 + (2 × 100 MiB of weights + 160 rows of input and output) × 1.25
    expect(resources.neededMemoryMiB).toBe(
      Math.ceil(256 + 1.25 * (200 + (160 * 4 * (3 * 224 * 224 + 1000)) / 2 ** 20)),
    );
    expect(resources).toMatchObject({ capacity: 'fargate', vcpu: 1, memoryMiB: 2048, gpuCount: 0, intraOpThreads: 1 });
  });

  test('takes more vCPUs where Fargate ties the memory to them', () => {
    const { resources } = planInferenceService(withFacts({ weightBytes: 5_000 * 2 ** 20 }));
    expect(resources).toMatchObject({ vcpu: 2, memoryMiB: 13_312 });
  });

  test('picks the first GPU instance that fits and gives a replica its share', () => {
    const { resources } = planInferenceService({ ...CPU_SPEC, executionProvider: 'cuda' });
    expect(resources).toMatchObject({ instanceTypes: ['g6.xlarge'], gpuCount: 1, vcpu: 3.5, memoryMiB: 14_016 });
    const large = planInferenceService({ ...withFacts({ weightBytes: 15_000 * 2 ** 20 }), executionProvider: 'cuda' });
    expect(large.resources.instanceTypes).toEqual(['g6e.xlarge']);
  });

  test('is sized for the smallest of several instance types', () => {
    const { resources } = planInferenceService({ ...GPU_SPEC, instanceTypes: ['g6.12xlarge', 'g6.2xlarge'] });
    // A quarter of the 12xlarge is 11.75 vCPU; the 2xlarge leaves 7.5.
    expect(resources.vcpu).toBe(7.5);
    expect(resources.memoryMiB).toBeLessThanOrEqual(0.92 * 32_768 - 1_024);
  });

  test('names the digest of what is served, so that another model is another rollout', () => {
    expect(planInferenceService(CPU_SPEC).modelsRevision).toBe(`resnet50@3:sha256-${'b'.repeat(64)}`);
  });

  test('grants objects of the model’s own prefix and no listing', () => {
    expect(planInferenceService(CPU_SPEC).permissions).toEqual([
      { model: 'resnet50', prefix: 'resnet50/', s3Actions: ['s3:GetObject', 's3:GetObjectVersion'] },
    ]);
  });

  test('leaves request bodies a quarter of what the models leave', () => {
    expect(planInferenceService(CPU_SPEC).bodyMemoryMiB).toBe(Math.floor((2_048 - 622) / 4));
    const unknown = {
      models: [{ name: 'resnet50', version: 3 }],
      executionProvider: 'cpu' as const,
      startupBudgetSeconds: 60,
    };
    expect(planInferenceService({ ...CPU_SPEC, ...unknown, memoryMiB: 4_096 }).bodyMemoryMiB).toBe(512);
  });

  test('never stops an old replica before a new one is ready, unless no spare exists', () => {
    expect(planInferenceService(CPU_SPEC).rollout).toEqual({
      maxSurge: 1,
      maxUnavailable: 0,
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
    });
    expect(planInferenceService({ ...CPU_SPEC, spareReplica: false }).rollout).toEqual({
      maxSurge: 0,
      maxUnavailable: 1,
      minHealthyPercent: 0,
      maxHealthyPercent: 100,
    });
  });

  test('does not batch a model whose first dimension is fixed', () => {
    const plan = planInferenceService(
      withFacts({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 3, 224, 224] }] }),
    );
    expect(plan.models[0]!.maxBatchSize).toBe(1);
  });

  test('accepts an opset import that no operator uses', () => {
    expect(() =>
      planInferenceService(
        withFacts({ opsets: [...CLASSIFIER_FACTS.opsets, { domain: 'ai.onnx.preview.training', version: 1 }] }),
      ),
    ).not.toThrow();
  });
});

describe('what else lives in a replica', () => {
  const companions = { vcpu: 0.25, memoryMiB: 256 };

  test('is added to what the models need, and leaves the server the rest of the threads', () => {
    const alone = planInferenceService(withFacts({}));
    const together = planInferenceService({ ...withFacts({}), companions });
    expect(together.resources.companions).toEqual(companions);
    expect(together.resources.neededMemoryMiB! - alone.resources.neededMemoryMiB!).toBe(256);
    expect(together.resources.vcpu).toBe(2);
    expect(together.resources.intraOpThreads).toBe(1);
    const { resources } = planInferenceService({ ...withFacts({}), instanceTypes: ['g6.xlarge'], companions });
    expect(resources.vcpu).toBe(
      planInferenceService({ ...withFacts({}), instanceTypes: ['g6.xlarge'] }).resources.vcpu,
    );
    expect(resources.intraOpThreads).toBe(Math.floor(resources.vcpu - 0.25));
  });

  test('takes from the memory for bodies, facts or none', () => {
    const unknown: InferenceServiceSpec = {
      name: 'svc',
      models: [{ name: 'resnet50', version: 3 }],
      executionProvider: 'cpu',
      memoryMiB: 4096,
      startupBudgetSeconds: 60,
    };
    for (const spec of [unknown, { ...withFacts({}), memoryMiB: 4096 }]) {
      const alone = planInferenceService({ ...spec, vcpu: 1 });
      const together = planInferenceService({ ...spec, vcpu: 1, companions });
      expect(together.resources.memoryMiB).toBe(alone.resources.memoryMiB);
      expect(together.bodyMemoryMiB).toBeLessThan(alone.bodyMemoryMiB);
    }
  });

  test('cannot take every vCPU', () => {
    expect(() => planInferenceService({ ...withFacts({}), vcpu: 1, companions: { vcpu: 1, memoryMiB: 0 } })).toThrow(
      'CPU vcpu: the containers beside the server take 1 vCPU, which leaves it none of 1',
    );
  });
});

test('a service that something else wakes may have no replica, and then grows to four', () => {
  const { scaling } = planInferenceService({ ...withFacts({}), minReplicas: 0, wakeSource: 'queue' });
  expect([scaling.minReplicas, scaling.maxReplicas]).toEqual([0, 4]);
});

describe('a contradiction is refused with the numbers:', () => {
  const unknownModel = { models: [{ name: 'resnet50', version: 3 }] };
  test.each<[string, Partial<InferenceServiceSpec>, string, InferenceServiceSpec?]>([
    [
      'fewer replicas at most than at least',
      { minReplicas: 3, maxReplicas: 2 },
      'REPLICA_RANGE maxReplicas: must be at least minReplicas (3), got 2',
    ],
    [
      'no replica at all',
      { minReplicas: 0 },
      'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE minReplicas: must be at least 1, got 0',
    ],
    ['half a replica', { minReplicas: 1.5 }, 'NUMBER_INVALID minReplicas: must be a whole number'],
    ['not a number', { maxReplicas: Number.NaN }, 'NUMBER_INVALID maxReplicas'],
    [
      'a GPU on Fargate',
      { capacity: 'fargate', executionProvider: 'cuda' },
      'GPU_ON_FARGATE capacity: Fargate has no GPUs',
    ],
    [
      'an instance type on Fargate',
      { capacity: 'fargate', executionProvider: 'cpu', instanceTypes: ['g6.xlarge'] },
      'INSTANCE_TYPE_ON_FARGATE instanceTypes',
    ],
    [
      'a drain longer than the stop',
      { stopTimeoutSeconds: 30 },
      'DRAIN_EXCEEDS_STOP_TIMEOUT stopTimeoutSeconds: must be at least 45 (deregistration lag + request deadline + 5 s to flush), got 30',
    ],
    [
      'a stop that Fargate does not wait for',
      { requestDeadlineSeconds: 200 },
      'STOP_TIMEOUT_TOO_LONG stopTimeoutSeconds: Fargate waits at most 120 s before SIGKILL, the drain needs 215',
    ],
    [
      'an idle timeout below the deadline',
      { idleTimeoutSeconds: 20 },
      'IDLE_TIMEOUT_RANGE idleTimeoutSeconds: must be more than the request deadline (30)',
    ],
    [
      'half a second of idle timeout',
      { idleTimeoutSeconds: 60.5 },
      'NUMBER_INVALID idleTimeoutSeconds: must be a whole number from 1 to 4000, got 60.5',
    ],
    [
      'a deadline that no load balancer waits for',
      { requestDeadlineSeconds: 3_600 },
      'NUMBER_INVALID requestDeadlineSeconds: a load balancer waits at most 3600 s for the requests of a replica that goes away, the deregistration lag (10) and the deadline need 3610',
      GPU_SPEC,
    ],
    [
      'more GPUs than the instance has',
      { gpuCount: 2 },
      'GPU_COUNT gpuCount: must be at most 1 on g6.xlarge, got 2',
      GPU_SPEC,
    ],
    [
      'CUDA without a GPU',
      { gpuCount: 0 },
      "GPU_COUNT gpuCount: execution provider 'cuda' needs at least 1 GPU, got 0",
      GPU_SPEC,
    ],
    [
      'a GPU without CUDA',
      { executionProvider: 'cpu', gpuCount: 1 },
      "GPU_WITHOUT_CUDA gpuCount: execution provider 'cpu' uses no GPU, got 1",
    ],
    [
      'an instance nobody knows',
      { instanceTypes: ['g9.xlarge'] },
      "UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'g9.xlarge', known: families g6, g6e, g5",
    ],
    [
      'a size nobody knows of a known family',
      { instanceTypes: ['g6.3xlarge'] },
      "got 'g6.3xlarge', known: g6.xlarge, g6.2xlarge",
    ],
    [
      'less memory than the models need',
      { memoryMiB: 512, vcpu: 0.25 },
      'MEMORY memoryMiB: the models need 622 MiB, got 512',
    ],
    [
      'a memory that Fargate has not',
      { memoryMiB: 2_500 },
      'FARGATE_SIZE memoryMiB: with 1 vCPU Fargate takes 2048, 3072',
    ],
    [
      'a vCPU count that Fargate has not',
      { vcpu: 3, memoryMiB: 8_192 },
      'FARGATE_SIZE vcpu: Fargate has tasks of 0.25, 0.5, 1, 2, 4, 8, 16 vCPU, got 3',
    ],
    [
      'more than a replica’s share of the instance',
      { memoryMiB: 16_384 },
      "MEMORY memoryMiB: a replica's share of g6.xlarge is 14016 MiB, got 16384",
      GPU_SPEC,
    ],
    [
      'a model that its GPU cannot hold',
      { models: withFacts({ weightBytes: 10_000 * 2 ** 20 }).models },
      'GPU_MEMORY instanceTypes[0]: the models need 25',
      GPU_SPEC,
    ],
    [
      'a model that no GPU holds',
      { models: withFacts({ weightBytes: 900_000 * 2 ** 20 }).models, executionProvider: 'cuda' },
      'NO_INSTANCE_FITS',
    ],
    [
      'an opset from the future',
      { models: withFacts({ opsets: [{ domain: '', version: 99 }] }).models },
      "needs opset 99 of 'ai.onnx', the bundled ONNX Runtime runs up to",
    ],
    [
      'operators of an unknown domain',
      {
        models: withFacts({
          opsets: [{ domain: 'acme', version: 1 }],
          operators: [{ domain: 'acme', operator: 'Warp', count: 1 }],
        }).models,
      },
      "uses operators of domain 'acme'",
    ],
    [
      'nothing known about the model',
      unknownModel,
      "MODEL_FACTS_MISSING models[0].facts: nothing is known about 'resnet50'; give its facts (the manifest that slipway model publish leaves), or decide memoryMiB, startupBudgetSeconds, executionProvider",
    ],
    [
      'one of the three numbers left out',
      { ...unknownModel, memoryMiB: 2048, executionProvider: 'cpu' },
      'or decide startupBudgetSeconds',
    ],
    ['no model', { models: [] }, 'MODELS_EMPTY'],
    [
      'a model twice',
      { models: [...CPU_SPEC.models, ...CPU_SPEC.models] },
      "MODEL_DUPLICATE models[1].name: model 'resnet50' is listed twice",
    ],
    ['version zero', { models: [{ ...CPU_SPEC.models[0]!, version: 0 }] }, 'MODEL_VERSION_INVALID models[0].version'],
    [
      'a model name that is a path',
      { models: [{ ...CPU_SPEC.models[0]!, name: '../etc' }] },
      'MODEL_NAME_INVALID models[0].name',
    ],
    ['a service name with capitals', { name: 'Resnet' }, 'NAME_INVALID name'],
    [
      'a batch of a model that cannot be batched',
      {
        models: [
          { ...withFacts({ outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 10] }] }).models[0]!, maxBatchSize: 8 },
        ],
      },
      "MODEL_NOT_BATCHABLE models[0].maxBatchSize: got 8, but 'y' [1,10]",
    ],
    [
      'hooks that nobody asked for',
      { models: [{ ...CPU_SPEC.models[0]!, files: HOOKED }] },
      "MODEL_HOOKS_UNDECIDED models[0]: 'resnet50' was published with hooks 'around.mjs'",
    ],
    [
      'operators newer than the bundled runtime',
      { models: withFacts({ opsets: [{ domain: '', version: 99 }] }).models },
      "MODEL_OPSET_UNSUPPORTED models[0].facts: model 'resnet50' needs opset 99 of 'ai.onnx', the bundled ONNX Runtime runs up to 26; export it with opset_version=26",
    ],
    [
      'operators of a domain that the bundled runtime has not',
      {
        models: withFacts({
          opsets: [{ domain: 'com.example', version: 1 }],
          operators: [{ domain: 'com.example', operator: 'Twist', count: 1 }],
        }).models,
      },
      "MODEL_OPSET_UNSUPPORTED models[0].facts: model 'resnet50' uses operators of domain 'com.example', the bundled ONNX Runtime has 'ai.onnx'",
    ],
    [
      'a configuration that needs a GPU, on a CPU',
      { models: withFacts({ executors: { all: 1, perGpu: 1, onCpu: 0, needGpu: true } }).models },
      "GPU_WITHOUT_CUDA executionProvider: the configuration published with 'resnet50' has an instance_group of KIND_GPU",
    ],
    [
      'less memory than published executors need',
      { ...withFacts({ executors: FOUR, weightBytes: 500 * 2 ** 20 }), memoryMiB: 2_048 },
      "MEMORY memoryMiB: the models, of which 'resnet50' was published with 4 executors in its instance_group, need 5",
    ],
    [
      'a card that published executors do not fit into',
      { ...withFacts({ executors: FOUR, weightBytes: 4_000 * 2 ** 20 }, GPU_SPEC) },
      "GPU_MEMORY instanceTypes[0]: the models, of which 'resnet50' was published with 4 executors",
      GPU_SPEC,
    ],
    ['CPU use as the signal of a GPU', { metricsFrom: 'cpu' }, 'SCALING_METRIC_UNNAMED metricsFrom', GPU_SPEC],
  ])('%s', (_name, change, message, base) => {
    expect(refusal(change, base).message).toContain(message);
  });

  test('the error carries its code and path for scripts', () => {
    expect(refusal({ minReplicas: 3, maxReplicas: 2 })).toMatchObject({
      code: 'REPLICA_RANGE',
      path: 'maxReplicas',
      name: 'SpecError',
    });
  });

  test('the three numbers are enough for an unknown model', () => {
    const plan = planInferenceService({
      ...CPU_SPEC,
      ...unknownModel,
      memoryMiB: 2048,
      startupBudgetSeconds: 90,
      executionProvider: 'cpu',
    });
    expect(plan.lifecycle.startupBudgetSeconds).toBe(90);
    expect(plan.resources.neededMemoryMiB).toBeUndefined();
  });
});
