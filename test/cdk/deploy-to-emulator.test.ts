import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GetBucketEncryptionCommand, HeadObjectCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { startMotoServer, type MotoServer } from '../support/moto-server';
import { toolOnPath } from '../support/tools';
import { cdk, emptyFolder } from './support/cdk-cli';
import { DIGEST } from './support/stacks';

const run = promisify(execFile);
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

function s3(): S3Client {
  return new S3Client({ endpoint: moto!.endpoint, region: REGION, credentials: CREDENTIALS, forcePathStyle: true });
}

/** Asks the AWS command line, which speaks every service's protocol. */
async function aws(...arguments_: string[]): Promise<any> {
  const { stdout } = await run(toolOnPath('aws')!, [...arguments_, '--output', 'json'], {
    env: { ...process.env, ...environment() },
  });
  return JSON.parse(stdout);
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

function needsEmulator(ctx: TestContext, ...tools: string[]): void {
  for (const tool of ['moto_server', ...tools]) {
    if (toolOnPath(tool) === undefined) ctx.skip(`${tool} is not on the PATH`);
  }
}

test('cdk bootstrap and cdk deploy bring up all three stacks', async (ctx) => {
  needsEmulator(ctx, 'aws');
  const { Stacks } = await aws('cloudformation', 'describe-stacks');
  const states = Object.fromEntries(Stacks.map((stack: any) => [stack.StackName, stack.StackStatus]));
  for (const stack of STACKS) expect(states[stack]).toBe('CREATE_COMPLETE');
});

test('the task definition of the GPU service asks for a GPU and carries health check, limits and image digest', async (ctx) => {
  needsEmulator(ctx, 'aws');
  const { taskDefinitionArns } = await aws('ecs', 'list-task-definitions');
  const arn = taskDefinitionArns.find((each: string) => each.includes('/DigitsGpu'));
  const { taskDefinition } = await aws('ecs', 'describe-task-definition', '--task-definition', arn);
  const [container] = taskDefinition.containerDefinitions;
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
  const environment = Object.fromEntries(container.environment.map((row: any) => [row.name, row.value]));
  expect(JSON.parse(environment.SLIPWAY_MODELS)).toEqual([
    { name: 'digits', version: 1, maxBatchSize: 64, folder: `s3://slipway-models-${ACCOUNT}-${REGION}/digits/1/` },
  ]);
});

test('the model of the CPU service is in the asset bucket, under the very address that a replica is told', async (ctx) => {
  needsEmulator(ctx, 'aws');
  const { taskDefinitionArns } = await aws('ecs', 'list-task-definitions');
  const arn = taskDefinitionArns.find((each: string) => !each.includes('/DigitsGpu'));
  const { taskDefinition } = await aws('ecs', 'describe-task-definition', '--task-definition', arn);
  const row = taskDefinition.containerDefinitions[0].environment.find((each: any) => each.name === 'SLIPWAY_MODELS');
  const [file] = JSON.parse(row.value)[0].files;
  const { hostname, pathname } = new URL(file.uri);
  const head = await s3().send(new HeadObjectCommand({ Bucket: hostname, Key: pathname.slice(1) }));
  expect(head.ContentLength).toBe(file.bytes);
});

test('both target groups check readiness', async (ctx) => {
  needsEmulator(ctx, 'aws');
  const { TargetGroups } = await aws('elbv2', 'describe-target-groups');
  expect(TargetGroups).toHaveLength(2);
  for (const group of TargetGroups) {
    expect(group).toMatchObject({ HealthCheckPath: '/readyz', TargetType: 'ip', Port: 8080, Protocol: 'HTTP' });
  }
  const { LoadBalancers } = await aws('elbv2', 'describe-load-balancers');
  for (const balancer of LoadBalancers) expect(balancer.Scheme).toBe('internal');
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
  needsEmulator(ctx, 'aws');
  const wanted = new Set<string>();
  const created = new Set<string>();
  for (const stack of STACKS) {
    const template = JSON.parse(readFileSync(join(output, `${stack}.template.json`), 'utf8'));
    Object.values<any>(template.Resources).forEach(({ Type }) => wanted.add(Type));
    const { StackResources } = await aws('cloudformation', 'describe-stack-resources', '--stack-name', stack);
    StackResources.forEach(({ ResourceType }: any) => created.add(ResourceType));
  }
  const skipped = [...wanted].filter((type) => !created.has(type)).sort();
  console.log(`moto created ${created.size} resource types and passed over ${skipped.length}: ${skipped.join(', ')}`);
  for (const type of ['AWS::ECS::Service', 'AWS::ECS::TaskDefinition', 'AWS::S3::Bucket', 'AWS::ECR::Repository']) {
    expect(created).toContain(type);
  }
});
