import { Duration, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { ModelPipeline, PipelineStep, type ModelPipelineProps } from 'slipway/cdk';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY } from '../../runtime/cli/commands-everywhere';
import { parseArguments } from '../../runtime/cli/arguments';
import { modelPublish } from '../../runtime/cli/model-publish';
import { STEP_COMMANDS } from '../../cdk/cli-commands';
import { publishDigits, type PublishedDigits } from './support/models';
import { newPipeline, pipelineStates } from './support/pipelines';
import { runStates, StateError, type Answers, type Execution } from './support/run-states';
import { describeWithAndWithoutFlags, newStack, resourcesOf } from './support/stacks';

let digits: PublishedDigits;
beforeAll(async () => {
  digits = await publishDigits(3);
});

const INSPECT = ['model', 'inspect', '/tmp/source/model.onnx'];

test('steps run commands that the image has', () => {
  const image = [...COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY].map(({ name }) => name);
  expect(image).toEqual(expect.arrayContaining([...STEP_COMMANDS]));
});

test('what a step may say, the command takes', async () => {
  const evaluate = ['model', 'evaluate', PipelineStep.source(), '--data', PipelineStep.source('rows.jsonl')];
  const gate = PipelineStep.gate('Evaluate', [...evaluate, '--task', 'classification', '--min-accuracy', '95%']);
  const command = await COMMANDS_EVERYWHERE.find(({ name }) => name === 'model evaluate')!.load();
  expect(parseArguments('model evaluate', command, gate.facts.args.slice(2)).text('min-accuracy')).toBe('95%');
  // Labels are not a step's: it may not read them, and what serves is the rollout's to say.
  expect(() => PipelineStep.command('Promote', ['model', 'promote', 's3://models', 'digits', '1', 'stable'])).toThrow(
    'PIPELINE_STEP_UNKNOWN Promote: no step runs',
  );
});

