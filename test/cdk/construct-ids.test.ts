import { RemovalPolicy } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { IConstruct } from 'constructs';
import { ImageRepository, InferenceService, Model, ModelBucket, RuntimeImage } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { DIGITS, newCluster, newGpuService, newStack } from './support/stacks';

// The ids below are public API: CloudFormation knows a resource by them, and renaming one replaces somebody's load
// balancer or bucket. What lies below a resource of the CDK is the CDK's.
function idsOf(construct: IConstruct): readonly string[] {
  return construct.node.children.map(({ node }) => node.id.replace(/^ReadModels[0-9a-f]{12}$/, 'ReadModels<digest>'));
}

test('the ids of an inference service on GPU machines', () => {
  const service = newGpuService(newStack());
  expect(idsOf(service)).toMatchInlineSnapshot(`
    [
      "Logs",
      "TaskRole",
      "ReadModels<digest>",
      "Models",
      "TaskDefinition",
      "LinuxParameters",
      "SecurityGroup",
      "Service",
      "LoadBalancer",
      "TargetGroup",
      "Alarms",
    ]
  `);
  expect(idsOf(service.alarms!)).toMatchInlineSnapshot(`
    [
      "MissingReplicas",
      "ServerErrors",
      "Latency",
      "Saturation",
    ]
  `);
  expect(idsOf(service.node.scope!.node.findChild('L4'))).toMatchInlineSnapshot(`
    [
      "Role",
      "SecurityGroup",
      "LaunchTemplate",
      "AutoScalingGroup",
      "CapacityProvider",
    ]
  `);
});

test('the ids of an inference service on Fargate that builds its image', () => {
  const stack = newStack();
  const service = new InferenceService(stack, 'Digits', {
    cluster: newCluster(stack),
    preset: 'development',
    models: [Model.fromAsset(DIGITS)],
    image: RuntimeImage.fromAsset(),
    plaintextInsideVpc: true,
  });
  expect(idsOf(service)).toMatchInlineSnapshot(`
    [
      "Logs",
      "TaskRole",
      "ReadModels<digest>",
      "Models",
      "TaskDefinition",
      "LinuxParameters",
      "Image",
      "SecurityGroup",
      "Service",
      "LoadBalancer",
      "TargetGroup",
    ]
  `);
  const models = service.node.findChild('Models');
  expect(models.node.children.map((model) => [model.node.id, ...idsOf(model)])).toMatchInlineSnapshot(`
    [
      [
        "digits",
        "model.onnx",
      ],
    ]
  `);
});

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
