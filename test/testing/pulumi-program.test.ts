import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  loggedErrors,
  madeInsideApply,
  propertyAt,
  runPulumiProgram,
  secret,
  UNKNOWN,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const fixtures = path.join(__dirname, 'fixtures');
const BUCKET = 'aws:s3/bucket:Bucket';

const storefront: PulumiProgramOptions = {
  directory: path.join(fixtures, 'storefront'),
  typeCheck: false,
  config: { password: { secret: 'hunter2' }, greeting: 'hello' },
  onInvoke: ({ token }) => (token === 'aws:index/getRegion:getRegion' ? { region: 'eu-west-1' } : undefined),
  onResource: (resource) =>
    resource.type === BUCKET
      ? { id: 'shop-assets-1', state: { bucket: 'shop-assets-1', arn: 'arn:aws:s3:::shop-assets-1' } }
      : undefined,
};

describe('a program with a component, a provider and a secret', () => {
  let preview: PulumiRecording;
  let up: PulumiRecording;

  beforeAll(async () => {
    preview = assertSucceeded(await runPulumiProgram({ ...storefront, preview: true }));
    up = assertSucceeded(await runPulumiProgram(storefront));
  });

  test('registers the same resources at preview and at up', () => {
    expect(() => assertSameResources(preview, up)).not.toThrow();
    expect(up.resources.map((resource) => [resource.type, resource.name])).toEqual(
      expect.arrayContaining([
        ['pulumi:pulumi:Stack', 'storefront-dev'],
        ['pulumi:providers:aws', 'europe'],
        ['test:index:Storefront', 'shop'],
        [BUCKET, 'shop-assets'],
        ['aws:s3/bucketVersioning:BucketVersioning', 'shop-versioning'],
        ['kubernetes:core/v1:ConfigMap', 'shop-where'],
      ]),
    );
    expect(up.resources).toHaveLength(6);
  });

  test('names resources by the chain of types above them, as the engine does', () => {
    const bucket = findResource(up, BUCKET);
    expect(bucket.urn).toBe('urn:pulumi:dev::storefront::test:index:Storefront$aws:s3/bucket:Bucket::shop-assets');
    expect(bucket.parent).toBe(findResource(up, 'test:index:Storefront').urn);
    expect(findDescendants(up, bucket.parent)).toHaveLength(3);
  });

  test('leaves ids and computed outputs unknown at preview', () => {
    const versioning = findResource(preview, 'aws:s3/bucketVersioning:BucketVersioning');
    expect(versioning.inputs['bucket']).toEqual(UNKNOWN);
    expect(propertyAt(findResource(preview, 'kubernetes:core/v1:ConfigMap').inputs, 'data.arn')).toEqual(UNKNOWN);
    expect(preview.stackOutputs['bucketArn']).toEqual(UNKNOWN);
    expect(findResource(preview, BUCKET).id).toBe('');
  });

  test('gives an up what onResource returned', () => {
    const versioning = findResource(up, 'aws:s3/bucketVersioning:BucketVersioning');
    expect(versioning.inputs['bucket']).toBe('shop-assets-1');
    expect(versioning.dependencies).toEqual([findResource(up, BUCKET).urn]);
    expect(up.stackOutputs).toMatchObject({ bucketArn: 'arn:aws:s3:::shop-assets-1', greeting: 'hello' });
    expect(up.outputs[findResource(up, 'test:index:Storefront').urn]).toEqual({ bucketName: 'shop-assets-1' });
  });

  test('answers function calls from onInvoke, with the provider that the parent hands down', () => {
    expect(up.stackOutputs['region']).toBe('eu-west-1');
    expect(up.invokes).toMatchObject([
      {
        token: 'aws:index/getRegion:getRegion',
        provider: `${findResource(up, 'pulumi:providers:aws').urn}::europe-id`,
      },
    ]);
  });

  test('keeps a secret a secret on the wire', () => {
    expect(propertyAt(findResource(up, BUCKET).inputs, 'tags')).toEqual(secret({ password: 'hunter2' }));
  });

  test('records the options that a component hands down and those it does not', () => {
    const bucket = findResource(up, BUCKET);
    expect(bucket.protect).toBe(true);
    expect(bucket.provider).toContain('pulumi:providers:aws::europe::europe-id');
    expect(bucket.ignoreChanges).toEqual(['tags.team']);
    expect(bucket.customTimeouts).toEqual({ create: '7m' });
    expect(bucket.aliases).toContainEqual({ name: 'old-assets', parent: bucket.parent });
    expect(findResource(up, 'kubernetes:core/v1:ConfigMap').provider).toBe('');
  });

  test('runs transforms of a component over its children', () => {
    expect(findResource(up, BUCKET).inputs['forceDestroy']).toBe(true);
    expect(findResource(up, 'kubernetes:core/v1:ConfigMap').inputs).not.toHaveProperty('forceDestroy');
  });

  test('says that no child was made inside apply', () => {
    expect(madeInsideApply(up)).toEqual([]);
  });
});

