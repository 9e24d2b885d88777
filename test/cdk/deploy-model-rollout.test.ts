import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
  waitUntilStackCreateComplete,
} from '@aws-sdk/client-cloudformation';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { DescribeStateMachineCommand, ListStateMachinesCommand, SFNClient } from '@aws-sdk/client-sfn';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { createApp } from '../../cdk/examples/model-rollout/app';
import { startMotoServer, type MotoServer } from '../support/moto-server';
import { toolOnPath } from '../support/tools';
import { emptyFolder } from './support/cdk-cli';
import { runStates } from './support/run-states';
import { DIGEST } from './support/stacks';

const ACCOUNT = '123456789012';
const REGION = 'us-east-1';
const BUCKET = `slipway-model-rollout-${ACCOUNT}-${REGION}`;

// The templates go to moto as they are, without the CLI: what is created and what moto reads back shows that references
// and parameters hold. It shows no behaviour of AWS, and moto runs no state machine: runStates does, on what it gives back.
let moto: MotoServer | undefined;

function connection() {
  return { endpoint: moto!.endpoint, region: REGION, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
}

/** moto knows no alarms, and refuses a dashboard that names them. */
function withoutDashboards({ Resources, ...template }: any): object {
  const kept = Object.entries<any>(Resources).filter(([, { Type }]) => Type !== 'AWS::CloudWatch::Dashboard');
  return { ...template, Resources: Object.fromEntries(kept) };
}

async function deploy(name: string, template: object, parameters: Record<string, string> = {}): Promise<void> {
  const client = new CloudFormationClient(connection());
  await client.send(
    new CreateStackCommand({
      StackName: name,
      TemplateBody: JSON.stringify(withoutDashboards(template)),
      Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
      Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'],
    }),
  );
  await waitUntilStackCreateComplete({ client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { StackName: name });
}

beforeAll(async () => {
  const program = toolOnPath('moto_server');
  if (program === undefined) return;
  moto = await startMotoServer(program);
  // What `cdk bootstrap` leaves, as far as templates ask for it.
  const version = { Name: '/cdk-bootstrap/hnb659fds/version', Value: '25', Type: 'String' } as const;
  await new SSMClient(connection()).send(new PutParameterCommand(version));
  const assembly = createApp({ outdir: emptyFolder(), analyticsReporting: false }).synth();
  await deploy('ModelRolloutStores', assembly.getStackByName('ModelRolloutStores').template as object);
  const image = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/slipway-model-rollout@${DIGEST}`;
  await deploy('ModelRollout', assembly.getStackByName('ModelRollout').template as object, { Image: image });
});

afterAll(() => moto?.stop());

function needsEmulator(ctx: TestContext): void {
  if (moto === undefined) ctx.skip('moto_server is not on the PATH');
}

test('the bucket is there, under the name that rule and replicas know it by', async (ctx) => {
  needsEmulator(ctx);
  const client = new S3Client({ ...connection(), forcePathStyle: true });
  await expect(client.send(new HeadBucketCommand({ Bucket: BUCKET }))).resolves.toBeDefined();
});

test('the stack tells the version that runs, in the very form that the state machine reads', async (ctx) => {
  needsEmulator(ctx);
  const client = new CloudFormationClient(connection());
  const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: 'ModelRollout' }));
  const { definition } = await theStateMachine();

  // What moto says of the stack, with the role that `cdk deploy` would have given it.
  const running = { ...Stacks![0]!, RoleARN: `arn:aws:iam::${ACCOUNT}:role/exec` };
  const { end } = await runStates(
    JSON.parse(definition),
    { key: 'digits/1/manifest.json' },
    {
      's3:getObject': ({ Bucket, Key }) => {
        expect([Bucket, Key]).toEqual([BUCKET, 'digits/1/manifest.json']);
        const manifest = { schema: 'slipway.dev/model-manifest/v1', name: 'digits', version: 1 };
        const Body = JSON.stringify({ ...manifest, facts: { weightBytes: 1, fileBytes: 1 } });
        return { Body, ContentRange: `bytes 0-${Body.length - 1}/${Body.length}` };
      },
      'cloudformation:describeStacks': ({ StackName }) => {
        expect(StackName).toBe(Stacks![0]!.StackId);
        return { Stacks: [running] };
      },
    },
  );
  expect(end).toMatchObject({ state: 'NotNewer', output: { runningVersion: 1 } });
});

test('the state machine is there, writes its log, and has a role of its own', async (ctx) => {
  needsEmulator(ctx);
  const { roleArn, definition } = await theStateMachine();
  expect(roleArn).toContain('RolloutStateMachineRole');
  expect(JSON.parse(definition).States.UpdateStack.Resource).toBe(
    'arn:aws:states:::aws-sdk:cloudformation:updateStack',
  );
});

async function theStateMachine(): Promise<{ roleArn: string; definition: string }> {
  const client = new SFNClient(connection());
  const { stateMachines } = await client.send(new ListStateMachinesCommand({}));
  expect(stateMachines).toHaveLength(1);
  const described = await client.send(
    new DescribeStateMachineCommand({ stateMachineArn: stateMachines![0]!.stateMachineArn }),
  );
  return { roleArn: described.roleArn!, definition: described.definition! };
}
