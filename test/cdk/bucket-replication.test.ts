import { Template } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Stack } from 'aws-cdk-lib';
import { ModelBucket, type ModelBucketProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { evaluate } from './support/evaluate-template';
import { describeWithAndWithoutFlags, newStack, resourcesOf } from './support/stacks';

const MODELS = 'arn:aws:s3:::models';
const COPIES = 'arn:aws:s3:::copies';
const copies = (stack: Stack): s3.IBucket => s3.Bucket.fromBucketArn(stack, 'Copies', COPIES);
const copyKey = (stack: Stack): kms.IKey =>
  kms.Key.fromKeyArn(stack, 'CopyKey', 'arn:aws:kms:eu-central-1:111122223333:key/1');

describeWithAndWithoutFlags('A model bucket with copies', (newStack) => {
  function synthesize(propsIn: (stack: Stack) => ModelBucketProps) {
    const stack = newStack();
    new ModelBucket(stack, 'Models', propsIn(stack));
    const template = Template.fromStack(stack);
    const names = {
      ...Object.fromEntries(resourcesOf(template, 'AWS::S3::Bucket').map(({ id }) => [`${id}.Arn`, MODELS])),
      ...Object.fromEntries(resourcesOf(template, 'AWS::IAM::Role').map(({ id }) => [`${id}.Arn`, 'role'])),
      ...Object.fromEntries(resourcesOf(template, 'AWS::KMS::Key').map(({ id }) => [`${id}.Arn`, 'key'])),
    };
    const [bucket] = resourcesOf(template, 'AWS::S3::Bucket');
    const [policy] = resourcesOf(template, 'AWS::IAM::Policy');
    return {
      template,
      replication: evaluate(bucket!.Properties.ReplicationConfiguration, names),
      statements: (evaluate(policy!.Properties.PolicyDocument.Statement, names) as any[]).map(
        ({ Action, Resource }) => ({ Action, Resource }),
      ),
    };
  }

  test('copies what is new under the prefixes of the models, and no deletion', () => {
    const { replication } = synthesize((stack) => ({
      replicateTo: [{ bucket: copies(stack), models: ['digits', 'letters'] }],
    }));
    expect(replication.Role).toBe('role');
    expect(replication.Rules).toEqual(
      ['digits/', 'letters/'].map((prefix, i) => ({
        Id: `slipway-${i}`,
        Status: 'Enabled',
        Priority: i,
        Filter: { Prefix: prefix },
        DeleteMarkerReplication: { Status: 'Disabled' },
        Destination: { Bucket: COPIES },
      })),
    );
  });

  test('its role reads and writes those prefixes alone, and may delete nothing', () => {
    const { statements } = synthesize((stack) => ({
      replicateTo: [{ bucket: copies(stack), models: ['digits'] }],
    }));
    expect(statements).toEqual([
      { Action: ['s3:GetReplicationConfiguration', 's3:ListBucket'], Resource: MODELS },
      {
        Action: ['s3:GetObjectVersionAcl', 's3:GetObjectVersionForReplication', 's3:GetObjectVersionTagging'],
        Resource: `${MODELS}/digits/*`,
      },
      { Action: ['s3:ReplicateObject', 's3:ReplicateTags'], Resource: `${COPIES}/digits/*` },
    ]);
  });

  test('everything is copied where no model is named', () => {
    const { replication, statements } = synthesize((stack) => ({ replicateTo: [{ bucket: copies(stack) }] }));
    expect(replication.Rules[0].Filter).toEqual({ Prefix: '' });
    expect(statements[1]!.Resource).toBe(`${MODELS}/*`);
  });

  test('what a key encrypts is encrypted by the key of the copy', () => {
    const { replication, statements } = synthesize((stack) => ({
      encryptionKey: new kms.Key(stack, 'Key'),
      replicateTo: [{ bucket: copies(stack), key: copyKey(stack) }],
    }));
    const [rule] = replication.Rules;
    expect(rule.SourceSelectionCriteria).toEqual({ SseKmsEncryptedObjects: { Status: 'Enabled' } });
    expect(rule.Destination.EncryptionConfiguration).toEqual({
      ReplicaKmsKeyID: 'arn:aws:kms:eu-central-1:111122223333:key/1',
    });
    expect(statements.slice(3)).toEqual([
      { Action: 'kms:Decrypt', Resource: 'key' },
      { Action: ['kms:Encrypt', 'kms:GenerateDataKey'], Resource: 'arn:aws:kms:eu-central-1:111122223333:key/1' },
    ]);
  });

  test('takes no function and no custom resource', () => {
    const { template } = synthesize((stack) => ({ replicateTo: [{ bucket: copies(stack) }] }));
    expect(JSON.stringify(template.toJSON())).not.toMatch(/AWS::Lambda|Custom::/);
  });
});

test('a copy without a key of what a key encrypts is refused: S3 would pass it over in silence', () => {
  const stack = newStack();
  const encryptionKey = new kms.Key(stack, 'Key');
  expect(() => new ModelBucket(stack, 'Models', { encryptionKey, replicateTo: [{ bucket: copies(stack) }] })).toThrow(
    'REPLICA_KEY_MISSING replicateTo[0].key: the bucket has an encryptionKey',
  );
});

test('a model name that would copy more than the model is refused', () => {
  const stack = newStack();
  expect(() => new ModelBucket(stack, 'Models', { replicateTo: [{ bucket: copies(stack), models: ['../'] }] })).toThrow(
    'MODEL_NAME_INVALID',
  );
});
