import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MANIFEST_SCHEMA, readEnvironment, serializeManifest, type InferenceServiceSpec } from 'slipway';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLASSIFIER_FACTS, CLASSIFIER_FILES } from '../support/specs';
import { cdkFacts } from './cdk-facts';
import type { Facts } from './facts';
import { pulumiFacts } from './pulumi-facts';

const MODEL = { name: 'digits', version: 3 };
const base: InferenceServiceSpec = { name: 'digits', models: [MODEL] };

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
  [
    'a service of several models, each with batches of its own,',
    {
      ...base,
      ...{ instanceTypes: ['g6.xlarge', 'g6.2xlarge'], memoryMiB: 12_288, startupBudgetSeconds: 300 },
      ...{ minReplicas: 1, maxReplicas: 4, metricsFrom: 'keda' },
      models: [
        { ...MODEL, maxBatchSize: 4 },
        { ...MODEL, name: 'classifier', version: 2 },
        { ...MODEL, name: 'embedder', version: 7, maxBatchSize: 16 },
      ],
    },
  ],
])('%s means the same on both engines:', (_name, spec) => {
  let folder: string;
  let cdk: Facts;
  let pulumi: Facts;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'parity-'));
    const models = spec.models.map(({ name, version, maxBatchSize }) => {
      const manifest = join(folder, `${name}.json`);
      const [file] = CLASSIFIER_FILES;
      const published = { name, version, files: [file!], facts: CLASSIFIER_FACTS };
      writeFileSync(manifest, serializeManifest({ schema: MANIFEST_SCHEMA, ...published }));
      return { name, manifest, ...(maxBatchSize === undefined ? {} : { maxBatchSize }) };
    });
    const { models: _manifests, ...words } = spec;
    cdk = cdkFacts({ spec: words, models });
    pulumi = await pulumiFacts({ spec: words, models });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the environment', () => {
    const ours = ({ environment }: Facts): [string, string][] =>
      Object.entries(environment)
        .filter(([variable]) => !OF_THE_ENGINE.includes(variable))
        .sort();
    expect(ours(cdk)).toEqual(ours(pulumi));
    expect(cdk.environment['SLIPWAY_HOOKS']).toBe(spec.hooks === true ? 'true' : undefined);
    const served = JSON.parse(cdk.environment['SLIPWAY_MODELS']!);
    expect(served[0].files[0].uri).toBe('s3://team-models/digits/3/model.onnx');
    expect(served).toMatchObject(spec.models);
    for (const { environment } of [cdk, pulumi]) expect(readEnvironment(environment).serviceName).toBe('digits');
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
    const actions = ['s3:GetObject', 's3:GetObjectVersion'];
    const objects = spec.models.map(({ name }) => `team-models/${name}/*`).sort();
    expect(cdk.permissions).toEqual(objects.map((object) => ({ effect: 'Allow', actions, object })));
  });
});
