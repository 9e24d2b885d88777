import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Duration, NestedStack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Model, ModelBucket, ModelRollout } from 'slipway/cdk';
import { beforeAll, describe, expect, test } from 'vitest';
import { newRolledOutService, publishDigits, stateMachineOf, STACK_ID, type PublishedDigits } from './support/models';
import { runStates, StateError, type Answers, type Execution, type StateMachine } from './support/run-states';
import { describeWithAndWithoutFlags, newFargateService, newStack, resourcesOf, theOnly } from './support/stacks';

const PARAMETER = 'ModelDigitsFrom3';
let digits: PublishedDigits;
beforeAll(async () => {
  digits = await publishDigits(3);
});

describeWithAndWithoutFlags('ModelRollout', (newStack) => {
  const synthesize = (props: Partial<ConstructorParameters<typeof ModelRollout>[2]> = {}): Template => {
    const stack = newStack();
    newRolledOutService(stack, digits.manifestFile, props);
    return Template.fromStack(stack);
  };
  const statementsOf = (template: Template): any[] =>
    resourcesOf(template, 'AWS::IAM::Policy')
      .filter(({ id }) => id.startsWith('RolloutStateMachine') && !id.includes('Events'))
      .flatMap(({ Properties }) => Properties.PolicyDocument.Statement as any[]);

  test('version and digest are one parameter of the stack, which takes nothing else', () => {
    const parameter = synthesize().toJSON()['Parameters'][PARAMETER];
    expect(parameter).toMatchObject({ Type: 'String', Default: `3@sha256:${digits.manifestSha256}` });
    const pattern = new RegExp(parameter.AllowedPattern as string);
    expect(parameter.Default).toMatch(pattern);
    for (const other of ['3', '03@sha256:' + 'a'.repeat(64), '3@sha256:' + 'A'.repeat(64), '3@sha256:a","x":"']) {
      expect(other).not.toMatch(pattern);
    }
  });

  test('a new manifest of this model in this bucket starts the state machine, and says its key alone', () => {
    const template = synthesize();
    const { EventPattern, Targets } = theOnly(template, 'AWS::Events::Rule').Properties;
    const bucket = resourcesOf(template, 'AWS::S3::Bucket')[0]!.id;
    expect(EventPattern).toEqual({
      source: ['aws.s3'],
      'detail-type': ['Object Created'],
      detail: { bucket: { name: [{ Ref: bucket }] }, object: { key: [{ wildcard: 'digits/*/manifest.json' }] } },
    });
    expect(Targets).toHaveLength(1);
    expect(Targets[0].InputTransformer).toEqual({
      InputPathsMap: { 'detail-object-key': '$.detail.object.key' },
      InputTemplate: '{"key":<detail-object-key>}',
    });
  });

  test('the bucket tells EventBridge by itself: there is no function', () => {
    const template = synthesize();
    expect(resourcesOf(template, 'AWS::S3::Bucket')[0]!.Properties.NotificationConfiguration).toEqual({
      EventBridgeConfiguration: { EventBridgeEnabled: true },
    });
    template.resourceCountIs('AWS::Lambda::Function', 0);
    expect(JSON.stringify(template.toJSON())).not.toContain('Custom::');
  });

  test('may read manifests, update this one stack and read what its template names, and nothing else', () => {
    const template = synthesize();
    const bucket = resourcesOf(template, 'AWS::S3::Bucket')[0]!.id;
    const [delivery, ...rest] = statementsOf(template).sort(
      (a, b) => Number(b.Resource === '*') - Number(a.Resource === '*'),
    );
    expect([delivery.Action].flat().every((action: string) => action.startsWith('logs:'))).toBe(true);
    const ssm = ['arn:', { Ref: 'AWS::Partition' }, ':ssm:', { Ref: 'AWS::Region' }, ':', { Ref: 'AWS::AccountId' }];
    expect(rest.map(({ Effect: _, Resource, ...rest }) => ({ ...rest, Resource: [Resource].flat() }))).toEqual([
      {
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: [{ 'Fn::Join': ['', [{ 'Fn::GetAtt': [bucket, 'Arn'] }, '/digits/*/manifest.json']] }],
      },
      { Action: ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'], Resource: [{ Ref: 'AWS::StackId' }] },
      {
        Action: 'ssm:GetParameters',
        Resource: [{ 'Fn::Join': ['', [...ssm, ':parameter/cdk-bootstrap/hnb659fds/version']] }],
      },
    ]);
  });

  test('a role for CloudFormation may be passed to CloudFormation alone', () => {
    const stack = newStack();
    const stackRole = iam.Role.fromRoleName(stack, 'Deployer', 'deployer');
    newRolledOutService(stack, digits.manifestFile, { stackRole });
    const template = Template.fromStack(stack);
    const pass = statementsOf(template).find(({ Action }) => Action === 'iam:PassRole');
    expect(pass.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'cloudformation.amazonaws.com' } });
    expect(JSON.stringify(pass.Resource)).toContain(':role/deployer');
  });

  test('failures are told to the topic: failed, timed out and stopped by hand', () => {
    const stack = newStack();
    newRolledOutService(stack, digits.manifestFile, { notifications: new sns.Topic(stack, 'OnCall') });
    const rules = resourcesOf(Template.fromStack(stack), 'AWS::Events::Rule').map(({ Properties }) => Properties);
    const failure = rules.find(({ EventPattern }) => EventPattern.source[0] === 'aws.states');
    expect(failure.EventPattern.detail.status).toEqual(['FAILED', 'TIMED_OUT', 'ABORTED']);
    expect(failure.Targets[0].Arn.Ref).toMatch(/^OnCall/);
  });

  test('a rule of an author hears of what its pattern adds', () => {
    const stack = newStack();
    const { rollout } = newRolledOutService(stack, digits.manifestFile, { trigger: 'none' });
    rollout.onFailure('Stopped', { ruleName: 'stopped', eventPattern: { account: ['111122223333'] } });
    const { Name, EventPattern } = theOnly(Template.fromStack(stack), 'AWS::Events::Rule').Properties;
    expect(Name).toBe('stopped');
    expect(EventPattern).toMatchObject({ account: ['111122223333'], source: ['aws.states'] });
  });

  test('failed rollouts are a metric of the state machine', () => {
    const { rollout } = newRolledOutService(newStack(), digits.manifestFile);
    expect(rollout.metricFailed()).toMatchObject({ namespace: 'AWS/States', metricName: 'ExecutionsFailed' });
    expect(ModelRollout.isModelRollout(rollout)).toBe(true);
    expect(ModelRollout.isModelRollout({})).toBe(false);
  });

  test('without a trigger nothing starts it but who is let', () => {
    const stack = newStack();
    const { rollout } = newRolledOutService(stack, digits.manifestFile, { trigger: 'none' });
    const operator = new iam.Role(stack, 'Operator', { assumedBy: new iam.AccountRootPrincipal() });
    rollout.grantStart(operator);
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::Events::Rule', 0);
    const [policy] = resourcesOf(template, 'AWS::IAM::Policy').filter(({ id }) => id.startsWith('Operator'));
    expect(policy!.Properties.PolicyDocument.Statement).toEqual([
      {
        Action: 'states:StartExecution',
        Effect: 'Allow',
        Resource: { Ref: expect.stringMatching(/^RolloutStateMachine/) },
      },
    ]);
  });

  test('everything that happened is logged, for a month', () => {
    const template = synthesize();
    expect(theOnly(template, 'AWS::StepFunctions::StateMachine').Properties.LoggingConfiguration.Level).toBe('ALL');
    const logs = resourcesOf(template, 'AWS::Logs::LogGroup').find(({ id }) => id.startsWith('RolloutLogs'))!;
    expect(logs.Properties.RetentionInDays).toBe(30);
  });
});

