import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import {
  DescribeTaskDefinitionCommand,
  ECSClient,
  ListTaskDefinitionsCommand,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetBucketEncryptionCommand, HeadObjectCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { startMotoServer, type MotoServer } from '../support/moto-server';
import { toolOnPath } from '../support/tools';
import { cdk, emptyFolder } from './support/cdk-cli';
import { DIGEST } from './support/stacks';

const STACKS = ['Digits', 'DigitsStores', 'DigitsGpu'];
const ACCOUNT = '123456789012';
const REGION = 'us-east-1';
// What `slipway image push` prints.
const PUSHED = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/slipway@${DIGEST}`;
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

// moto's CloudFormation creates what it knows and passes over the rest, so this shows that the CLI, the uploads, the
// parameters and the references work, and that what was created is what the plan says. It shows no behaviour of AWS.
let moto: MotoServer | undefined;
const output = emptyFolder();

function environment(): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: moto!.endpoint,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

function connection() {
  return { endpoint: moto!.endpoint, region: REGION, credentials: CREDENTIALS };
}

function s3(): S3Client {
  return new S3Client({ ...connection(), forcePathStyle: true });
}

async function taskDefinitionOf(stack: 'Digits' | 'DigitsGpu'): Promise<TaskDefinition> {
  const ecs = new ECSClient(connection());
  const { taskDefinitionArns = [] } = await ecs.send(new ListTaskDefinitionsCommand({}));
  const arn = taskDefinitionArns.find((each) => each.includes('/DigitsGpu') === (stack === 'DigitsGpu'));
  const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn! }));
  return taskDefinition!;
}

beforeAll(async () => {
  const program = toolOnPath('moto_server');
  if (program === undefined) return;
  moto = await startMotoServer(program);
  await cdk(['bootstrap', `aws://${ACCOUNT}/${REGION}`, '--output', emptyFolder()], environment());
  // An image asset is built and pushed by a container engine, and moto has no registry to push to: so the CPU service
  // takes its image by digest, as the example lets everybody do who has no engine.
  await cdk(
    [
      'deploy',
      '--all',
      ...['--require-approval', 'never'],
      ...['--output', output],
      ...['--context', `image=${PUSHED}`],
      ...['--parameters', `DigitsGpu:Image=${PUSHED}`],
    ],
    environment(),
  );
});

afterAll(() => moto?.stop());

function needsEmulator(ctx: TestContext): void {
  if (moto === undefined) ctx.skip('moto_server is not on the PATH');
}

test('cdk bootstrap and cdk deploy bring up all three stacks', async (ctx) => {
  needsEmulator(ctx);
  const { Stacks = [] } = await new CloudFormationClient(connection()).send(new DescribeStacksCommand({}));
  const states = Object.fromEntries(Stacks.map((stack) => [stack.StackName, stack.StackStatus]));
  for (const stack of STACKS) expect(states[stack]).toBe('CREATE_COMPLETE');
});

test('the task definition of the GPU service asks for a GPU and carries health check, limits and image digest', async (ctx) => {
  needsEmulator(ctx);
  const [container] = (await taskDefinitionOf('DigitsGpu')).containerDefinitions!;
  expect(container).toMatchObject({
    name: 'server',
    image: PUSHED,
    resourceRequirements: [{ type: 'GPU', value: '1' }],
    readonlyRootFilesystem: true,
    user: '10001:10001',
    memory: 8192,
    healthCheck: { command: ['CMD', 'node', '/app/healthcheck.mjs'] },
    logConfiguration: { logDriver: 'awslogs' },
  });
  const models = container!.environment!.find(({ name }) => name === 'SLIPWAY_MODELS')!;
  expect(JSON.parse(models.value!)).toEqual([
    { name: 'digits', version: 1, maxBatchSize: 64, folder: `s3://slipway-models-${ACCOUNT}-${REGION}/digits/1/` },
  ]);
});

test('the model of the CPU service is in the asset bucket, under the very address that a replica is told', async (ctx) => {
  needsEmulator(ctx);
  const [container] = (await taskDefinitionOf('Digits')).containerDefinitions!;
  const models = container!.environment!.find(({ name }) => name === 'SLIPWAY_MODELS')!;
  const [file] = JSON.parse(models.value!)[0].files;
  const { hostname, pathname } = new URL(file.uri);
  const head = await s3().send(new HeadObjectCommand({ Bucket: hostname, Key: pathname.slice(1) }));
  expect(head.ContentLength).toBe(file.bytes);
});

test('both target groups check readiness', async (ctx) => {
  needsEmulator(ctx);
  const elb = new ElasticLoadBalancingV2Client(connection());
  const { TargetGroups } = await elb.send(new DescribeTargetGroupsCommand({}));
  expect(TargetGroups).toHaveLength(2);
  for (const group of TargetGroups!) {
    expect(group).toMatchObject({ HealthCheckPath: '/readyz', TargetType: 'ip', Port: 8080, Protocol: 'HTTP' });
  }
  const { LoadBalancers } = await elb.send(new DescribeLoadBalancersCommand({}));
  for (const balancer of LoadBalancers!) expect(balancer.Scheme).toBe('internal');
});

test('the model bucket is encrypted', async (ctx) => {
  needsEmulator(ctx);
  const client = s3();
  const { Buckets } = await client.send(new ListBucketsCommand({}));
  const Bucket = `slipway-models-${ACCOUNT}-${REGION}`;
  expect(Buckets!.map(({ Name }) => Name)).toContain(Bucket);
  const { ServerSideEncryptionConfiguration } = await client.send(new GetBucketEncryptionCommand({ Bucket }));
  expect(ServerSideEncryptionConfiguration!.Rules![0]!.ApplyServerSideEncryptionByDefault).toEqual({
    SSEAlgorithm: 'AES256',
  });
});

test('says which resource types the emulator passed over', async (ctx) => {
  needsEmulator(ctx);
  const wanted = new Set<string>();
  const created = new Set<string>();
  const cloudFormation = new CloudFormationClient(connection());
  for (const stack of STACKS) {
    const template = JSON.parse(readFileSync(join(output, `${stack}.template.json`), 'utf8'));
    Object.values<any>(template.Resources).forEach(({ Type }) => wanted.add(Type));
    const { StackResources } = await cloudFormation.send(new DescribeStackResourcesCommand({ StackName: stack }));
    StackResources!.forEach(({ ResourceType }) => created.add(ResourceType!));
  }
  const skipped = [...wanted].filter((type) => !created.has(type)).sort();
  console.log(`moto created ${created.size} resource types and passed over ${skipped.length}: ${skipped.join(', ')}`);
  for (const type of ['AWS::ECS::Service', 'AWS::ECS::TaskDefinition', 'AWS::S3::Bucket', 'AWS::ECR::Repository']) {
    expect(created).toContain(type);
  }
});
