import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Template } from 'aws-cdk-lib/assertions';
import { readEnvironment } from 'slipway';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type Answer, type RunningServer } from '../server/harness/running-server';
import { evaluate } from './support/evaluate-template';
import { newRolledOutService, publishDigits, stateMachineOf, type PublishedDigits } from './support/models';
import { runStates } from './support/run-states';
import { environmentOf, newStack, resourcesOf } from './support/stacks';

// What CloudFormation does in a rollout is to change one parameter, and in a rollback to change it back. So the template is
// evaluated with the one value and with the other, and a real server is given the environment that comes out.
const PARAMETER = 'ModelDigitsFrom3';
const IMAGE = { inputs: [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data: Array(64).fill(7) }] };

let first: PublishedDigits;
let second: PublishedDigits;
let template: Template;

beforeAll(async () => {
  first = await publishDigits(3);
  second = await publishDigits(4, first.repository);
  const stack = newStack();
  newRolledOutService(stack, first.manifestFile);
  template = Template.fromStack(stack);
});

afterAll(() => rmSync(first.repository, { recursive: true, force: true }));

/** The environment of a replica while the parameter has this value. */
function environmentAt(value: string): Record<string, string> {
  const ids = (type: string) => resourcesOf(template, type).map(({ id }) => id);
  const names = {
    [PARAMETER]: value,
    'AWS::Region': 'eu-west-1',
    ...Object.fromEntries(ids('AWS::ECS::Cluster').map((id) => [id, 'prod'])),
    ...Object.fromEntries(ids('AWS::S3::Bucket').map((id) => [id, 'models'])),
  };
  return evaluate(environmentOf(template), names) as Record<string, string>;
}

/** A replica of that revision; its bucket is the folder that the models were published to. */
async function startReplica(value: string): Promise<RunningServer> {
  const { models, contract, maxBodyMiB } = readEnvironment(environmentAt(value));
  expect(contract).toBe(2);
  const repository = pathToFileURL(first.repository).href;
  return startServer({ models: models!.replaceAll('s3://models/', `${repository}/`), maxBodyMiB });
}

/** What the state machine writes into the parameter for a version. */
async function chosenFor(version: number): Promise<string> {
  const manifest = (version === 4 ? second : first).manifest;
  const text = `${JSON.stringify(manifest, undefined, 2)}\n`;
  const running = `3@sha256:${first.manifestSha256}`;
  const { calls } = await runStates(
    stateMachineOf(template),
    { key: `digits/${version}/manifest.json` },
    {
      's3:getObject': () => ({ Body: text, ContentRange: `bytes 0-${text.length - 1}/${text.length}` }),
      'cloudformation:describeStacks': (_, nth) => ({
        Stacks: [
          {
            StackStatus: nth === 1 ? 'UPDATE_COMPLETE' : 'UPDATE_ROLLBACK_COMPLETE',
            RoleARN: 'arn:aws:iam::111122223333:role/exec',
            Parameters: [{ ParameterKey: PARAMETER, ParameterValue: running }],
          },
        ],
      }),
      'cloudformation:updateStack': () => ({}),
    },
  );
  const update = calls.find(({ action }) => action === 'cloudformation:updateStack')!;
  return update.arguments.Parameters[0].ParameterValue as string;
}

const versionOf = (answer: Answer): string => answer.json.model_version as string;

test('what the rollout writes is the digest that publishing said, and the replicas of the new version serve it', async () => {
  const value = await chosenFor(4);
  expect(value).toBe(`4@sha256:${second.manifestSha256}`);
  const replica = await startReplica(value);
  expect((await replica.get('/readyz')).status).toBe(200);
  expect(versionOf(await replica.infer('digits', IMAGE))).toBe('4');
});

test('after a failed rollout the old digest is what the old revision serves, with the old answer', async () => {
  const old = `3@sha256:${first.manifestSha256}`;
  const before = await (await startReplica(old)).infer('digits', IMAGE);
  expect(versionOf(before)).toBe('3');

  // Somebody replaced the manifest after the rollout had read it.
  const value = await chosenFor(4);
  appendFileSync(join(first.repository, 'digits', '4', 'manifest.json'), '\n');
  const failing = await startReplica(value);
  expect((await failing.get('/readyz')).status).toBe(503);
  const [{ reason }] = (await failing.post('/v2/repository/index', '')).json as [{ reason: string }];
  expect(reason).toMatch(new RegExp(`has SHA-256 [0-9a-f]{64}, the deployment expects ${second.manifestSha256}$`));
  expect((await failing.infer('digits', IMAGE)).status).toBe(503);

  const restored = await startReplica(old);
  expect((await restored.get('/readyz')).status).toBe(200);
  expect((await restored.infer('digits', IMAGE)).json.outputs).toEqual(before.json.outputs);
});

test('nothing but what a replica is told changes with the parameter', () => {
  const { Resources } = template.toJSON() as { Resources: Record<string, { Type: string }> };
  const users = Object.values(Resources).filter((resource) =>
    JSON.stringify(resource).includes(`{"Ref":"${PARAMETER}"}`),
  );
  expect(users.map(({ Type }) => Type)).toEqual(['AWS::ECS::TaskDefinition']);
});

test('both versions are readable all along, for the rights are the model’s and not the version’s', () => {
  const [policy] = resourcesOf(template, 'AWS::IAM::Policy').filter(({ id }) => id.includes('ReadModels'));
  const [bucket] = resourcesOf(template, 'AWS::S3::Bucket');
  expect(policy!.Properties.PolicyDocument.Statement[0].Resource).toEqual({
    'Fn::Join': ['', [{ 'Fn::GetAtt': [bucket!.id, 'Arn'] }, '/digits/*']],
  });
});
