import { RemovalPolicy } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { ImageRepository, ModelBucket } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
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