describeWithAndWithoutFlags('ModelPipeline', (newStack) => {
  const make = (props: Partial<ModelPipelineProps> = {}, stack: Stack = newStack()): Template => {
    newPipeline(stack, digits.manifestFile, props);
    return Template.fromStack(stack);
  };
  const statementsOf = (template: Template, role: string): any[] =>
    resourcesOf(template, 'AWS::IAM::Policy')
      .filter(({ id }) => id.startsWith(role))
      .flatMap(({ Properties }) => Properties.PolicyDocument.Statement as any[]);

  test('a candidate starts a run, and the event says its key alone', () => {
    const [rule] = resourcesOf(make(), 'AWS::Events::Rule');
    expect(rule!.Properties.EventPattern).toMatchObject({
      source: ['aws.s3'],
      'detail-type': ['Object Created'],
      detail: { object: { key: ['incoming/digits/model.onnx', { wildcard: 'incoming/digits/*/model.onnx' }] } },
    });
    expect(rule!.Properties.Targets[0].InputTransformer.InputTemplate).toBe('{"key":<detail-object-key>}');
  });

  test('without a trigger there is no rule', () => {
    make({ trigger: 'none' }).resourceCountIs('AWS::Events::Rule', 0);
  });

  test('steps may read candidates and publish this one model, and nothing else', () => {
    const statements = statementsOf(make(), 'PipelineTaskTaskRole');
    const objects = (bucket: string, keys: string): object => ({
      'Fn::Join': ['', [{ 'Fn::GetAtt': [expect.stringMatching(`^${bucket}`), 'Arn'] }, keys]],
    });
    expect(statements.map(({ Action, Resource }) => [[Action].flat(), Resource])).toEqual([
      [['s3:GetObject', 's3:GetObjectVersion'], objects('Candidates', '/incoming/digits/*')],
      [['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject'], objects('Models', '/digits/*')],
      [['s3:ListBucket'], { 'Fn::GetAtt': [expect.stringMatching(/^Models/), 'Arn'] }],
      [['s3:GetObject', 's3:PutObject'], expect.anything()],
    ]);
    expect(statements[2].Condition).toEqual({ StringLike: { 's3:prefix': 'digits/*' } });
    expect(JSON.stringify(statements)).not.toContain('Delete');
  });

  test('the state machine may list two prefixes, run this task in this cluster and start this rollout', () => {
    const statements = statementsOf(make(), 'PipelineStateMachineRoleDefaultPolicy').filter(
      ({ Resource }) => Resource !== '*',
    );
    const actions = statements.map(({ Action }) => [Action].flat());
    expect(actions).toEqual([
      ['s3:ListBucket'],
      ['s3:ListBucket'],
      ['ecs:RunTask'],
      ['ecs:DescribeTasks', 'ecs:StopTask'],
      ['iam:PassRole'],
      ['states:StartExecution'],
      ['states:DescribeExecution', 'states:StopExecution'],
      ['events:DescribeRule', 'events:PutRule', 'events:PutTargets'],
    ]);
    expect(statements[0].Condition).toEqual({ StringLike: { 's3:prefix': 'incoming/digits/*' } });
    expect(statements[1].Condition).toEqual({ StringEquals: { 's3:prefix': 'digits/' } });
    for (const statement of statements.slice(2, 4)) {
      expect(statement.Condition.ArnEquals['ecs:cluster']).toBeDefined();
    }
    expect(statements[2].Resource).toEqual({ Ref: expect.stringMatching(/^PipelineTaskTaskDefinition/) });
    expect(statements[4].Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
    expect(statements[5].Resource).toEqual({ Ref: expect.stringMatching(/^RolloutStateMachine/) });
  });

  test('a task runs the command of the image, unprivileged, on a read-only root, reached by nobody', () => {
    const template = make({ taskSize: { vcpu: 2, memoryMiB: 8_192, storageGiB: 50, architecture: 'arm64' } });
    const { Properties } = resourcesOf(template, 'AWS::ECS::TaskDefinition').find(({ id }) =>
      id.startsWith('Pipeline'),
    )!;
    expect(Properties).toMatchObject({
      Cpu: '2048',
      Memory: '8192',
      EphemeralStorage: { SizeInGiB: 50 },
      RuntimePlatform: { CpuArchitecture: 'ARM64' },
    });
    expect(Properties.ContainerDefinitions).toHaveLength(1);
    expect(Properties.ContainerDefinitions[0]).toMatchObject({
      EntryPoint: ['node', '/app/cli.mjs'],
      User: '10001:10001',
      ReadonlyRootFilesystem: true,
      Privileged: false,
      LinuxParameters: { Capabilities: { Drop: ['ALL'] } },
      MountPoints: [{ ContainerPath: '/tmp', ReadOnly: false, SourceVolume: 'scratch' }],
    });
    const group = resourcesOf(template, 'AWS::EC2::SecurityGroup').find(({ id }) => id.startsWith('Pipeline'))!;
    expect(group.Properties.SecurityGroupIngress).toBeUndefined();
    expect(group.Properties.SecurityGroupEgress).toMatchObject([{ FromPort: 443, ToPort: 443 }]);
  });

  test('who approves may answer and do nothing else, and the question is encrypted where the topic is', () => {
    const stack = newStack();
    const topic = new sns.Topic(stack, 'OnCall', { masterKey: new kms.Key(stack, 'Key') });
    const pipeline = newPipeline(stack, digits.manifestFile, { approval: { topic } });
    pipeline.grantApprove(new iam.Role(stack, 'Lead', { assumedBy: new iam.AccountRootPrincipal() }));
    pipeline.grantStart(new iam.Role(stack, 'Trainer', { assumedBy: new iam.AccountRootPrincipal() }));
    const template = Template.fromStack(stack);
    const machine = { Ref: expect.stringMatching(/^PipelineStateMachine/) };
    expect(statementsOf(template, 'Lead')).toMatchObject([
      { Action: ['states:SendTaskFailure', 'states:SendTaskSuccess'], Resource: machine },
    ]);
    expect(statementsOf(template, 'Trainer')).toMatchObject([{ Action: 'states:StartExecution', Resource: machine }]);
    const actions = statementsOf(template, 'PipelineStateMachineRole').flatMap(({ Action }) => Action);
    expect(actions).toEqual(expect.arrayContaining(['sns:Publish', 'kms:Decrypt', 'kms:GenerateDataKey*']));
  });

  test('runs that fail are told and counted', () => {
    const stack = newStack();
    const pipeline = newPipeline(stack, digits.manifestFile, { notifications: new sns.Topic(stack, 'OnCall') });
    const rules = resourcesOf(Template.fromStack(stack), 'AWS::Events::Rule').map(({ Properties }) => Properties);
    const failure = rules.find(({ EventPattern }) => EventPattern.source[0] === 'aws.states');
    expect(failure.EventPattern.detail.status).toEqual(['FAILED', 'TIMED_OUT', 'ABORTED']);
    expect(pipeline.metricFailed().metricName).toBe('ExecutionsFailed');
    expect(ModelPipeline.isModelPipeline(pipeline)).toBe(true);
    expect(ModelPipeline.isModelPipeline(stack)).toBe(false);
  });

  test('there is no function', () => {
    const template = make();
    template.resourceCountIs('AWS::Lambda::Function', 0);
    expect(JSON.stringify(template.toJSON())).not.toContain('Custom::');
  });
});

describe('a run', () => {
  const KEY = 'incoming/digits/2026-11-22/model.onnx';
  const FILES = [
    { Key: 'incoming/digits/2026-11-22/', ETag: '"0"', Size: 0 },
    { Key: KEY, ETag: '"a"', Size: 1_000 },
    { Key: 'incoming/digits/2026-11-22/weights.bin', ETag: '"b"', Size: 2_000 },
  ];
  const versions = (...numbers: (number | string)[]): object => ({
    CommonPrefixes: numbers.map((each) => ({ Prefix: `digits/${each}/` })),
  });
  const exited = (ExitCode: number): object => ({ Containers: [{ Name: 'slipway', ExitCode }] });

  const run = (
    answers: Answers = {},
    props: Partial<ModelPipelineProps> | ((stack: Stack) => Partial<ModelPipelineProps>) = {},
    input: unknown = { key: KEY },
  ): Promise<Execution> => {
    const stack = newStack();
    newPipeline(stack, digits.manifestFile, typeof props === 'function' ? props(stack) : props);
    return runStates(pipelineStates(Template.fromStack(stack)), input, {
      's3:listObjectsV2': ({ Bucket }) =>
        Bucket === 'candidates' ? { Contents: FILES, IsTruncated: false } : versions(3, 'notes', 12, 9),
      'ecs:runTask.sync': () => exited(0),
      'states:startExecution.sync:2': () => ({ Output: { outcome: 'rolledOut' } }),
      ...answers,
    });
  };
  const tasksOf = ({ calls }: Execution): any[] =>
    calls.filter(({ action }) => action === 'ecs:runTask.sync').map((call) => call.arguments);
  const commandsOf = (execution: Execution): string[][] =>
    tasksOf(execution).map(({ Overrides }) => Overrides.ContainerOverrides[0].Command as string[]);

  test('inspects, publishes the next version, and rolls it out', async () => {
    const execution = await run(
      {},
      { steps: [PipelineStep.gate('Inspect', INSPECT), PipelineStep.publish({ tolerances: ['probabilities=top1'] })] },
    );
    expect(commandsOf(execution)).toEqual([
      INSPECT,
      [
        ...['model', 'publish', '/tmp/source/model.onnx', 's3://models', '--name', 'digits', '--version', '13'],
        '--tolerance=probabilities=top1',
      ],
    ]);
    const [task] = tasksOf(execution);
    expect(task).toMatchObject({
      LaunchType: 'FARGATE',
      NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: 'DISABLED' } },
    });
    expect(execution.calls.at(-1)).toEqual({
      action: 'states:startExecution.sync:2',
      arguments: { StateMachineArn: 'Rollout', Input: { version: 13 } },
    });
    expect(execution.end).toEqual({
      state: 'Promoted',
      output: { outcome: 'promoted', version: 13, source: KEY },
    });
  });

  test('every task gets the files as they were when the run began, and text of the event in no command', async () => {
    const execution = await run({}, { steps: [PipelineStep.command('Look', INSPECT), PipelineStep.publish()] });
    for (const { Overrides } of tasksOf(execution)) {
      const [{ Environment, Command }] = Overrides.ContainerOverrides;
      expect(Environment.map(({ Name }: { Name: string }) => Name)).toEqual(['SLIPWAY_SOURCE']);
      expect(JSON.parse(Environment[0].Value as string)).toEqual({
        bucket: 'candidates',
        prefix: 'incoming/digits/2026-11-22/',
        objects: [
          { name: 'model.onnx', etag: '"a"' },
          { name: 'weights.bin', etag: '"b"' },
        ],
      });
      expect(Command.join(' ')).not.toContain('2026-11-22');
    }
  });

  test('the words of a publish mean to slipway what they say', async () => {
    const publish = PipelineStep.publish({
      goldenFile: 'golden.json',
      configFile: 'config.pbtxt',
      hooksFile: 'hooks.mjs',
      labelsFile: 'labels.txt',
      tolerances: ['probabilities=exact'],
    });
    const [[, , ...args]] = commandsOf(await run({}, { steps: [publish] })) as [string[]];
    const parsed = parseArguments('model publish', modelPublish, args);
    expect(parsed.argument('model repository')).toBe('s3://models');
    expect(parsed.text('version')).toBe('13');
    expect(['golden', 'config', 'hooks', 'labels'].map((flag) => parsed.text(flag))).toEqual([
      '/tmp/source/golden.json',
      '/tmp/source/config.pbtxt',
      '/tmp/source/hooks.mjs',
      '/tmp/source/labels.txt',
    ]);
    expect(parsed.texts('tolerance')).toEqual(['probabilities=exact']);
  });

  test.each([
    ['an exit status', () => exited(1), 'exit status 1'],
    ['no exit status', () => ({ Containers: [{}] }), 'exit status '],
    ['a failed task', () => failing('States.TaskFailed', '{"ExitCode":1}'), 'States.TaskFailed {"ExitCode":1}'],
    ['a task that took too long', () => failing('States.Timeout', 'late'), 'States.Timeout late'],
  ])('a gate that ends with %s publishes nothing', async (_, answer, cause) => {
    const execution = await run(
      { 'ecs:runTask.sync': answer },
      { steps: [PipelineStep.gate('Inspect', INSPECT), PipelineStep.publish()] },
    );
    expect(execution.end).toEqual({
      state: 'FailedInspect',
      error: 'GateClosed',
      cause: `gate Inspect ended with ${cause}: nothing was published`,
    });
    expect(commandsOf(execution)).toEqual([INSPECT]);
  });

  test('a command may fail where it is allowed, and publishing may not', async () => {
    const steps = [PipelineStep.command('Look', INSPECT, { allowFailure: true }), PipelineStep.publish()];
    const answer: Answers[string] = (_, nth) => (nth === 1 ? failing('States.TaskFailed', 'no') : exited(0));
    expect((await run({ 'ecs:runTask.sync': answer }, { steps })).end.state).toBe('Promoted');
    expect((await run({ 'ecs:runTask.sync': () => exited(1) }, { steps })).end).toMatchObject({ error: 'StepFailed' });
  });

  test('the first version is 1, and versions of every page count', async () => {
    const first = await run({ 's3:listObjectsV2': listing(() => ({})) });
    expect(first.end.output.version).toBe(1);
    const pages = await run({
      's3:listObjectsV2': listing(({ ContinuationToken }) =>
        ContinuationToken === 'more' ? versions(7) : { ...versions(999), NextContinuationToken: 'more' },
      ),
    });
    expect(pages.end.output.version).toBe(1_000);
  });

  test('somebody is asked with the version and a token, and without a yes nothing is rolled out', async () => {
    const withApproval = (stack: Stack): Partial<ModelPipelineProps> => ({
      approval: { topic: new sns.Topic(stack, 'OnCall'), timeout: Duration.hours(8) },
    });
    const yes = await run({ 'sns:publish.waitForTaskToken': () => ({}) }, withApproval);
    const question = yes.calls.find(({ action }) => action.startsWith('sns:'))!.arguments;
    expect(JSON.parse(question.Message as string)).toEqual({
      model: 'digits',
      version: 13,
      source: `s3://candidates/${KEY}`,
      taskToken: 'token of Approve',
    });
    expect(yes.end.state).toBe('Promoted');

    const no = await run({ 'sns:publish.waitForTaskToken': () => failing('Rejected', 'too slow') }, withApproval);
    expect(no.end).toMatchObject({ error: 'NotApproved', cause: expect.stringContaining('Rejected too slow') });
    expect(no.calls.some(({ action }) => action.startsWith('states:'))).toBe(false);
  });

  test('whether it was promoted or rolled back is the word of the rollout', async () => {
    const end = async (answer: () => unknown): Promise<Execution['end']> =>
      (await run({ 'states:startExecution.sync:2': answer })).end;
    expect((await end(() => ({ Output: { outcome: 'overtaken' } }))).output.outcome).toBe('overtaken');
    expect(await end(() => failing('States.TaskFailed', '{"Error":"RolledBack","Cause":"alarm"}'))).toMatchObject({
      error: 'RolledBack',
      cause: expect.stringContaining('version 13 was rolled back'),
    });
    expect(await end(() => failing('States.TaskFailed', '{"Error":"StackBusy"}'))).toMatchObject({
      error: 'RolloutFailed',
    });
  });

  test.each([
    {},
    { key: 7 },
    { key: 'elsewhere/model.onnx' },
    { key: 'incoming/digits/model.onnx.bak' },
    { key: 'incoming/digits/x-model.onnx' },
  ])('input that is no candidate of this pipeline is refused: %j', async (input) => {
    const execution = await run({}, {}, input);
    expect(execution.end).toMatchObject({ error: 'InputInvalid' });
    expect(execution.calls).toEqual([]);
  });

  test('candidates that are gone, too many or too large start no task', async () => {
    const end = async (listed: object): Promise<string | undefined> => {
      const execution = await run({ 's3:listObjectsV2': () => listed });
      expect(tasksOf(execution)).toEqual([]);
      return execution.end.error;
    };
    expect(await end({ IsTruncated: false })).toBe('SourceMissing');
    expect(await end({ Contents: FILES, IsTruncated: true })).toBe('SourceHasTooManyFiles');
    expect(await end({ Contents: [{ Key: KEY, ETag: '"a"', Size: 2 ** 34 }] })).toBe('SourceTooLarge');
  });

  function listing(ofModels: Answers[string]): Answers[string] {
    return (given, nth) => (given.Bucket === 'candidates' ? { Contents: FILES } : ofModels(given, nth));
  }
  function failing(error: string, cause: string): never {
    throw new StateError(error, cause);
  }
});

