import * as sns from 'aws-cdk-lib/aws-sns';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { publishDigits } from '../support/models';
import { newPipeline } from '../support/pipelines';
import { newStack } from '../support/stacks';

test('the ids of a pipeline', async () => {
  const { manifestFile } = await publishDigits(3);
  const stack = newStack();
  const notifications = new sns.Topic(stack, 'OnCall');
  const pipeline = newPipeline(stack, manifestFile, { notifications, approval: { topic: notifications } });
  expect([idsOf(pipeline), idsOf(pipeline.node.findChild('Task'))]).toMatchInlineSnapshot(`
    [
      [
        "Task",
        "PublishTask",
        "Logs",
        "StateMachine",
        "Rule",
        "Notification",
      ],
      [
        "Logs",
        "SecurityGroup",
        "TaskRole",
        "TaskDefinition",
        "LinuxParameters",
      ],
    ]
  `);
});
