import { Duration } from 'aws-cdk-lib';
import { Exposure, InferenceService, Model, Rollout, RuntimeImage, Waf } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { clusterOf, newSharedListener, serve } from '../support/services';
import { DIGITS, newCluster, newFargateService, newGpuService, newStack } from '../support/stacks';

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
      "LoadBalancer",
      "TargetGroup",
      "Alarms",
      "Service",
      "Dashboard",
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
      "LoadBalancer",
      "TargetGroup",
      "Service",
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

test('the ids of a public service that shifts traffic and tests it', () => {
  const stack = newStack();
  const { service } = serve(stack, {
    grpc: true,
    exposure: Exposure.public({ waf: Waf.managed() }),
    rollout: Rollout.canary({ percent: 10, bake: Duration.minutes(10), smokeTest: true }),
  });
  expect(idsOf(service)).toMatchInlineSnapshot(`
    [
      "Logs",
      "TaskRole",
      "ReadModels<digest>",
      "Models",
      "TaskDefinition",
      "LinuxParameters",
      "SecurityGroup",
      "LoadBalancer",
      "TargetGroup",
      "AlternateTargetGroup",
      "GrpcTargetGroup",
      "AlternateGrpcTargetGroup",
      "GrpcRule",
      "ProductionRule",
      "TestListener",
      "TestGrpcRule",
      "TestRule",
      "WebAcl",
      "WebAclAssociation",
      "Alarms",
      "SmokeTest",
      "Service",
      "InfrastructureRole",
      "Dashboard",
    ]
  `);
  expect(idsOf(service.smokeTest!)).toMatchInlineSnapshot(`
    [
      "SecurityGroup",
      "Logs",
      "Role",
      "Function",
      "HookRole",
    ]
  `);
});

test('the ids of a service on a shared listener', () => {
  const stack = newStack();
  const listener = newSharedListener(stack);
  const service = newFargateService(stack, {
    cluster: clusterOf(stack),
    listener,
    priority: 1,
    hostName: 'digits.example',
    grpc: true,
  });
  expect(idsOf(service)).toMatchInlineSnapshot(`
    [
      "Logs",
      "TaskRole",
      "ReadModels<digest>",
      "Models",
      "TaskDefinition",
      "LinuxParameters",
      "SecurityGroup",
      "TargetGroup",
      "GrpcTargetGroup",
      "GrpcRule",
      "ProductionRule",
      "Alarms",
      "Service",
      "Dashboard",
    ]
  `);
});
