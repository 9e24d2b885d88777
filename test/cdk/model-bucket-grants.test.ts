import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { ModelBucket, type ModelBucketGrants } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { evaluate } from './support/evaluate-template';
import { describeWithAndWithoutFlags, newStack, resourcesOf } from './support/stacks';

const MODELS = 'arn:aws:s3:::models';

describeWithAndWithoutFlags('Rights on models', (newStack) => {
  /** What somebody may do, with names for the bucket and its key. */
  function statementsAfter(grant: (grants: ModelBucketGrants, role: iam.Role) => void, withKey = false): unknown[] {
    const stack = newStack();
    const role = new iam.Role(stack, 'Somebody', { assumedBy: new iam.AccountRootPrincipal() });
    const models = new ModelBucket(stack, 'Models', withKey ? { encryptionKey: new kms.Key(stack, 'Key') } : {});
    grant(models.grants, role);
    const template = Template.fromStack(stack);
    const names = {
      ...Object.fromEntries(resourcesOf(template, 'AWS::S3::Bucket').map(({ id }) => [`${id}.Arn`, MODELS])),
      ...Object.fromEntries(resourcesOf(template, 'AWS::KMS::Key').map(({ id }) => [`${id}.Arn`, 'key'])),
    };
    const [policy] = resourcesOf(template, 'AWS::IAM::Policy');
    const statements = evaluate(policy!.Properties.PolicyDocument.Statement, names) as { Effect: string }[];
    return statements.map(({ Effect: _, ...statement }) => statement);
  }

  test('a reader of manifests reads no weights', () => {
    expect(statementsAfter((grants, role) => grants.readManifests(role, 'digits'))).toEqual([
      { Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: `${MODELS}/digits/*/manifest.json` },
    ]);
  });

  test('a publisher writes one model and the index, lists that model, and deletes nothing', () => {
    expect(statementsAfter((grants, role) => grants.publishModel(role, 'digits'))).toEqual([
      { Action: ['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject'], Resource: `${MODELS}/digits/*` },
      { Action: 's3:ListBucket', Resource: MODELS, Condition: { StringLike: { 's3:prefix': 'digits/*' } } },
      { Action: ['s3:GetObject', 's3:PutObject'], Resource: `${MODELS}/slipway-index.json` },
    ]);
  });

  test('whoever publishes to a bucket with a key encrypts with it', () => {
    expect(statementsAfter((grants, role) => grants.publishModel(role, 'digits'), true)).toContainEqual({
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Resource: 'key',
    });
    expect(statementsAfter((grants, role) => grants.readManifests(role, 'digits'), true)).toContainEqual({
      Action: 'kms:Decrypt',
      Resource: 'key',
    });
  });
});

test('a model name that would reach beyond its prefix is refused for every right', () => {
  const stack = newStack();
  const role = new iam.Role(stack, 'Somebody', { assumedBy: new iam.AccountRootPrincipal() });
  const { grants } = new ModelBucket(stack, 'Models');
  for (const name of ['*', 'digits/1', '../other', '']) {
    expect(() => grants.readModel(role, name)).toThrow('MODEL_NAME_INVALID');
    expect(() => grants.readManifests(role, name)).toThrow('MODEL_NAME_INVALID');
    expect(() => grants.publishModel(role, name)).toThrow('MODEL_NAME_INVALID');
  }
});
