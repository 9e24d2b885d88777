import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { parseModelReferences, type ModelReference } from 'slipway';
import { Model, ModelBucket } from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { addOneModel, externalDataModel, identityModel } from '../support/onnx-models';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  environmentOf,
  folderWith,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

const sha256 = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

/** `SLIPWAY_MODELS` as a replica reads it, with placeholders where only the deployment knows. */
function referencesOf(template: Template): readonly ModelReference[] {
  const value = environmentOf(template)['SLIPWAY_MODELS'];
  return parseModelReferences(spell(value));
}

function spell(value: unknown): string {
  if (typeof value === 'string') return value;
  const [[intrinsic, argument]] = Object.entries(value as object) as [[string, any]];
  if (intrinsic === 'Fn::Join') return argument[1].map(spell).join(argument[0]);
  return intrinsic === 'Fn::Sub' ? argument : `<${Array.isArray(argument) ? argument.join('.') : argument}>`;
}

function policyOf(template: Template): { id: string; resources: string[]; actions: string[] } {
  const [policy] = resourcesOf(template, 'AWS::IAM::Policy').filter(({ id }) => id.includes('ReadModels'));
  const statements = policy!.Properties.PolicyDocument.Statement;
  return {
    id: policy!.id,
    resources: statements.flatMap((statement: any) => [statement.Resource].flat().map(spell)),
    actions: statements.flatMap((statement: any) => statement.Action),
  };
}

let repository: string;
let manifest: string;
let versionFolder: string;

beforeAll(async () => {
  repository = folderWith({});
  manifest = join(repository, 'digits.manifest.json');
  await publishModel({ source: DIGITS, name: 'digits', repository, version: 7, manifestFile: manifest });
  versionFolder = join(repository, 'digits', '7');
});

describeWithAndWithoutFlags('Model.fromAsset', (newStack) => {
  function deploy(...models: Model[]): Template {
    const stack = newStack();
    newFargateService(stack, { plaintextInsideVpc: true, models });
    return Template.fromStack(stack);
  }

  test('a bare file is one asset, named to the server by its digest and size', () => {
    const [reference] = referencesOf(deploy(Model.fromAsset(DIGITS)));
    const bytes = readFileSync(DIGITS);
    expect(reference).toMatchObject({ name: 'digits', version: 1, maxBatchSize: 32 });
    expect(reference!.files).toHaveLength(1);
    expect(reference!.files![0]).toMatchObject({ path: 'model.onnx', bytes: bytes.length, sha256: sha256(bytes) });
    expect(reference!.files![0]!.uri).toMatch(
      /^s3:\/\/cdk-hnb659fds-assets-\$\{AWS::AccountId\}-\$\{AWS::Region\}\/[0-9a-f]{64}\.onnx$/,
    );
  });

  test('external data becomes an asset of its own, under the name that the model uses', () => {
    const { model, weights } = externalDataModel({ location: 'weights.bin' });
    const folder = folderWith({ 'big.onnx': model, 'weights.bin': weights });
    const template = deploy(Model.fromAsset(join(folder, 'big.onnx')));
    const [reference] = referencesOf(template);
    expect(reference!.name).toBe('big');
    expect(reference!.files!.map(({ path, sha256 }) => [path, sha256])).toEqual([
      ['model.onnx', sha256(model)],
      ['weights.bin', sha256(weights)],
    ]);
    const policy = policyOf(template);
    expect(policy.resources).toEqual(
      reference!.files!.map(({ uri }) => `arn:<AWS::Partition>:s3:::${uri.slice('s3://'.length)}`),
    );
  });

  test('a published folder brings its manifest and golden proof, and its own name and version', () => {
    const [reference] = referencesOf(deploy(Model.fromAsset(versionFolder)));
    expect(reference).toMatchObject({ name: 'digits', version: 7 });
    const paths = reference!.files!.map(({ path }) => path);
    expect(paths).toContain('model.onnx');
    expect(paths).toContain('manifest.json');
    expect(paths.some((path) => path.startsWith('golden/'))).toBe(true);
    const listed = reference!.files!.find(({ path }) => path === 'manifest.json')!;
    expect(listed.sha256).toBe(sha256(readFileSync(join(versionFolder, 'manifest.json'))));
  });

  test('rights name the exact objects of the asset bucket: no wildcard, no list', () => {
    const policy = policyOf(deploy(Model.fromAsset(versionFolder)));
    expect(policy.actions).toEqual(expect.arrayContaining(['s3:GetObject', 's3:GetObjectVersion']));
    expect(new Set(policy.actions).size).toBe(2);
    for (const resource of policy.resources) expect(resource).toMatch(/\/[0-9a-f]{64}(\.\w+)*$/);
  });

  test('one service may mix models of different places', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models');
    const folder = folderWith({ 'echo.onnx': identityModel() });
    newFargateService(stack, {
      plaintextInsideVpc: true,
      models: [Model.fromAsset(join(folder, 'echo.onnx')), Model.fromBucket(models, 'digits', { manifest })],
    });
    const template = Template.fromStack(stack);
    expect(referencesOf(template).map(({ name, version }) => [name, version])).toEqual([
      ['echo', 1],
      ['digits', 7],
    ]);
    expect(policyOf(template).resources).toEqual([
      expect.stringMatching(/\/[0-9a-f]{64}\.onnx$/),
      `<${theOnly(template, 'AWS::S3::Bucket').id}.Arn>/digits/*`,
    ]);
  });
});

