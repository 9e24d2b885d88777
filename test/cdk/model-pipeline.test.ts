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
import { modelPipelineOf } from '../../runtime/cli/model-pipeline';
import { modelPromote } from '../../runtime/cli/model-promote';
import { modelPublish } from '../../runtime/cli/model-publish';
import { PYTHON_COMMANDS, STEP_COMMANDS } from '../../cdk/cli-commands';
import { STEP_RULES } from '../../runtime/cli/pipeline/pipeline-rules';
import { publishDigits, type PublishedDigits } from './support/models';
import { newPipeline, pipelineStates } from './support/pipelines';
import { runStates, StateError, type Answers, type Execution } from './support/run-states';
import { describeWithAndWithoutFlags, newStack, resourcesOf } from './support/stacks';

let digits: PublishedDigits;
beforeAll(async () => {
  digits = await publishDigits(3);
});

const INSPECT = ['model', 'inspect', '/tmp/source/model.onnx'];

test('steps run commands that the image has, and those that it has not for want of Python are known', () => {
  const image = [...COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY].map(({ name }) => name);
  expect(image).toEqual(expect.arrayContaining([...STEP_COMMANDS]));
  const rules = Object.entries(STEP_RULES).filter(([, { python }]) => python === true);
  expect([...PYTHON_COMMANDS].sort()).toEqual(rules.map(([verb]) => `model ${verb}`).sort());
  const changing = Object.entries(STEP_RULES).filter(([, { makes, python }]) => makes !== undefined && python !== true);
  expect(STEP_COMMANDS).toEqual(expect.arrayContaining(changing.map(([verb]) => `model ${verb}`)));
});

