import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  findResources,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type PulumiRecording,
} from 'slipway/testing';
import { awsInvoke, awsState } from '../support/pulumi-aws';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

test('two of each component live in one stack, preview and up alike', async () => {
  const preview = assertSucceeded(await run('two-of-each', { preview: true }));
  const up = assertSucceeded(await run('two-of-each'));
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(findResources(up, 'slipway:index:InferenceService').map(({ name }) => name)).toEqual(['one', 'two']);
  expect(
    findResources(up, 'kubernetes:apps/v1:Deployment').map(({ inputs }) => propertyAt(inputs, 'metadata.name')),
  ).toEqual(['one', 'two']);
});

test('machines of one GPU model are labelled with it, and of several with the maker alone', async () => {
  const groups = findResources(assertSucceeded(await run('two-of-each')), 'aws:eks/nodeGroup:NodeGroup');
  const labels = groups.map(
    ({ inputs }) => (inputs['labels'] as Record<string, string>)['k8s.amazonaws.com/accelerator'],
  );
  expect(labels).toEqual(['nvidia-l4', 'nvidia']);
});

test('a namespace, an image and a bucket that are not known yet are waited for, not refused', async () => {
  const preview = assertSucceeded(await run('all-late', { preview: true }));
  const deployment = findResource(preview, 'kubernetes:apps/v1:Deployment');
  expect(propertyAt(deployment.inputs, 'metadata.namespace')).toEqual(UNKNOWN);
  expect(preview.stackOutputs['url']).toEqual(UNKNOWN);
  const up = assertSucceeded(await run('all-late'));
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(up.stackOutputs['url']).toBe('http://digits.team-id.svc:8080');
  const [container] = propertyAt(
    findResource(up, 'kubernetes:apps/v1:Deployment').inputs,
    'spec.template.spec.containers',
  ) as [{ image: string }];
  expect(container.image).toBe('123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/images:1');
});

test('protect and an explicit provider reach every child, and an earlier name and a cluster to go with are kept', async () => {
  const up = assertSucceeded(await run('protected-with-provider'));
  const bucket = findDescendants(up, findResource(up, 'slipway:aws:ModelBucket').urn);
  expect(bucket.filter(({ protect }) => !protect)).toEqual([]);
  expect(bucket.filter(({ provider }) => !provider.includes('providers:aws::europe::'))).toEqual([]);
  const component = findResource(up, 'slipway:index:InferenceService');
  expect(component.aliases).toMatchObject([{ name: 'numbers' }]);
  expect(component.deletedWith).toMatch(/::cluster$/);
  const service = findDescendants(up, component.urn);
  expect(service).toHaveLength(6);
  expect(service.filter(({ provider }) => !provider.includes('providers:kubernetes::cluster::'))).toEqual([]);
});

describe("a key of one's own", () => {
  test('encrypts bucket and images, and its readers may decrypt with it for that bucket alone', async () => {
    const up = assertSucceeded(await run('encrypted-and-disposable'));
    const key = 'arn:aws-cn:kms:cn-north-1:123456789012:key/abc';
    const encryption = findResource(
      up,
      'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
    );
    expect(propertyAt(encryption.inputs, 'rules[0]')).toEqual({
      applyServerSideEncryptionByDefault: { sseAlgorithm: 'aws:kms', kmsMasterKeyId: key },
      bucketKeyEnabled: true,
    });
    expect(findResource(up, 'aws:ecr/repository:Repository').inputs['encryptionConfigurations']).toEqual([
      { encryptionType: 'KMS', kmsKey: key },
    ]);
    const bucket = 'arn:aws-cn:s3:::models-1a2b3c';
    expect(JSON.parse(findResource(up, 'aws:iam/rolePolicy:RolePolicy').inputs['policy'] as string).Statement).toEqual([
      {
        Sid: 'ReadModels',
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: [`${bucket}/digits/*`, `${bucket}/resnet50/*`],
      },
      {
        Effect: 'Allow',
        Action: 'kms:Decrypt',
        Resource: key,
        Condition: { StringLike: { 'kms:EncryptionContext:aws:s3:arn': [bucket, `${bucket}/*`] } },
      },
    ]);
  });
});