describe('a program that makes a resource inside apply', () => {
  const program = path.join(fixtures, 'child-inside-apply.ts');

  test('is caught by comparing preview and up', async () => {
    const preview = assertSucceeded(await runPulumiProgram({ program, typeCheck: false, preview: true }));
    const up = assertSucceeded(await runPulumiProgram({ program, typeCheck: false }));
    expect(() => assertSameResources(preview, up)).toThrow(
      /made by up, not shown by preview: .*::late\n.*made inside apply: .*::late/,
    );
  });
});

describe('a program that fails', () => {
  test('ends with exit code 32 and one logged line under the component that refused', async () => {
    const recording = await runPulumiProgram({
      program: path.join(fixtures, 'refusing-component.ts'),
      typeCheck: false,
    });
    expect(recording.exitCode).toBe(32);
    expect(recording.logs.filter((log) => log.severity === 'error')).toEqual([
      {
        severity: 'error',
        message: 'REPLICA_RANGE maxReplicas: must be at least minReplicas (3), got 2',
        urn: 'urn:pulumi:dev::project::test:index:Refusing::no',
      },
    ]);
    expect(() => assertSucceeded(recording)).toThrow('exit code 32:\nREPLICA_RANGE');
  });

  test("that does not type-check is reported by Pulumi's own loader, unless types are not to be checked", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'slipway-program-'));
    try {
      const program = path.join(directory, 'index.ts');
      writeFileSync(program, 'const replicas: number = "three";\nexport const answer = replicas;\n');
      symlinkSync(path.resolve(__dirname, '../../node_modules'), path.join(directory, 'node_modules'));
      const refused = await runPulumiProgram({ program });
      expect(loggedErrors(refused).join('\n')).toContain("Type 'string' is not assignable to type 'number'");
      expect(refused.exitCode).toBe(32);
      expect(assertSucceeded(await runPulumiProgram({ program, typeCheck: false })).stackOutputs).toEqual({
        answer: 'three',
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('reports two resources of one name, as the engine does', async () => {
    const recording = await runPulumiProgram({ program: path.join(fixtures, 'same-name-twice.ts'), typeCheck: false });
    expect(recording.exitCode).not.toBe(0);
    expect(loggedErrors(recording).join('\n')).toContain(
      "Duplicate resource URN 'urn:pulumi:dev::project::aws:s3/bucket:Bucket::twin'",
    );
  });

  test('sees what onResource throws as the failure of that resource', async () => {
    const recording = await runPulumiProgram({
      program: path.join(fixtures, 'child-inside-apply.ts'),
      typeCheck: false,
      onResource: () => {
        throw new Error('BucketAlreadyExists: the name is taken');
      },
    });
    expect(recording.exitCode).not.toBe(0);
    expect(loggedErrors(recording).join('\n')).toContain('BucketAlreadyExists: the name is taken');
  });

  test('names the function that nothing answers', async () => {
    const recording = await runPulumiProgram({ ...storefront, onInvoke: () => undefined });
    expect(loggedErrors(recording).join('\n')).toContain('nothing answers the call of aws:index/getRegion:getRegion');
  });

  test('is killed when it does not end in time', async () => {
    const run = runPulumiProgram({
      program: path.join(fixtures, 'never-ends.ts'),
      typeCheck: false,
      timeoutSeconds: 2,
    });
    await expect(run).rejects.toThrow('the program did not end within 2 s and was killed');
  });
});

test('a folder from which the SDK cannot be found is refused before anything starts', async () => {
  await expect(runPulumiProgram({ directory: path.parse(__dirname).root })).rejects.toThrow(
    '@pulumi/pulumi cannot be found from',
  );
});