test('what a step may say, the command takes', async () => {
  const evaluate = ['model', 'evaluate', PipelineStep.source(), '--data', PipelineStep.source('rows.jsonl')];
  const gate = PipelineStep.gate('Evaluate', [...evaluate, '--task', 'classification', '--min-accuracy', '95%']);
  const command = await COMMANDS_EVERYWHERE.find(({ name }) => name === 'model evaluate')!.load();
  expect(parseArguments('model evaluate', command, gate.facts.args.slice(2)).text('min-accuracy')).toBe('95%');
  expect(parseArguments('model evaluate', command, gate.facts.args.slice(2)).text('report')).toBe(
    PipelineStep.result('Evaluate', 'report.json'),
  );
  const judged = PipelineStep.gate('Judge', ['model', 'pipeline', PipelineStep.source('pipeline.yaml')]);
  const pipeline = modelPipelineOf(() => []);
  expect(parseArguments('model pipeline', pipeline, judged.facts.args.slice(2)).text('work')).toBe(
    '/tmp/results/Judge',
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

  /** Each action with its bucket and keys; CDK joins statements, or not, by a flag. */
  const rightsOf = (statements: any[]): string[] =>
    statements
      .flatMap(({ Action, Resource }) =>
        [Resource].flat().flatMap((resource: unknown) => {
          const text = JSON.stringify(resource);
          const [bucket] = /Models|Candidates/.exec(text)!;
          return [Action].flat().map((action) => `${action} ${bucket}${/"(\/[^"]*)"/.exec(text)?.[1] ?? ''}`);
        }),
      )
      .sort();

  test('steps may read candidates and hand on results, and publish nothing', () => {
    const statements = statementsOf(make(), 'PipelineTaskTaskRole');
    expect(rightsOf(statements)).toEqual([
      's3:AbortMultipartUpload Models/digits/_runs/*',
      's3:GetObject Candidates/incoming/digits/*',
      's3:GetObject Models/digits/_runs/*',
      's3:GetObjectVersion Candidates/incoming/digits/*',
      's3:GetObjectVersion Models/digits/_runs/*',
      's3:ListBucket Models',
      's3:PutObject Models/digits/_runs/*',
    ]);
    const [list] = statements.filter(({ Action }) => [Action].flat().includes('s3:ListBucket'));
    expect(list.Condition).toEqual({ StringLike: { 's3:prefix': 'digits/_runs/*' } });
  });

  test('the task that publishes may read candidates and publish this one model, and nothing else', () => {
    const statements = statementsOf(make(), 'PipelinePublishTaskTaskRole');
    expect(rightsOf(statements)).toEqual([
      's3:AbortMultipartUpload Models/digits/*',
      's3:GetObject Candidates/incoming/digits/*',
      's3:GetObject Models/digits/*',
      's3:GetObject Models/slipway-index.json',
      's3:GetObjectVersion Candidates/incoming/digits/*',
      's3:ListBucket Models',
      's3:PutObject Models/digits/*',
      's3:PutObject Models/slipway-index.json',
    ]);
    const [list] = statements.filter(({ Action }) => [Action].flat().includes('s3:ListBucket'));
    expect(list.Condition).toEqual({ StringLike: { 's3:prefix': 'digits/*' } });
  });

  test('the task that publishes may sign with the key that it is given, and the others may not', () => {
    const stack = newStack();
    const signKey = new kms.Key(stack, 'Signer', {
      keySpec: kms.KeySpec.ECC_NIST_P256,
      keyUsage: kms.KeyUsage.SIGN_VERIFY,
    });
    const template = make({ steps: [PipelineStep.publish({ signKey })] }, stack);
    const signing = (role: string): any[] =>
      statementsOf(template, role).filter(({ Action }) => [Action].flat().includes('kms:Sign'));
    const [statement, ...more] = signing('PipelinePublishTaskTaskRole');
    expect(more).toEqual([]);
    expect([...statement.Action].sort()).toEqual(['kms:GetPublicKey', 'kms:Sign']);
    expect(statement.Resource).toEqual({ 'Fn::GetAtt': [expect.stringMatching(/^Signer/), 'Arn'] });
    expect(signing('PipelineTaskTaskRole')).toEqual([]);
  });

  test('the state machine may list two prefixes, run two tasks in this cluster and start this rollout', () => {
    const statements = statementsOf(make(), 'PipelineStateMachineRoleDefaultPolicy').filter(
      ({ Resource }) => Resource !== '*',
    );
    const allowed = (action: string): any[] => statements.filter(({ Action }) => [Action].flat().includes(action));
    expect(new Set(statements.flatMap(({ Action }) => Action))).toEqual(
      new Set([
        's3:ListBucket',
        ...['ecs:RunTask', 'ecs:DescribeTasks', 'ecs:StopTask', 'iam:PassRole'],
        ...['states:StartExecution', 'states:DescribeExecution', 'states:StopExecution'],
        ...['events:DescribeRule', 'events:PutRule', 'events:PutTargets'],
      ]),
    );
    expect(allowed('s3:ListBucket').map(({ Condition }) => Condition)).toEqual([
      { StringLike: { 's3:prefix': 'incoming/digits/*' } },
      { StringEquals: { 's3:prefix': 'digits/' } },
    ]);
    for (const action of ['ecs:RunTask', 'ecs:StopTask']) {
      for (const { Condition } of allowed(action)) expect(Condition.ArnEquals['ecs:cluster']).toBeDefined();
    }
    const tasks = allowed('ecs:RunTask').flatMap(({ Resource }) => Resource as { Ref: string }[]);
    expect(tasks.map(({ Ref }) => Ref).sort()).toEqual([
      expect.stringMatching(/^PipelinePublishTaskTaskDefinition/),
      expect.stringMatching(/^PipelineTaskTaskDefinition/),
    ]);
    for (const { Condition } of allowed('iam:PassRole')) {
      expect(Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
    }
    expect(allowed('states:StartExecution').map(({ Resource }) => Resource)).toEqual([
      { Ref: expect.stringMatching(/^RolloutStateMachine/) },
    ]);
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
  const RUN = /^s3:\/\/models\/digits\/_runs\/[0-9a-f]{32}\/$/;
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
      output: { outcome: 'promoted', version: 13, source: KEY, results: expect.stringMatching(RUN) },
    });
  });

  test('every task gets the files as they were when the run began, and text of the event in no command', async () => {
    const execution = await run({}, { steps: [PipelineStep.command('Look', INSPECT), PipelineStep.publish()] });
    for (const { Overrides } of tasksOf(execution)) {
      const [{ Environment, Command }] = Overrides.ContainerOverrides;
      expect(Environment.map(({ Name }: { Name: string }) => Name)).toEqual(['SLIPWAY_SOURCE', 'SLIPWAY_RESULTS']);
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

  test('tasks of one run share a folder, judges write their own below it, and who publishes writes none', async () => {
    const steps = [PipelineStep.gate('Inspect', INSPECT), PipelineStep.publish(), PipelineStep.promote('stable')];
    const execution = await run({}, { steps });
    const told = tasksOf(execution).map(({ Overrides }) => {
      const found = Overrides.ContainerOverrides[0].Environment.find(({ Name }: any) => Name === 'SLIPWAY_RESULTS');
      return found === undefined ? undefined : (JSON.parse(found.Value as string) as Record<string, unknown>);
    });
    const { bucket, prefix } = told[0]!;
    expect(`s3://${String(bucket)}/${String(prefix)}`).toMatch(RUN);
    expect(told).toEqual([{ bucket, prefix, step: 'Inspect' }, { bucket, prefix }, undefined]);
    expect(execution.end.output.results).toBe(`s3://${String(bucket)}/${String(prefix)}`);
    const definitions = tasksOf(execution).map(
      ({ TaskDefinition }) => /^Pipeline(Publish)?Task/.exec(TaskDefinition)![0],
    );
    expect(definitions).toEqual(['PipelineTask', 'PipelinePublishTask', 'PipelinePublishTask']);
  });

  test('a version is published with the evaluation of its very model', async () => {
    const evaluate = (id: string, model: string, options = {}): PipelineStep =>
      PipelineStep.command(id, ['model', 'evaluate', model, '--data', 'x', '--task', 'classification'], options);
    const thinner = PipelineStep.result('Prune', 'model.onnx');
    const prune = PipelineStep.command('Prune', ['model', 'prune', PipelineStep.source(), '--output', thinner]);
    const evidence = async (...steps: PipelineStep[]): Promise<(string | undefined)[]> => {
      const published = commandsOf(await run({}, { steps })).find(([, verb]) => verb === 'publish')!;
      const parsed = parseArguments('model publish', modelPublish, published.slice(2));
      return [parsed.argument('file'), parsed.text('evaluation')];
    };
    const before = evaluate('Before', PipelineStep.source());
    const after = evaluate('After', thinner);
    expect(await evidence(before, prune, after, PipelineStep.publish({ model: thinner }))).toEqual([
      thinner,
      PipelineStep.result('After', 'report.json'),
    ]);
    expect(await evidence(before, prune, after, PipelineStep.publish())).toEqual([
      PipelineStep.source(),
      PipelineStep.result('Before', 'report.json'),
    ]);
    // A model that nobody evaluated has no evidence, and a gate that stands before the last change is most likely a mistake.
    expect(await evidence(prune, PipelineStep.publish({ model: thinner }))).toEqual([thinner, undefined]);
    await expect(evidence(before, prune, PipelineStep.publish({ model: thinner }))).rejects.toThrow(
      'Publish takes /tmp/results/Prune/model.onnx, and Before evaluates /tmp/source/model.onnx: the manifest would have no evidence',
    );
    // What may fail is no gate, and a report that says so is none for a manifest.
    const look = evaluate('Look', PipelineStep.source(), { allowFailure: true });
    expect(await evidence(look, PipelineStep.publish())).toEqual([PipelineStep.source(), undefined]);
    const judge = PipelineStep.gate('Judge', ['model', 'pipeline', PipelineStep.source('pipeline.yaml')]);
    const own = PipelineStep.result('Judge', 'evaluate/report.json');
    expect(await evidence(judge, PipelineStep.publish({ evaluation: own }))).toEqual([PipelineStep.source(), own]);
  });

  test('a label follows a rollout that is kept, and no other', async () => {
    const steps = [PipelineStep.publish(), PipelineStep.promote('stable')];
    const kept = await run({}, { steps });
    expect(commandsOf(kept).at(-1)).toEqual(['model', 'promote', 's3://models', 'digits', '13', 'stable']);
    const parsed = parseArguments('model promote', modelPromote, commandsOf(kept).at(-1)!.slice(2));
    expect([parsed.argument('version'), parsed.argument('label')]).toEqual(['13', 'stable']);
    expect(kept.end.state).toBe('Promoted');
    for (const answer of [
      () => ({ Output: { outcome: 'overtaken' } }),
      () => failing('States.TaskFailed', '{"Error":"RolledBack","Cause":"alarm"}'),
    ]) {
      expect(commandsOf(await run({ 'states:startExecution.sync:2': answer }, { steps }))).toHaveLength(1);
    }
    const answer: Answers[string] = (_, nth) => exited(nth === 1 ? 0 : 6);
    expect((await run({ 'ecs:runTask.sync': answer }, { steps })).end).toMatchObject({
      error: 'StepFailed',
      cause: 'step Promote-stable ended with exit status 6: version 13 serves, and its label does not say so',
    });
  });

  test('the words of a publish mean to slipway what they say', async () => {
    const publish = PipelineStep.publish({
      preprocessingFile: 'preprocessing.yaml',
      licence: 'Apache-2.0',
      sbom: true,
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
    expect(['preprocessing', 'licence'].map((flag) => parsed.text(flag))).toEqual([
      '/tmp/source/preprocessing.yaml',
      'Apache-2.0',
    ]);
    expect(parsed.flag('sbom')).toBe(true);
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
    expect(() => PipelineStep.command('Label', ['model', 'promote', 'x'])).toThrow(/PipelineStep\.promote/);
    expect(() => PipelineStep.command('Back', ['model', 'rollback', 'x'])).toThrow(/rolled back by CloudFormation/);
  });

  test('a command that needs Python, before anything is deployed', () => {
    expect(() => PipelineStep.command('Int8', ['model', 'quantize', PipelineStep.source()])).toThrow(
      "PIPELINE_STEP_UNKNOWN Int8: 'slipway model quantize' needs Python, which the server image does not have: run it where",
    );
  });

  test('a result that no earlier step leaves, and one that is no file of a step', () => {
    const gate = PipelineStep.gate('Inspect', ['model', 'inspect', PipelineStep.result('Prune', 'model.onnx')]);
    const prune = PipelineStep.command('Prune', ['model', 'prune', PipelineStep.source()]);
    expect(make({ steps: [gate, prune, PipelineStep.publish()] })).toThrow(
      "PIPELINE_STEPS_INVALID steps: Inspect takes a result of 'Prune', and no step of that id comes before it",
    );
    expect(make({ steps: [PipelineStep.publish({ model: PipelineStep.result('Prune', 'model.onnx') })] })).toThrow(
      "Publish takes a result of 'Prune'",
    );
    for (const file of ['', '../x', 'a//b', 'a b']) {
      expect(() => PipelineStep.result('Prune', file)).toThrow(/^PIPELINE_STEPS_INVALID Prune: the path of a result/);
    }
    expect(() => PipelineStep.promote('a b')).toThrow(/^PIPELINE_STEPS_INVALID label/);
  });

  test('steps of which none or several publish, that follow publishing, or share an id', () => {
    const inspect = PipelineStep.gate('Inspect', INSPECT);
    for (const steps of [
      [],
      [inspect],
      [PipelineStep.publish(), inspect],
      [PipelineStep.publish(), PipelineStep.publish()],
      [PipelineStep.promote('stable'), PipelineStep.publish()],
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
