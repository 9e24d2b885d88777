import { RemovalPolicy } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { ImageRepository, type ImageRepositoryProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { describeWithAndWithoutFlags, DIGEST, newStack, theOnly } from './support/stacks';

describeWithAndWithoutFlags('ImageRepository', (newStack) => {
  function synthesize(props?: ImageRepositoryProps): Template {
    const stack = newStack();
    new ImageRepository(stack, 'Images', props);
    return Template.fromStack(stack);
  }

  test('has tags that mean one image for ever, and scans what is pushed', () => {
    const { Properties } = theOnly(synthesize(), 'AWS::ECR::Repository');
    expect(Properties.ImageTagMutability).toBe('IMMUTABLE');
    expect(Properties.ImageScanningConfiguration).toEqual({ ScanOnPush: true });
  });

  test('encrypts with the key it is given; without one ECR encrypts by itself', () => {
    const stack = newStack();
    new ImageRepository(stack, 'Images', { encryptionKey: new kms.Key(stack, 'Key') });
    const { EncryptionConfiguration } = theOnly(Template.fromStack(stack), 'AWS::ECR::Repository').Properties;
    expect(EncryptionConfiguration).toEqual({
      EncryptionType: 'KMS',
      KmsKey: { 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] },
    });
  });

  test('expires what no tag names after two weeks, and nothing else', () => {
    const { LifecyclePolicy } = theOnly(synthesize(), 'AWS::ECR::Repository').Properties;
    const { rules } = JSON.parse(LifecyclePolicy.LifecyclePolicyText) as { rules: { selection: object }[] };
    expect(rules.map(({ selection }) => selection)).toEqual([
      { tagStatus: 'untagged', countType: 'sinceImagePushed', countNumber: 14, countUnit: 'days' },
    ]);
  });

  test('is kept when its stack is deleted, unless the author says otherwise', () => {
    expect(theOnly(synthesize(), 'AWS::ECR::Repository').DeletionPolicy).toBe('Retain');
    const deleted = theOnly(synthesize({ removalPolicy: RemovalPolicy.DESTROY }), 'AWS::ECR::Repository');
    expect(deleted.DeletionPolicy).toBe('Delete');
    expect(deleted.Properties.EmptyOnDelete).toBe(true);
  });

  test('lets a puller pull and not push', () => {
    const stack = newStack();
    const role = new iam.Role(stack, 'Puller', { assumedBy: new iam.AccountRootPrincipal() });
    new ImageRepository(stack, 'Images').grantPull(role);
    const { Statement } = theOnly(Template.fromStack(stack), 'AWS::IAM::Policy').Properties.PolicyDocument;
    const actions = Statement.flatMap((statement: { Action: unknown }) => statement.Action).sort();
    expect(actions).toEqual([
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:GetAuthorizationToken',
      'ecr:GetDownloadUrlForLayer',
    ]);
  });
});

describeWithAndWithoutFlags('An image repository that is told more', (newStack) => {
  test('lets the tags move that the author names, and no other', () => {
    const stack = newStack();
    new ImageRepository(stack, 'Images', { mutableTags: ['dev-*', 'latest'] });
    expect(theOnly(Template.fromStack(stack), 'AWS::ECR::Repository').Properties).toMatchObject({
      ImageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
      ImageTagMutabilityExclusionFilters: [
        { ImageTagMutabilityExclusionFilterType: 'WILDCARD', ImageTagMutabilityExclusionFilterValue: 'dev-*' },
        { ImageTagMutabilityExclusionFilterType: 'WILDCARD', ImageTagMutabilityExclusionFilterValue: 'latest' },
      ],
    });
  });

  test('keeps as many tagged images as it is told, after the untagged ones', () => {
    const stack = newStack();
    new ImageRepository(stack, 'Images', { keepTaggedImages: 50 });
    const { LifecyclePolicy } = theOnly(Template.fromStack(stack), 'AWS::ECR::Repository').Properties;
    const { rules } = JSON.parse(LifecyclePolicy.LifecyclePolicyText) as { rules: { selection: object }[] };
    expect(rules.map(({ selection }) => selection)).toEqual([
      { tagStatus: 'untagged', countType: 'sinceImagePushed', countNumber: 14, countUnit: 'days' },
      { tagStatus: 'tagged', tagPatternList: ['*'], countType: 'imageCountMoreThan', countNumber: 50 },
    ]);
  });

  test('that exists already gives images by digest, and its rights', () => {
    const stack = newStack();
    const images = ImageRepository.fromRepository(
      stack,
      'Images',
      ecr.Repository.fromRepositoryName(stack, 'Repository', 'slipway'),
    );
    const role = new iam.Role(stack, 'Builder', { assumedBy: new iam.AccountRootPrincipal() });
    images.grantPush(role);
    const needs = { executionProvider: 'cpu', architecture: 'amd64', preset: 'development' } as const;
    const { imageUri } = images.imageByDigest(DIGEST).uri(stack, needs);
    expect(stack.resolve(imageUri)).toEqual(stack.resolve(`${images.uri}@${DIGEST}`));
    const { Statement } = theOnly(Template.fromStack(stack), 'AWS::IAM::Policy').Properties.PolicyDocument;
    expect(Statement.flatMap((statement: { Action: unknown }) => statement.Action)).toContain('ecr:PutImage');
  });
});

test.each([0, 1.5, 10_001])('keeping %s tagged images is refused', (keepTaggedImages) => {
  expect(() => new ImageRepository(newStack(), 'Images', { keepTaggedImages })).toThrow(
    `NUMBER_INVALID keepTaggedImages: must be a whole number from 1 to 10000, got ${keepTaggedImages}`,
  );
});