describe('the state machine', () => {
  let machine: StateMachine;
  let manifest: Buffer;
  beforeAll(() => {
    const stack = newStack();
    newRolledOutService(stack, digits.manifestFile);
    machine = stateMachineOf(Template.fromStack(stack));
    manifest = readFileSync(digits.manifestFile);
  });

  const editManifest = (change: (manifest: any) => void): string => {
    const edited = JSON.parse(manifest.toString('utf8'));
    edited.version = 4;
    change(edited);
    return JSON.stringify(edited);
  };
  const object = (text: string): unknown => ({
    Body: text.slice(0, 163_840),
    ContentRange: `bytes 0-${Math.min(text.length, 163_840) - 1}/${text.length}`,
  });
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const running = `3@sha256:${'a'.repeat(64)}`;
  const stackWith = (fields: object = {}): unknown => ({
    Stacks: [
      {
        StackId: STACK_ID,
        StackStatus: 'UPDATE_COMPLETE',
        RoleARN: 'arn:aws:iam::111122223333:role/exec',
        Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'],
        Parameters: [
          { ParameterKey: 'BootstrapVersion', ParameterValue: '/cdk-bootstrap/hnb659fds/version', ResolvedValue: '25' },
          { ParameterKey: PARAMETER, ParameterValue: running },
          { ParameterKey: 'Secret', ParameterValue: '****' },
        ],
        ...fields,
      },
    ],
  });
  const parameterIs = (value: string): object => ({ Parameters: [{ ParameterKey: PARAMETER, ParameterValue: value }] });

  /** Version 4 is published, the stack runs version 3, and an update takes two looks to end in this state. */
  const run = async (
    input: unknown = { key: 'digits/4/manifest.json' },
    answers: Partial<Answers> = {},
    states = machine,
  ): Promise<Execution> => {
    const text = editManifest(() => {});
    return runStates(states, input, {
      's3:getObject': () => object(text),
      'cloudformation:describeStacks': (_, nth) =>
        nth === 1
          ? stackWith()
          : nth === 2
            ? stackWith({ StackStatus: 'UPDATE_IN_PROGRESS' })
            : stackWith(parameterIs(`4@sha256:${sha256(text)}`)),
      'cloudformation:updateStack': () => ({ StackId: STACK_ID }),
      ...answers,
    } as Answers);
  };
  const endOf = async (...given: Parameters<typeof run>): Promise<Execution['end']> => (await run(...given)).end;
  const describes =
    (...stacks: unknown[]) =>
    (_: unknown, nth: number): unknown =>
      stacks[Math.min(nth, stacks.length) - 1];

  test('updates the stack with its own template, the new version and every other parameter as it was', async () => {
    const { end, calls, path } = await run();
    const digest = sha256(editManifest(() => {}));
    expect(end).toEqual({ state: 'RolledOut', output: { outcome: 'rolledOut', version: 4, manifestSha256: digest } });
    expect(calls.find(({ action }) => action === 's3:getObject')!.arguments).toEqual({
      Bucket: 'models',
      Key: 'digits/4/manifest.json',
      Range: 'bytes=0-163839',
    });
    expect(calls.find(({ action }) => action === 'cloudformation:updateStack')!.arguments).toEqual({
      StackName: STACK_ID,
      UsePreviousTemplate: true,
      Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'],
      Parameters: [
        { ParameterKey: 'BootstrapVersion', UsePreviousValue: true },
        { ParameterKey: 'Secret', UsePreviousValue: true },
        { ParameterKey: PARAMETER, ParameterValue: `4@sha256:${digest}` },
      ],
    });
    expect(path.filter((state) => state === 'Wait')).toHaveLength(2);
  });

  test.each([
    [
      'one other',
      [{ ParameterKey: 'Other', ParameterValue: 'x' }],
      [{ ParameterKey: 'Other', UsePreviousValue: true }],
    ],
    ['no other', [], []],
  ])('names the parameters as a list where the stack has %s', async (_name, others, expected) => {
    const parameters = { Parameters: [...others, { ParameterKey: PARAMETER, ParameterValue: running }] };
    const digest = sha256(editManifest(() => {}));
    const { calls } = await run(undefined, {
      'cloudformation:describeStacks': describes(
        stackWith({ ...parameters, Capabilities: undefined }),
        stackWith(parameterIs(`4@sha256:${digest}`)),
      ),
    });
    const { Parameters, Capabilities } = calls.find(({ action }) => action === 'cloudformation:updateStack')!.arguments;
    expect(Parameters).toEqual([...expected, { ParameterKey: PARAMETER, ParameterValue: `4@sha256:${digest}` }]);
    expect(Capabilities).toEqual([]);
  });

  test('fails when CloudFormation took the update back, with what the stack says', async () => {
    const end = await endOf(undefined, {
      'cloudformation:describeStacks': describes(
        stackWith(),
        stackWith({ StackStatus: 'UPDATE_ROLLBACK_IN_PROGRESS' }),
        stackWith({ StackStatus: 'UPDATE_ROLLBACK_COMPLETE', StackStatusReason: 'circuit breaker' }),
      ),
    });
    expect(end).toEqual({
      state: 'RolledBack',
      error: 'RolledBack',
      cause: `model digits version 4 is not what the stack runs: UPDATE_ROLLBACK_COMPLETE, circuit breaker; it runs ${running}`,
    });
  });

  test.each(['UPDATE_FAILED', 'UPDATE_ROLLBACK_FAILED'])(
    'is no success while the stack is %s, whatever its parameter says',
    async (StackStatus) => {
      const wanted = parameterIs(`4@sha256:${sha256(editManifest(() => {}))}`);
      const end = await endOf(undefined, {
        'cloudformation:describeStacks': describes(stackWith(), stackWith({ ...wanted, StackStatus })),
      });
      expect(end).toMatchObject({ state: 'RolledBack', error: 'RolledBack' });
    },
  );

  test('waits for an update that is under way, before its own and when it comes in between', async () => {
    const digest = sha256(editManifest(() => {}));
    const busy = stackWith({ StackStatus: 'UPDATE_IN_PROGRESS' });
    const { path, end } = await run(undefined, {
      'cloudformation:describeStacks': describes(
        busy,
        stackWith(),
        busy,
        stackWith(),
        stackWith(parameterIs(`4@sha256:${digest}`)),
      ),
      'cloudformation:updateStack': (_, nth) => {
        if (nth > 1) return {};
        throw new StateError(
          'CloudFormation.CloudFormationException',
          `Stack:${STACK_ID} is in UPDATE_IN_PROGRESS state`,
        );
      },
    });
    expect(end.state).toBe('RolledOut');
    expect(path.filter((state) => state === 'WaitForStack')).toHaveLength(3);
  });

  test('gives up where others are always first', async () => {
    const end = await endOf(undefined, {
      'cloudformation:describeStacks': () => stackWith(),
      'cloudformation:updateStack': () => {
        throw new StateError('CloudFormation.CloudFormationException', 'is in UPDATE_IN_PROGRESS state');
      },
    });
    expect(end).toMatchObject({ state: 'StackBusy', cause: 'the stack was being updated each of 20 times' });
  });

  test('a version that runs already has nothing to update, and that is success', async () => {
    const end = await endOf(
      { version: 3, force: true },
      {
        's3:getObject': () => object(manifest.toString('utf8')),
        'cloudformation:describeStacks': () => stackWith(parameterIs(`3@sha256:${digits.manifestSha256}`)),
        'cloudformation:updateStack': () => {
          throw new StateError('CloudFormation.CloudFormationException', 'No updates are to be performed.');
        },
      },
    );
    expect(end).toEqual({
      state: 'RolledOut',
      output: { outcome: 'rolledOut', version: 3, manifestSha256: digits.manifestSha256 },
    });
  });

  test.each([
    ['the same', '4'],
    ['newer', '12'],
  ])('ends quietly when what runs is %s', async (_name, version) => {
    const { end, calls } = await run(undefined, {
      'cloudformation:describeStacks': () => stackWith(parameterIs(`${version}@sha256:${'b'.repeat(64)}`)),
    });
    expect(end).toMatchObject({ state: 'NotNewer', output: { outcome: 'notNewer', runningVersion: Number(version) } });
    expect(calls.map(({ action }) => action)).not.toContain('cloudformation:updateStack');
  });

  test('goes back to an older version when told to', async () => {
    const { end, calls } = await run(
      { version: 4, force: true },
      {
        'cloudformation:describeStacks': describes(
          stackWith(parameterIs(`12@sha256:${'b'.repeat(64)}`)),
          stackWith(parameterIs(`4@sha256:${sha256(editManifest(() => {}))}`)),
        ),
      },
    );
    expect(calls.map(({ action }) => action)).toContain('cloudformation:updateStack');
    expect(end.state).toBe('RolledOut');
  });

  test('is not a failure when the next rollout came before the last look', async () => {
    const end = await endOf(undefined, {
      'cloudformation:describeStacks': describes(stackWith(), stackWith(parameterIs(`5@sha256:${'b'.repeat(64)}`))),
    });
    expect(end).toMatchObject({ state: 'Overtaken', output: { outcome: 'overtaken', version: 4, runningVersion: 5 } });
  });

  test.each([
    ['digits/4/nested/manifest.json'],
    ['digits/latest/manifest.json'],
    ['digits/04/manifest.json'],
    ['digits-large/4/manifest.json'],
    ['digits/4/model.onnx'],
    ['digits/1234567890123456/manifest.json'],
  ])('an object that is no manifest of a version is ignored: %s', async (key) => {
    const { end, calls } = await run({ key });
    expect(end).toEqual({ state: 'Ignored', output: { outcome: 'ignored' } });
    expect(calls).toEqual([]);
  });

  test.each([[{}], [{ version: '4/../5' }], [{ version: 4.5 }], [{ version: 0 }], [{ version: null }]])(
    'input by hand that names no version is refused: %j',
    async (input) => {
      expect(await endOf(input)).toMatchObject({ state: 'InputInvalid', error: 'InputInvalid' });
    },
  );

  test.each<[string, (manifest: any) => void, object]>([
    ['another model', (m) => (m.name = 'letters'), { state: 'ManifestInvalid' }],
    ['another version', (m) => (m.version = 5), { state: 'ManifestInvalid' }],
    ['another schema', (m) => (m.schema = 'slipway.dev/model-manifest/v9'), { state: 'ManifestInvalid' }],
    ['no facts', (m) => delete m.facts, { state: 'ModelLargerThanPlanned' }],
    [
      'more weights',
      (m) => (m.facts.weightBytes = 400_000_000),
      {
        state: 'ModelLargerThanPlanned',
        cause: expect.stringMatching(
          /^model digits version 4 has 400000000 bytes of weights .* deploy this version from code/,
        ),
      },
    ],
    [
      'the same weights for more executors',
      (m) => (m.facts.executors = { all: 2, perGpu: 2, onCpu: 0, needGpu: false }),
      { state: 'ModelLargerThanPlanned', cause: expect.stringContaining('bytes of weights for each of 2 executors') },
    ],
    ['larger files', (m) => (m.facts.fileBytes = 400_000_000), { state: 'ModelLargerThanPlanned' }],
    [
      'more files than a state machine reads',
      (m) => (m.files = Array(3_000).fill(m.files[0])),
      { state: 'ManifestTooLarge' },
    ],
  ])('a manifest of %s is refused before anything is updated', async (_name, change, expected) => {
    const { end, calls } = await run(undefined, { 's3:getObject': () => object(editManifest(change)) });
    expect(end).toMatchObject(expected);
    expect(calls).toHaveLength(1);
  });

  test('a manifest that is no JSON fails the execution', async () => {
    await expect(run(undefined, { 's3:getObject': () => object('{') })).rejects.toThrow('JSON');
  });

  test('a model that grew by a tenth is rolled out, for sizing leaves more room than that', async () => {
    const grown = editManifest((m) => (m.facts.fileBytes = Math.floor(m.facts.fileBytes * 1.09)));
    const end = await endOf(undefined, {
      's3:getObject': () => object(grown),
      'cloudformation:describeStacks': describes(stackWith(), stackWith(parameterIs(`4@sha256:${sha256(grown)}`))),
    });
    expect(end.state).toBe('RolledOut');
  });

  test.each([
    ['is being deleted', { StackStatus: 'DELETE_FAILED' }, 'StackNotUpdatable'],
    ['cannot be rolled back', { StackStatus: 'UPDATE_ROLLBACK_FAILED' }, 'StackNotUpdatable'],
    ['lost its parameter', { Parameters: [] }, 'ParameterMissing'],
    ['has no role', { RoleARN: undefined }, 'StackRoleMissing'],
  ])('a stack that %s is left alone', async (_name, fields, error) => {
    const { end, calls } = await run(undefined, { 'cloudformation:describeStacks': () => stackWith(fields) });
    expect(end).toMatchObject({ state: error, error });
    expect(calls.map(({ action }) => action)).not.toContain('cloudformation:updateStack');
  });

  test('what CloudFormation refuses is the cause', async () => {
    const end = await endOf(undefined, {
      'cloudformation:updateStack': () => {
        throw new StateError('CloudFormation.CloudFormationException', 'User is not authorized');
      },
    });
    expect(end).toEqual({ state: 'StackUpdateRefused', error: 'StackUpdateRefused', cause: 'User is not authorized' });
  });

  test('a stack with a role of its own for updates is updated with it', async () => {
    const stack = newStack();
    newRolledOutService(stack, digits.manifestFile, {
      stackRole: iam.Role.fromRoleArn(stack, 'Deployer', 'arn:aws:iam::111122223333:role/deployer'),
    });
    const withRole = stateMachineOf(Template.fromStack(stack));
    expect(withRole.States).not.toHaveProperty('StackRoleMissing');
    const { calls } = await run(
      undefined,
      {
        'cloudformation:describeStacks': describes(
          stackWith({ RoleARN: undefined }),
          stackWith(parameterIs(`4@sha256:${sha256(editManifest(() => {}))}`)),
        ),
      },
      withRole,
    );
    expect(calls.find(({ action }) => action === 'cloudformation:updateStack')!.arguments).toMatchObject({
      RoleARN: 'arn:aws:iam::111122223333:role/deployer',
    });
  });

  test('every state is reached from the first, and leads somewhere that exists', () => {
    const { StartAt, States } = machine;
    const next = (state: any): string[] =>
      [
        state.Next,
        state.Default,
        ...(state.Choices ?? []).map((c: any) => c.Next),
        ...(state.Catch ?? []).map((c: any) => c.Next),
      ].filter(Boolean);
    const reached = new Set([StartAt]);
    for (const name of reached) next(States[name]).forEach((each) => reached.add(each));
    expect([...reached].sort()).toEqual(Object.keys(States).sort());
  });
});

