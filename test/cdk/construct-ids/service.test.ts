import { InferenceService, Model, RuntimeImage } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { DIGITS, newCluster, newGpuService, newStack } from '../support/stacks';

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