describeWithAndWithoutFlags('Rights through a rollout', (newStack) => {
  function deploy(content: Uint8Array): Template {
    const stack = newStack();
    const folder = folderWith({ 'adder.onnx': content });
    newFargateService(stack, { plaintextInsideVpc: true, models: [Model.fromAsset(join(folder, 'adder.onnx'))] });
    return Template.fromStack(stack);
  }
  const before = addOneModel();
  const after = addOneModel({ shape: ['batch', 5] });

  test('another model is another policy beside the same role, and the service waits for it', () => {
    const [first, second] = [deploy(before), deploy(after)];
    // The new policy is created before the service is updated, the old one deleted after: both versions stay readable.
    expect(policyOf(first).id).not.toBe(policyOf(second).id);
    for (const template of [first, second]) {
      expect(theOnly(template, 'AWS::ECS::Service').DependsOn).toContain(policyOf(template).id);
    }
    const taskRole = (template: Template): string =>
      theOnly(template, 'AWS::ECS::TaskDefinition').Properties.TaskRoleArn['Fn::GetAtt'][0];
    expect(taskRole(first)).toBe(taskRole(second));
    const names = [first, second].map((template) => template.findResources('AWS::IAM::Policy')[policyOf(template).id]!);
    expect(names[0]!['Properties'].PolicyName).not.toBe(names[1]!['Properties'].PolicyName);
  });

  test('the same model is the same policy, wherever its file lies', () => {
    expect(policyOf(deploy(before)).id).toBe(policyOf(deploy(before)).id);
  });

  test('another model is another task definition, and the old model gives the old one back', () => {
    const containers = (content: Uint8Array): unknown =>
      theOnly(deploy(content), 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
    expect(containers(after)).not.toEqual(containers(before));
    expect(containers(before)).toEqual(containers(before));
  });
});

describeWithAndWithoutFlags('Model.fromBucket', (newStack) => {
  test('a manifest brings version, facts and the digest of every file', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models');
    const service = newFargateService(stack, {
      plaintextInsideVpc: true,
      models: [Model.fromBucket(models, 'digits', { manifest })],
    });
    expect(service.plan.models[0]).toMatchObject({ name: 'digits', version: 7 });
    const template = Template.fromStack(stack);
    const [reference] = referencesOf(template);
    const bucket = theOnly(template, 'AWS::S3::Bucket').id;
    expect(reference!.files!.map(({ uri }) => uri)).toContain(`s3://<${bucket}>/digits/7/model.onnx`);
    expect(reference!.files!.find(({ path }) => path === 'manifest.json')!.sha256).toBe(sha256(readFileSync(manifest)));
    expect(policyOf(template)).toMatchObject({
      actions: ['s3:GetObject', 's3:GetObjectVersion'],
      resources: [`<${bucket}.Arn>/digits/*`],
    });
  });

  test('without a manifest a replica is given the folder, and the service must say its numbers', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models');
    newFargateService(stack, {
      plaintextInsideVpc: true,
      models: [Model.fromBucket(models, 'digits', { version: 3 })],
      executionProvider: 'cpu',
      memoryMiB: 2048,
      startupBudgetSeconds: 60,
    });
    const template = Template.fromStack(stack);
    const [reference] = referencesOf(template);
    expect(reference!.folder).toBe(`s3://<${theOnly(template, 'AWS::S3::Bucket').id}>/digits/3/`);
    expect(() =>
      newFargateService(newStack(), {
        plaintextInsideVpc: true,
        models: [Model.fromBucket(models, 'digits', { version: 3 })],
      }),
    ).toThrow('MODEL_FACTS_MISSING');
  });

  test('a bucket with its own key adds the right to decrypt, and to nothing else', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models', { encryptionKey: new kms.Key(stack, 'Key') });
    newFargateService(stack, { plaintextInsideVpc: true, models: [Model.fromBucket(models, 'digits', { manifest })] });
    const policy = policyOf(Template.fromStack(stack));
    expect(policy.actions).toEqual(['s3:GetObject', 's3:GetObjectVersion', 'kms:Decrypt']);
  });

  test('a bucket that exists already is named as it is', () => {
    const stack = newStack();
    const models = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
    newFargateService(stack, { plaintextInsideVpc: true, models: [Model.fromBucket(models, 'digits', { manifest })] });
    const template = Template.fromStack(stack);
    expect(referencesOf(template)[0]!.files!.map(({ uri }) => uri)).toContain('s3://team-models/digits/7/model.onnx');
    expect(policyOf(template).resources).toEqual(['arn:<AWS::Partition>:s3:::team-models/digits/*']);
  });
});

