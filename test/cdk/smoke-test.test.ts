import { existsSync } from 'node:fs';
import { Duration } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Model, ModelBucket, Rollout, type InferenceServiceProps, type SmokeTestOptions } from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { smokeTestFolder } from '../../cdk/smoke-test';
import { named, serve } from './support/services';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

// The package ships the function built; a checkout that was never built has none yet.
beforeAll(async () => {
  if (existsSync('dist/smoke-test/index.mjs')) return;
  const build = '../../scripts/build.mjs';
  const { bundleSmokeTest } = (await import(build)) as { bundleSmokeTest: (folder: string) => Promise<void> };
  await bundleSmokeTest('dist/smoke-test');
});

function canary(smokeTest: boolean | SmokeTestOptions = true): Rollout {
  return Rollout.canary({ percent: 10, bake: Duration.minutes(10), smokeTest });
}

describeWithAndWithoutFlags('a smoke test', (newStack) => {
  test('is a hook between test traffic and that of callers, which ECS may call and nothing else', () => {
    const { template } = serve(newStack(), { rollout: canary() });
    const { id } = theOnly(template, 'AWS::Lambda::Function');
    const [hook, ...others] = theOnly(template, 'AWS::ECS::Service').Properties.DeploymentConfiguration.LifecycleHooks;
    expect(others).toEqual([]);
    expect(hook.LifecycleStages).toEqual(['POST_TEST_TRAFFIC_SHIFT']);
    expect(hook.HookTargetArn).toEqual({ 'Fn::GetAtt': [id, 'Arn'] });
    const role = hook.RoleArn['Fn::GetAtt'][0];
    const policies = resourcesOf(template, 'AWS::IAM::Policy').filter(({ Properties }) =>
      Properties.Roles.some(({ Ref }: any) => Ref === role),
    );
    expect(policies.flatMap(({ Properties }) => Properties.PolicyDocument.Statement)).toEqual([
      { Action: 'lambda:InvokeFunction', Effect: 'Allow', Resource: { 'Fn::GetAtt': [id, 'Arn'] } },
    ]);
    const { DependsOn } = theOnly(template, 'AWS::ECS::Service');
    expect(DependsOn).toContain(policies[0]!.id);
  });

  test('asks a test listener that lets in nobody else', () => {
    const { template } = serve(newStack(), { rollout: canary() });
    const { TestListener } = named(template, 'AWS::ElasticLoadBalancingV2::Listener');
    expect(TestListener!.Properties).toMatchObject({ Port: 9443, Protocol: 'HTTPS' });
    for (const { Properties } of resourcesOf(template, 'AWS::EC2::SecurityGroup')) {
      expect(Properties.SecurityGroupIngress).toBeUndefined();
    }
    const callers = resourcesOf(template, 'AWS::EC2::SecurityGroupIngress').filter(
      ({ Properties }) => Properties.FromPort === 9443,
    );
    expect(callers).toHaveLength(1);
    expect(callers[0]!.Properties.SourceSecurityGroupId['Fn::GetAtt'][0]).toMatch(/^DigitsSmokeTestSecurityGroup/);
    const { Environment } = theOnly(template, 'AWS::Lambda::Function').Properties;
    expect(JSON.stringify(Environment.Variables.TARGET)).toMatch(/https:\/\/.*DNSName.*:9443/);
  });

  test('may read the models, write its log, and has no right of an AWS policy', () => {
    const { template } = serve(newStack(), { rollout: canary() });
    const role = theOnly(template, 'AWS::Lambda::Function').Properties.Role['Fn::GetAtt'][0];
    const { ManagedPolicyArns, AssumeRolePolicyDocument } = template.findResources('AWS::IAM::Role')[role]!.Properties;
    expect(ManagedPolicyArns).toBeUndefined();
    expect(AssumeRolePolicyDocument.Statement[0].Principal).toEqual({ Service: 'lambda.amazonaws.com' });
    const actions = resourcesOf(template, 'AWS::IAM::Policy')
      .filter(({ Properties }) => Properties.Roles.some(({ Ref }: any) => Ref === role))
      .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
      .flatMap(({ Action }: any) => Action);
    expect(actions.filter((action: string) => !action.startsWith('ec2:')).sort()).toEqual([
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:GetObjectVersion',
    ]);
    expect(
      actions.filter(
        (action: string) => action.startsWith('ec2:') && !/NetworkInterface|PrivateIp|Describe/.test(action),
      ),
    ).toEqual([]);
  });

  test('makes no network interfaces by the right that Lambda needs to make its own', () => {
    const { template } = serve(newStack(), { rollout: canary() });
    const statements = resourcesOf(template, 'AWS::IAM::Policy').flatMap(
      ({ Properties }) => Properties.PolicyDocument.Statement,
    );
    const [allowed, denied, ...others] = statements.filter(({ Action }: any) => String(Action).includes('ec2:'));
    expect(others).toEqual([]);
    expect(allowed).toMatchObject({ Effect: 'Allow', Resource: '*' });
    expect(denied).toEqual({
      Action: allowed.Action,
      Effect: 'Deny',
      Resource: '*',
      Condition: { Null: { 'lambda:SourceFunctionArn': 'false' } },
    });
  });

  test('runs inside the VPC, where replicas run, and as long as its author lets it', () => {
    const { template } = serve(newStack(), { rollout: canary({ timeout: Duration.minutes(2) }) });
    const { VpcConfig, Timeout, Runtime } = theOnly(template, 'AWS::Lambda::Function').Properties;
    expect(JSON.stringify(VpcConfig.SubnetIds)).not.toContain('Public');
    expect([Timeout, Runtime]).toEqual([120, 'nodejs22.x']);
  });

  test('knows the folder and the version of a model in a bucket as replicas do', () => {
    const stack = newStack();
    const models = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
    const { template } = serve(stack, {
      rollout: canary(),
      models: [Model.fromBucket(models, 'digits', { version: 3, maxBatchSize: 8 })],
      executionProvider: 'cpu',
      memoryMiB: 2048,
      startupBudgetSeconds: 60,
    });
    const { MODELS } = theOnly(template, 'AWS::Lambda::Function').Properties.Environment.Variables;
    expect(JSON.parse(MODELS)).toEqual([{ name: 'digits', version: '3', folder: 's3://team-models/digits/3/' }]);
  });

  test('is there only where a rollout asks for one', () => {
    for (const rollout of [canary(false), Rollout.rolling()]) {
      const { template, service } = serve(newStack(), { rollout });
      template.resourceCountIs('AWS::Lambda::Function', 0);
      template.resourceCountIs('AWS::ElasticLoadBalancingV2::Listener', 1);
      expect(service.smokeTest).toBeUndefined();
    }
  });

  test('asks over plain HTTP where clients do', () => {
    const stack = newStack();
    newFargateService(stack, { plaintextInsideVpc: true, rollout: canary() });
    const { TestListener } = named(Template.fromStack(stack), 'AWS::ElasticLoadBalancingV2::Listener');
    expect(TestListener!.Properties).toMatchObject({ Port: 9080, Protocol: 'HTTP' });
  });
});

test('a smoke test of models that are not the service’s, of none or of too many is refused', () => {
  const refused =
    (options: SmokeTestOptions, props: Partial<InferenceServiceProps> = {}) =>
    () =>
      newFargateService(newStack(), { plaintextInsideVpc: true, rollout: canary(options), ...props });
  expect(refused({ models: ['letters'] })).toThrow(
    "ROLLOUT_RANGE rollout.smokeTest.models: must be models of the service (digits), got 'letters'",
  );
  expect(refused({ models: [] })).toThrow('one smoke test asks 1 to 12 models, got 0');
  const models = Array.from({ length: 13 }, (_, i) => Model.fromAsset(DIGITS, { name: `digits-${i}` }));
  expect(refused({}, { models })).toThrow('one smoke test asks 1 to 12 models, got 13; name those that matter most');
  expect(refused({ models: ['digits-1'] }, { models })).not.toThrow();
});

test('a checkout that was never built says what to run', () => {
  expect(() => smokeTestFolder('/nowhere')).toThrow(
    "SMOKE_TEST_MISSING rollout.smokeTest: there is no /nowhere/dist/smoke-test/index.mjs; run 'npm run build' in /nowhere",
  );
});