test('what need not be kept goes with its contents', async () => {
  const up = assertSucceeded(await run('encrypted-and-disposable'));
  expect(findResource(up, 'aws:s3/bucket:Bucket')).toMatchObject({
    retainOnDelete: false,
    inputs: { forceDestroy: true },
  });
  expect(findResource(up, 'aws:ecr/repository:Repository')).toMatchObject({
    retainOnDelete: false,
    inputs: { forceDelete: true },
  });
});

describe('a mistake is refused in one line under its component, before any of its children is declared', () => {
  test.each([
    ['replica range', 'InferenceService', 'REPLICA_RANGE maxReplicas: must be at least minReplicas (3), got 2'],
    ['no scaling source for a GPU', 'InferenceService', 'SCALING_METRIC_UNNAMED metricsFrom: must be named for a GPU'],
    ['no facts', 'InferenceService', 'MODEL_FACTS_MISSING '],
    [
      'identity of another account',
      'InferenceService',
      "NAME_INVALID identity: is bound to service account 'other', but pods of this service run as 'digits'",
    ],
    [
      'model that lies nowhere',
      'InferenceService',
      "MODEL_DELIVERY models[0]: files of 'digits' must lie in one place: give repositoryUri, image or volume, got none",
    ],
    [
      'model in a tagged image',
      'InferenceService',
      "IMAGE_NOT_PINNED image: must name an image by its digest, as in 'registry.example.com/name@sha256:'",
    ],
    [
      'pool that no rollout could leave',
      'InferenceService',
      'POOL_TOO_SMALL spareReplica: minReplicas 2 takes every GPU: the machines of the placement have GPUs for 2',
    ],
    ['no replica and nothing to wake it', 'InferenceService', 'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE minReplicas: '],
    ['image volume on an old cluster', 'InferenceService', 'KUBERNETES_TOO_OLD kubernetesVersion: '],
    ['nothing to read', 'WorkloadIdentity', 'reads: must name at least one model, got none'],
    ['disk too small', 'GpuInstanceGroup', 'NUMBER_INVALID diskSizeGiB: must be a number from 30 to 16384, got 8'],
    ['unknown instance type', 'GpuInstanceGroup', "UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'g9.xlarge', known: "],
    [
      'mixed GPU counts',
      'GpuInstanceGroup',
      'GPU_COUNT instanceTypes[1]: all must have the 1 GPUs of g6.xlarge, g6.12xlarge has 4',
    ],
  ])('%s', async (mistake, component, message) => {
    const recording = await run('refused', { config: { mistake } });
    const [error, ...others] = errorsOf(recording);
    expect(error?.message).toContain(message);
    expect(error?.message.split('\n')).toHaveLength(1);
    expect(others).toEqual([]);
    expect(recording.exitCode).toBe(32);
    const refused = recording.resources.find(({ urn }) => urn === error?.urn)!;
    expect(refused.type).toMatch(new RegExp(`:${component}$`));
    expect(findDescendants(recording, refused.urn)).toEqual([]);
  });
});

describe('a model or an image that cannot be used is refused in one line', () => {
  test.each([
    [
      'tag instead of digest',
      "IMAGE_NOT_PINNED digest: must be 'sha256:' and 64 lower-case hexadecimal digits, got 'latest'",
    ],
    ['bucket model without version', 'MODEL_VERSION_INVALID digits.version: must be given, itself or by a manifest'],
    ['file that is not ONNX', 'NOT_ONNX '],
    ['manifest not there', 'MANIFEST_INVALID nowhere.json: does not exist; slipway model publish writes it'],
    ['model in an image that turns out tagged', 'IMAGE_NOT_PINNED image: must name an image by its digest'],
  ])('%s', async (mistake, message) => {
    const recording = await run('refused', { config: { mistake } });
    expect(recording.exitCode).toBe(32);
    const errors = errorsOf(recording);
    expect(errors).toHaveLength(1);
    expect(errors[0]!.message).toContain(message);
    expect(errors[0]!.message.split('\n')).toHaveLength(1);
  });
});

function run(
  program: string,
  options: { preview?: boolean; config?: Record<string, string> } = {},
): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs', `${program}.ts`),
    typeCheck: false,
    onResource: awsState,
    onInvoke: awsInvoke,
    ...options,
  });
}

function errorsOf(recording: PulumiRecording) {
  return recording.logs.filter(({ severity }) => severity === 'error');
}