test('another bucket is another policy, so that replicas of the old version keep reading from the old one', () => {
  const policyIn = (bucketName: string): string => {
    const stack = newStack();
    const models = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', bucketName));
    newFargateService(stack, { plaintextInsideVpc: true, models: [Model.fromBucket(models, 'digits', { manifest })] });
    return policyOf(Template.fromStack(stack)).id;
  };
  expect(policyIn('team-models')).not.toBe(policyIn('other-models'));
  expect(policyIn('team-models')).toBe(policyIn('team-models'));
});

test('more objects than two policies beside a role can name are refused, with what would work', () => {
  const deploy = (count: number) => () => {
    const names = Array.from({ length: count }, (_, i) => `m${i}.onnx`);
    const folder = folderWith(Object.fromEntries(names.map((name, i) => [name, addOneModel({ shape: ['n', i + 1] })])));
    const models = names.map((name) => Model.fromAsset(join(folder, name)));
    newFargateService(newStack(), { plaintextInsideVpc: true, models });
  };
  expect(deploy(20)).not.toThrow();
  expect(deploy(60)).toThrow(/POLICY_TOO_LARGE models: the right to read 60 objects takes some \d+ characters/);
});

test('a bare file takes name and version from where it lies, or from the author', () => {
  const folder = folderWith({ 'resnet50.onnx': identityModel() });
  mkdirSync(join(folder, 'echo', '3'), { recursive: true });
  cpSync(join(folder, 'resnet50.onnx'), join(folder, 'echo', '3', 'model.onnx'));
  cpSync(join(folder, 'resnet50.onnx'), join(folder, 'echo', 'model.onnx'));
  const placed = (path: string, name?: string, version?: number): unknown[] => {
    const { spec } = Model.fromAsset(join(folder, path), { name, version });
    return [spec.name, spec.version];
  };
  expect(placed('resnet50.onnx')).toEqual(['resnet50', 1]);
  expect(placed('echo/model.onnx')).toEqual(['echo', 1]);
  expect(placed('echo/3/model.onnx')).toEqual(['echo', 3]);
  expect(placed('echo/3/model.onnx', 'other', 9)).toEqual(['other', 9]);
});

test('a folder whose file is not what its manifest says is refused at once', () => {
  const copy = folderWith({});
  cpSync(versionFolder, copy, { recursive: true });
  writeFileSync(join(copy, 'model.onnx'), identityModel());
  expect(() => Model.fromAsset(copy)).toThrow(
    /MANIFEST_INVALID .*'model.onnx' has SHA-256 [0-9a-f]{64}, the file beside it has/,
  );
});

test('a folder is the version that its manifest says, whatever the author says', () => {
  expect(() => Model.fromAsset(versionFolder, { name: 'letters' })).toThrow("describes model 'digits', not 'letters'");
  expect(() => Model.fromAsset(versionFolder, { version: 8 })).toThrow('describes version 7, not 8');
});

test('what is no model is refused with the reason', () => {
  const folder = folderWith({ 'text.onnx': 'not a model' });
  expect(() => Model.fromAsset(join(folder, 'text.onnx'))).toThrow(/text\.onnx: /);
  expect(() => Model.fromAsset(join(folder, 'absent.onnx'))).toThrow('FILE_MISSING');
  expect(() => Model.fromAsset(folder)).toThrow(
    /MANIFEST_INVALID .*manifest\.json: does not exist; slipway model publish writes it/,
  );
});

test('a model in a bucket needs a version, and the manifest must be its own', () => {
  const models = new ModelBucket(newStack(), 'Models');
  expect(() => Model.fromBucket(models, 'digits', {})).toThrow('MODEL_VERSION_INVALID digits.version: must be given');
  expect(() => Model.fromBucket(models, 'letters', { manifest })).toThrow("describes model 'digits', not 'letters'");
  expect(() => Model.fromBucket(models, 'digits', { manifest, version: 2 })).toThrow('got 2, but');
  expect(() => Model.fromBucket(models, 'digits', { manifest: 'absent.json' })).toThrow('MANIFEST_INVALID absent.json');
});
