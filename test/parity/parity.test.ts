import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MANIFEST_SCHEMA, readEnvironment, serializeManifest, type InferenceServiceSpec } from 'slipway';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLASSIFIER_FACTS, CLASSIFIER_FILES } from '../support/specs';
import { cdkFacts } from './cdk-facts';
import type { Facts } from './facts';
import { pulumiFacts } from './pulumi-facts';

const base: InferenceServiceSpec = { name: 'digits', models: [] };

// What ECS has and a cluster has not: CloudWatch reads standard output, and the cluster has another name.
const OF_THE_ENGINE = ['SLIPWAY_CLOUDWATCH_METRICS', 'SLIPWAY_CLUSTER_NAME'];

describe.each<[string, InferenceServiceSpec]>([
  ['a CPU service', { ...base, metricsFrom: 'prometheus-adapter' }],
  [
    'a CPU service of two vCPUs with its own deadlines',
    {
      ...base,
      vcpu: 2,
      memoryMiB: 4_096,
      requestDeadlineSeconds: 5,
      deregistrationLagSeconds: 3,
      minReplicas: 3,
      maxReplicas: 5,
      targetSaturation: 0.5,
      metricsFrom: 'keda',
    },
  ],
  ['a GPU service', { ...base, instanceTypes: ['g6.xlarge', 'g5.xlarge'], metricsFrom: 'keda' }],
  [
    'a GPU service with no spare machine',
    {
      ...base,
      preset: 'development',
      instanceTypes: ['g5.12xlarge'],
      gpuCount: 2,
      spareReplica: false,
      maxBodyMiB: 8,
      hooks: true,
      metricsFrom: 'keda',
    },
  ],
  // The words of the examples that both engines have.
  [
    'the stable replicas of the canary, and the service into what is there already',
    {
      ...base,
      ...{ executionProvider: 'cpu', memoryMiB: 2_048, startupBudgetSeconds: 60 },
      maxReplicas: 6,
      metricsFrom: 'keda',
    },
  ],
  [
    'the GPU service',
    {
      ...base,
      ...{ executionProvider: 'cuda', instanceTypes: ['g6.xlarge', 'g5.xlarge'], memoryMiB: 8_192 },
      ...{ startupBudgetSeconds: 240, minReplicas: 1, maxReplicas: 6, metricsFrom: 'keda' },
    },
  ],
  [
    'the service on spot machines above a base',
    {
      ...base,
      ...{ executionProvider: 'cuda', instanceTypes: ['g6.xlarge', 'g6.2xlarge', 'g5.xlarge', 'g5.2xlarge'] },
      ...{ memoryMiB: 8_192, startupBudgetSeconds: 240, minReplicas: 1, maxReplicas: 8, metricsFrom: 'keda' },
    },
  ],
])('%s means the same on both engines:', (_name, spec) => {
  let folder: string;
  let cdk: Facts;
  let pulumi: Facts;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'parity-'));
    const manifest = join(folder, 'manifest.json');
    const [model] = CLASSIFIER_FILES;
    writeFileSync(
      manifest,
      serializeManifest({
        schema: MANIFEST_SCHEMA,
        name: 'digits',
        version: 3,
        files: [model!],
        facts: CLASSIFIER_FACTS,
      }),
    );
    cdk = cdkFacts({ spec, manifest });
    pulumi = await pulumiFacts({ spec, manifest });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the environment', () => {
    const ours = ({ environment }: Facts): [string, string][] =>
      Object.entries(environment)
        .filter(([variable]) => !OF_THE_ENGINE.includes(variable))
        .sort();
    expect(ours(cdk)).toEqual(ours(pulumi));
    expect(cdk.environment['SLIPWAY_HOOKS']).toBe(spec.hooks === true ? 'true' : undefined);
    expect(JSON.parse(cdk.environment['SLIPWAY_MODELS']!)[0].files[0].uri).toBe('s3://team-models/digits/3/model.onnx');
    for (const { environment } of [cdk, pulumi]) {
      const read = Object.fromEntries(
        Object.entries(environment).map(([variable, value]) => [
          variable,
          typeof value === 'string' ? value : 'late-bound',
        ]),
      );
      expect(readEnvironment(read).serviceName).toBe('digits');
    }
  });
  test('the models it names', () => expect(cdk.annotations).toEqual(pulumi.annotations));
  test('ports', () => expect(cdk.ports).toEqual(pulumi.ports));
  test('resources', () => expect(cdk.resources).toEqual(pulumi.resources));
  test('security of the container', () => expect(cdk.security).toEqual(pulumi.security));
  test('probes and budgets', () => expect(cdk.lifecycle).toEqual(pulumi.lifecycle));
  test('rollout', () => expect(cdk.rollout).toEqual(pulumi.rollout));
  test('scaling', () => expect(cdk.scaling).toEqual(pulumi.scaling));
  test('permissions', () => {
    expect(cdk.permissions).toEqual(pulumi.permissions);
    expect(cdk.permissions).toEqual([
      { effect: 'Allow', actions: ['s3:GetObject', 's3:GetObjectVersion'], objects: ['team-models/digits/*'] },
    ]);
  });
});
