import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Scaling } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newAsyncService } from '../support/queues';
import { newFargateService, newGpuService, newStack } from '../support/stacks';

test('the ids of the alarms', () => {
  expect(idsOf(newGpuService(newStack()).alarms!)).toMatchInlineSnapshot(`
    [
      "MissingReplicas",
      "ServerErrors",
      "Latency",
      "Saturation",
    ]
  `);
});

test('the ids of a dashboard', () => {
  expect(idsOf(newGpuService(newStack()).dashboard!)).toMatchInlineSnapshot(`
    [
      "Resource",
    ]
  `);
});

test('the ids of an asynchronous service and its alarms', () => {
  const service = newAsyncService(newStack());
  expect(idsOf(service)).toMatchInlineSnapshot(`
    [
      "DeadLetterQueue",
      "Queue",
      "Results",
      "Logs",
      "TaskRole",
      "ReadModels<digest>",
      "Models",
      "WorkRights",
      "TaskDefinition",
      "LinuxParameters",
      "SecurityGroup",
      "Service",
      "QueueScaling",
      "Alarms",
      "Dashboard",
    ]
  `);
  expect(idsOf(service.alarms!)).toMatchInlineSnapshot(`
    [
      "QueueAge",
      "DeadLetters",
    ]
  `);
  expect(idsOf(service.node.findChild('QueueScaling'))).toMatchInlineSnapshot(`
    [
      "Backlog",
      "Waiting",
      "Wake",
      "Idle",
      "Sleep",
    ]
  `);
});

test('the ids of the signals that a service scales on', () => {
  const stack = newStack();
  const scaling = [
    Scaling.saturation(),
    Scaling.cpu({ target: 0.5 }),
    Scaling.requests({ perReplicaPerMinute: 60 }),
    Scaling.schedule('Night', { schedule: Schedule.expression('cron(0 20 * * ? *)'), minReplicas: 1 }),
  ];
  const service = newFargateService(stack, { plaintextInsideVpc: true, scaling });
  expect(idsOf(service).filter((id) => id === 'Requests')).toEqual(['Requests']);
  expect(idsOf(service.scaling.node.findChild('Target'))).toMatchInlineSnapshot(`
    [
      "Resource",
      "Saturation",
      "Cpu",
    ]
  `);
  const gpu = newGpuService(newStack(), { scaling: [Scaling.gpuUtilization({ target: 0.5 })] });
  expect(idsOf(gpu.scaling.node.findChild('Target'))).toMatchInlineSnapshot(`
    [
      "Resource",
      "GpuUtilization",
    ]
  `);
});

test('the ids of a queue’s signal are the same for a service with callers', () => {
  const stack = newStack();
  const scaling = [Scaling.queue({ queue: new sqs.Queue(stack, 'Queue'), messagesPerReplica: 5 })];
  const service = newFargateService(stack, { plaintextInsideVpc: true, scaling, minReplicas: 1 });
  expect(idsOf(service.node.findChild('QueueScaling'))).toEqual(['Backlog', 'Waiting', 'Wake']);
});