describe('a rollout is refused', () => {
  test('for a model whose version only code changes', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models');
    const model = Model.fromBucket(models, 'digits', { manifest: digits.manifestFile });
    expect(() => new ModelRollout(stack, 'Rollout', { model })).toThrow(
      "MODEL_NOT_ROLLED_OUT model: the version of 'digits' changes with the code alone",
    );
  });

  test('for a bucket that says nothing of new objects', () => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models', { eventBridge: false });
    const model = Model.rolledOutFromBucket(models, 'digits', { manifest: digits.manifestFile });
    expect(() => new ModelRollout(stack, 'Rollout', { model })).toThrow(
      "the bucket of 'digits' has eventBridge: false",
    );
    expect(() => new ModelRollout(stack, 'ByHand', { model, trigger: 'none' })).not.toThrow();
    expect(
      theOnly(Template.fromStack(newStackWith(models, model)), 'AWS::S3::Bucket').Properties.NotificationConfiguration,
    ).toBeUndefined();

    function newStackWith(_models: ModelBucket, served: Model) {
      newFargateService(stack, { plaintextInsideVpc: true, models: [served] });
      return stack;
    }
  });

  test('in a stack that does not serve the model', () => {
    const stack = newStack();
    const models = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
    const model = Model.rolledOutFromBucket(models, 'digits', { manifest: digits.manifestFile });
    new ModelRollout(stack, 'Rollout', { model });
    expect(() => Template.fromStack(stack)).toThrow(
      "MODEL_NOT_ROLLED_OUT model: no service of 'Stack' serves 'digits' of the same manifest",
    );
  });

  test('in a nested stack, whose parameters its parent chooses', () => {
    const nested = new NestedStack(newStack(), 'Nested');
    const models = ModelBucket.fromBucket(nested, 'Models', s3.Bucket.fromBucketName(nested, 'Bucket', 'team-models'));
    const model = Model.rolledOutFromBucket(models, 'digits', { manifest: digits.manifestFile });
    expect(() => new ModelRollout(nested, 'Rollout', { model })).toThrow('MODEL_NOT_ROLLED_OUT Stack/Nested');
  });

  test.each([Duration.seconds(30), Duration.days(2)])('when it may take %s', (timeout) => {
    expect(() => newRolledOutService(newStack(), digits.manifestFile, { timeout })).toThrow('NUMBER_INVALID timeout');
  });
});

describe('machines beside a model that is rolled out', () => {
  test.each([
    ['/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id', 1],
    ['/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/al2023-ami-ecs-gpu-hvm-2023.0.20261101/image_id', 0],
  ])('are replaced along with it where their image moves: %s', (parameter, warnings) => {
    const stack = newStack();
    newRolledOutService(stack, digits.manifestFile);
    ec2.MachineImage.fromSsmParameter(parameter).getImage(stack);
    const found = Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('model-rollout-moves-ami'));
    expect(found.map(({ id }) => id)).toEqual(Array(warnings).fill('/Stack/Rollout'));
  });
});
