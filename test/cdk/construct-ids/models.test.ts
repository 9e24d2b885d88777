import { RemovalPolicy } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { ImageRegistry, ImageRepository, ModelBucket } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newRolledOutService, publishDigits } from '../support/models';
import { newStack } from '../support/stacks';

test('the ids of the stores, whatever they are told', () => {
  const stack = newStack();
  const encryptionKey = new kms.Key(stack, 'Key');
  const logs = new s3.Bucket(stack, 'Logs');
  const removalPolicy = RemovalPolicy.DESTROY;
  expect(idsOf(new ImageRepository(stack, 'Images'))).toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
  expect(idsOf(new ImageRepository(stack, 'Closed', { encryptionKey, removalPolicy }))).toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
  expect(idsOf(new ModelBucket(stack, 'Models'))).toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
  expect(idsOf(new ModelBucket(stack, 'Logged', { encryptionKey, accessLogsBucket: logs, removalPolicy })))
    .toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
});

test('the ids of a model bucket with copies', () => {
  const stack = newStack();
  const bucket = s3.Bucket.fromBucketName(stack, 'Copies', 'copies');
  expect(idsOf(new ModelBucket(stack, 'Models', { replicateTo: [{ bucket }] }))).toMatchInlineSnapshot(`
    [
      "Resource",
      "Replication",
    ]
  `);
});

test('the ids of the settings of a registry', () => {
  const registry = new ImageRegistry(newStack(), 'Registry', {
    replicateTo: ['us-west-2'],
    enhancedScanning: true,
    pullThrough: [{ prefix: 'hub/team', upstream: 'public.ecr.aws' }],
  });
  expect([idsOf(registry), idsOf(registry.node.findChild('PullThrough'))]).toMatchInlineSnapshot(`
    [
      [
        "Replication",
        "Scanning",
        "PullThrough",
      ],
      [
        "hub--team",
      ],
    ]
  `);
});

test('the ids of a rollout, and of the parameter in its stack', async () => {
  const stack = newStack();
  const { manifestFile } = await publishDigits(3);
  const { rollout } = newRolledOutService(stack, manifestFile, { notifications: new sns.Topic(stack, 'OnCall') });
  expect(idsOf(rollout)).toMatchInlineSnapshot(`
    [
      "Logs",
      "StateMachine",
      "Rule",
      "Notification",
    ]
  `);
  expect(idsOf(stack).filter((id) => id.startsWith('Model'))).toMatchInlineSnapshot(`
    [
      "Models",
      "ModelDigitsFrom3",
    ]
  `);
});