describe('is refused', () => {
  const make = (props: Partial<ModelPipelineProps>) => (): unknown =>
    newPipeline(newStack(), digits.manifestFile, props);

  test('a command that is none, or that publishes behind the pipeline', () => {
    expect(() => PipelineStep.gate('Optimise', ['model', 'inspct'])).toThrow(
      "PIPELINE_STEP_UNKNOWN Optimise: no step runs 'slipway model inspct', the nearest one is 'slipway model inspect'",
    );
    expect(() => PipelineStep.command('Build', ['image', 'build'])).toThrow(/^PIPELINE_STEP_UNKNOWN/);
    expect(() => PipelineStep.command('Out', ['model', 'publish', 'x'])).toThrow(/PipelineStep\.publish/);
  });

  test('steps that do not end with the one that publishes, or that share an id', () => {
    const inspect = PipelineStep.gate('Inspect', INSPECT);
    for (const steps of [
      [],
      [inspect],
      [PipelineStep.publish(), inspect],
      [PipelineStep.publish(), PipelineStep.publish()],
    ]) {
      expect(make({ steps })).toThrow(/^PIPELINE_STEPS_INVALID steps/);
    }
    expect(make({ steps: [inspect, inspect, PipelineStep.publish()] })).toThrow("two steps have the id 'Inspect'");
  });

  test('an id that is no name of a state, and an argument that Step Functions would evaluate', () => {
    expect(() => PipelineStep.gate('a b', INSPECT)).toThrow(/^PIPELINE_STEPS_INVALID a b/);
    expect(() => PipelineStep.gate('Inspect', [...INSPECT, '{% $states.input.key %}'])).toThrow(
      /^PIPELINE_STEPS_INVALID Inspect/,
    );
  });

  test('a source that is no folder, or the place where versions are published', () => {
    const stack = newStack();
    const bucket = s3.Bucket.fromBucketName(stack, 'Bucket', 'bucket');
    for (const prefix of ['', 'in', 'in/*/', '/in/', 'in//']) {
      expect(make({ source: { bucket, prefix } })).toThrow(/^PIPELINE_SOURCE_INVALID source\.prefix/);
    }
    expect(make({ source: { bucket, prefix: 'in/', file: 'a/b' } })).toThrow(/^PIPELINE_SOURCE_INVALID source\.file/);
    expect(() => newPipeline(newStack(), digits.manifestFile, {}, { sourceIsModels: true })).toThrow(
      /PIPELINE_SOURCE_INVALID source\.prefix: 'digits\/new\/' holds versions of 'digits' itself/,
    );
  });

  test('a rollout that the published manifest would start too', () => {
    expect(() => newPipeline(newStack(), digits.manifestFile, {}, { trigger: 'manifest' })).toThrow(
      /^PIPELINE_ROLLOUT_TWICE rollout/,
    );
  });

  test('sizes and times that do not exist', () => {
    expect(make({ taskSize: { vcpu: 3 } })).toThrow(/^FARGATE_SIZE vcpu/);
    expect(make({ taskSize: { storageGiB: 500 } })).toThrow(/^FARGATE_SIZE storageGiB/);
    expect(make({ timeout: Duration.days(400) })).toThrow(/^NUMBER_INVALID timeout/);
    expect(make({ steps: [PipelineStep.publish({ timeout: Duration.seconds(5) })] })).toThrow(
      /^NUMBER_INVALID Publish/,
    );
  });
});
