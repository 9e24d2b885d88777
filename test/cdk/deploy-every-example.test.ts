import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DescribeTaskDefinitionCommand, ECSClient } from '@aws-sdk/client-ecs';
import { startAwsEmulator, type AwsEmulator } from 'slipway/testing';
import { afterAll, beforeAll, describe, expect, test, vi, type TestContext } from 'vitest';
import { toolOnPath } from '../support/tools';
import { connectionTo, deploy, pushed, type DeployedStack } from './support/deployed-example';
import { exampleNames, loadExample } from './support/examples';
import type { Organisation } from './support/organisation';
import { readBack } from './support/read-back';

// moto's CloudFormation creates what it knows and passes over the rest, and neither updates nor deletes most stacks: so this
// shows that the CLI, the uploads, the parameters and the references work, and that what was created is what the template
// says. It shows no behaviour of AWS. A new example is found by itself.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

/** Examples that the emulator cannot take, and why. */
const NOT_TAKEN: Readonly<Record<string, string>> = {
  batch: 'moto answers its compute environments with an internal error',
  eks: 'moto passes over the node group, so that nothing stands to read back',
};

let emulator: AwsEmulator | undefined;
const organisations = new Map<string, Organisation>();
const deployed = new Map<string, readonly DeployedStack[]>();

beforeAll(async () => {
  const program = toolOnPath('moto_server');
  if (program !== undefined) emulator = await startAwsEmulator({ program });
});

afterAll(() => emulator?.stop());

function emulatorFor(ctx: TestContext): AwsEmulator {
  if (emulator === undefined) ctx.skip('moto_server is not on the PATH');
  return emulator;
}

for (const name of exampleNames().filter((each) => !(each in NOT_TAKEN))) {
  describe(name, () => {
    test(`${name}: cdk bootstrap and cdk deploy bring up every stack`, async (ctx) => {
      const stacks = await deploy(await loadExample(name), emulatorFor(ctx), organisations);
      deployed.set(name, stacks);
      expect(stacks.map(({ name: stack, status }) => `${stack} ${status}`)).toEqual(
        stacks.map(({ name: stack }) => `${stack} CREATE_COMPLETE`),
      );
    });

    test(`${name}: what was created is what the templates say, and what was passed over is named`, async (ctx) => {
      const emulator = emulatorFor(ctx);
      const stacks = deployed.get(name);
      if (stacks === undefined) throw new Error('it was not deployed');
      const asked = (await Promise.all(stacks.map((stack) => readBack(stack, emulator)))).flat();
      console.log(
        `${name}: read back ${countOf(asked)}; moto passed over ${countOf(stacks.flatMap(passedOver)) || 'nothing'}`,
      );
      expect(asked.length).toBeGreaterThan(0);
    });
  });
}

test('digits: the model is in the asset bucket, under the very address that a replica is told', async (ctx) => {
  const connection = connectionTo(emulatorFor(ctx));
  const stack = deployed.get('digits')!.find(({ name }) => name === 'Digits')!;
  const [file] = (await modelsOf(stack, connection))[0].files;
  const { hostname, pathname } = new URL(file.uri);
  const s3 = new S3Client({ ...connection, forcePathStyle: true });
  const head = await s3.send(new HeadObjectCommand({ Bucket: hostname, Key: pathname.slice(1) }));
  expect(head.ContentLength).toBe(file.bytes);
});

test('digits: the GPU service runs the image that whoever deployed it named, with the model that the bucket will hold', async (ctx) => {
  const emulator = emulatorFor(ctx);
  const connection = connectionTo(emulator);
  const stack = deployed.get('digits')!.find(({ name }) => name === 'DigitsGpu')!;
  expect((await serverOf(stack, connection)).image).toBe(pushed(emulator));
  const bucket = `slipway-models-${emulator.account}-${connection.region}`;
  expect(await modelsOf(stack, connection)).toEqual([
    { name: 'digits', version: 1, maxBatchSize: 64, folder: `s3://${bucket}/digits/1/` },
  ]);
});

async function serverOf(stack: DeployedStack, connection: ReturnType<typeof connectionTo>) {
  const [id] = Object.entries(stack.resources).find(([, { Type }]) => Type === 'AWS::ECS::TaskDefinition')!;
  const taskDefinition = stack.created[id]!.PhysicalResourceId!;
  const answer = await new ECSClient(connection).send(new DescribeTaskDefinitionCommand({ taskDefinition }));
  return answer.taskDefinition!.containerDefinitions![0]!;
}

/** What the server of a stack is told about its models, with every reference resolved. */
async function modelsOf(stack: DeployedStack, connection: ReturnType<typeof connectionTo>): Promise<any> {
  const { environment } = await serverOf(stack, connection);
  return JSON.parse(environment!.find(({ name }) => name === 'SLIPWAY_MODELS')!.value!);
}

function passedOver({ resources, created }: DeployedStack): readonly string[] {
  return Object.entries(resources).flatMap(([id, { Type }]) => (id in created ? [] : [Type]));
}

function countOf(types: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts]
    .sort()
    .map(([type, count]) => `${count} × ${type.replace(/^AWS::/, '')}`)
    .join(', ');
}
