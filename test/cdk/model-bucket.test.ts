import { RemovalPolicy } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { ModelBucket, type ModelBucketProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { describeWithAndWithoutFlags, newStack, theOnly } from './support/stacks';

describeWithAndWithoutFlags('ModelBucket', (newStack) => {
  function synthesize(props?: ModelBucketProps): Template {
    const stack = newStack();
    new ModelBucket(stack, 'Models', props);
    return Template.fromStack(stack);
  }

  test('blocks every kind of public access even when the caller passes no props', () => {
    expect(theOnly(synthesize(), 'AWS::S3::Bucket').Properties.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
  });

  test('has no access control lists: its owner owns every object', () => {
    expect(theOnly(synthesize(), 'AWS::S3::Bucket').Properties.OwnershipControls.Rules).toEqual([
      { ObjectOwnership: 'BucketOwnerEnforced' },
    ]);
  });

  test("encrypts with S3's own keys by default", () => {
    const [rule] = theOnly(synthesize(), 'AWS::S3::Bucket').Properties.BucketEncryption
      .ServerSideEncryptionConfiguration;
    expect(rule.ServerSideEncryptionByDefault).toEqual({ SSEAlgorithm: 'AES256' });
  });

  test('encrypts with the key it is given, one data key per bucket', () => {
    const stack = newStack();
    new ModelBucket(stack, 'Models', { encryptionKey: new kms.Key(stack, 'Key') });
    const [rule] = theOnly(Template.fromStack(stack), 'AWS::S3::Bucket').Properties.BucketEncryption
      .ServerSideEncryptionConfiguration;
    expect(rule.ServerSideEncryptionByDefault.SSEAlgorithm).toBe('aws:kms');
    expect(rule.BucketKeyEnabled).toBe(true);
  });

  test('refuses requests without TLS, and TLS older than 1.2', () => {
    const { Statement } = theOnly(synthesize(), 'AWS::S3::BucketPolicy').Properties.PolicyDocument;
    const denied = Statement.filter((statement: { Effect: string }) => statement.Effect === 'Deny');
    expect(denied.map((statement: { Condition: unknown }) => statement.Condition)).toEqual([
      { Bool: { 'aws:SecureTransport': 'false' } },
      { NumericLessThan: { 's3:TlsVersion': 1.2 } },
    ]);
    for (const statement of denied) expect(statement).toMatchObject({ Action: 's3:*', Principal: { AWS: '*' } });
  });

  test('keeps old versions for 90 days and clears away what uploads left', () => {
    const { Properties } = theOnly(synthesize(), 'AWS::S3::Bucket');
    expect(Properties.VersioningConfiguration).toEqual({ Status: 'Enabled' });
    const [rule] = Properties.LifecycleConfiguration.Rules;
    expect(rule.NoncurrentVersionExpiration).toEqual({ NoncurrentDays: 90 });
    expect(rule.AbortIncompleteMultipartUpload).toEqual({ DaysAfterInitiation: 7 });
  });

  test('is kept when its stack is deleted, with the policy that guards it, unless the author says otherwise', () => {
    const kept = synthesize();
    expect(theOnly(kept, 'AWS::S3::Bucket').DeletionPolicy).toBe('Retain');
    expect(theOnly(kept, 'AWS::S3::BucketPolicy').DeletionPolicy).toBe('Retain');
    const deleted = synthesize({ removalPolicy: RemovalPolicy.DESTROY });
    expect(theOnly(deleted, 'AWS::S3::Bucket').DeletionPolicy).toBe('Delete');
    expect(theOnly(deleted, 'AWS::S3::BucketPolicy').DeletionPolicy).toBe('Delete');
  });

  test('brings no Lambda function and no custom resource', () => {
    const types = Object.values(synthesize().toJSON().Resources as Record<string, { Type: string }>).map(
      ({ Type }) => Type,
    );
    expect(types.sort()).toEqual(['AWS::S3::Bucket', 'AWS::S3::BucketPolicy']);
  });

  test("lets a reader get objects under one model's prefix, and do nothing else", () => {
    const stack = newStack();
    const role = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
    new ModelBucket(stack, 'Models').grantReadModel(role, 'digits');
    const template = Template.fromStack(stack);
    const { Statement } = theOnly(template, 'AWS::IAM::Policy').Properties.PolicyDocument;
    expect(Statement).toEqual([
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: {
          'Fn::Join': ['', [{ 'Fn::GetAtt': [theOnly(template, 'AWS::S3::Bucket').id, 'Arn'] }, '/digits/*']],
        },
      },
    ]);
  });

  test('lets a reader decrypt, and only decrypt, with the key it is given', () => {
    const stack = newStack();
    const role = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
    const encryptionKey = new kms.Key(stack, 'Key');
    new ModelBucket(stack, 'Models', { encryptionKey }).grantReadModel(role, 'digits');
    const { Statement } = theOnly(Template.fromStack(stack), 'AWS::IAM::Policy').Properties.PolicyDocument;
    expect(Statement[1]).toEqual({
      Effect: 'Allow',
      Action: 'kms:Decrypt',
      Resource: { 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] },
    });
    expect(Statement).toHaveLength(2);
  });
});

test('a bucket that exists already is granted from in the same way, without touching it', () => {
  const stack = newStack();
  const role = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
  const bucket = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
  bucket.grantReadModel(role, 'digits');
  expect(bucket.modelRepositoryUri).toBe('s3://team-models');
  const template = Template.fromStack(stack);
  template.resourceCountIs('AWS::S3::Bucket', 0);
  template.resourceCountIs('AWS::S3::BucketPolicy', 0);
  const [statement] = theOnly(template, 'AWS::IAM::Policy').Properties.PolicyDocument.Statement;
  expect(JSON.stringify(statement.Resource)).toContain(':s3:::team-models/digits/*');
});

test('a model name that would reach beyond its prefix is refused', () => {
  const stack = newStack();
  const role = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
  const models = new ModelBucket(stack, 'Models');
  for (const name of ['*', 'digits/1', '../other', '']) {
    expect(() => models.grantReadModel(role, name)).toThrow('MODEL_NAME_INVALID');
  }
});
