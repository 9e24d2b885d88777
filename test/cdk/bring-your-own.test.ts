import { App, Aws, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { InferencePlatform, InferenceService, Model, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  environmentOf,
  imageByDigest,
  newCluster,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

describeWithAndWithoutFlags('what an author brings along', (newStack) => {
  function deploy(own: (stack: Stack) => Partial<InferenceServiceProps>) {
    const stack = newStack();
    const service = newFargateService(stack, { plaintextInsideVpc: true, ...own(stack) });
    return { service, template: Template.fromStack(stack) };
  }

  test('roles are taken, and get the right to read the models and no other', () => {
    const { template } = deploy((stack) => ({
      taskRole: iam.Role.fromRoleName(stack, 'Task', 'team-task'),
      executionRole: iam.Role.fromRoleName(stack, 'Execution', 'team-execution', { mutable: false }),
    }));
    template.resourceCountIs('AWS::IAM::Role', 0);
    const policy = theOnly(template, 'AWS::IAM::Policy');
    expect(policy.Properties.Roles).toEqual(['team-task']);
    expect(policy.Properties.PolicyDocument.Statement).toHaveLength(1);
    const task = theOnly(template, 'AWS::ECS::TaskDefinition').Properties;
    expect(JSON.stringify([task.TaskRoleArn, task.ExecutionRoleArn])).toMatch(/team-task.*team-execution/);
  });

  test('security groups are taken as they are, and the load balancer reaches replicas through them', () => {
    const { template } = deploy((stack) => ({
      securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(stack, 'Theirs', 'sg-1', { allowAllOutbound: false })],
    }));
    const { SecurityGroups } = theOnly(template, 'AWS::ECS::Service').Properties.NetworkConfiguration
      .AwsvpcConfiguration;
    expect(SecurityGroups).toEqual(['sg-1']);
    expect(resourcesOf(template, 'AWS::EC2::SecurityGroup').map(({ id }) => id)).toEqual([
      expect.stringMatching(/^DigitsLoadBalancerSecurityGroup/),
    ]);
    expect(theOnly(template, 'AWS::EC2::SecurityGroupIngress').Properties).toMatchObject({
      GroupId: 'sg-1',
      FromPort: 8080,
    });
  });

  test('a key encrypts the log', () => {
    const { template } = deploy((stack) => ({ logKey: new kms.Key(stack, 'Key') }));
    const { KmsKeyId } = theOnly(template, 'AWS::Logs::LogGroup').Properties;
    expect(KmsKeyId).toEqual({ 'Fn::GetAtt': [theOnly(template, 'AWS::KMS::Key').id, 'Arn'] });
  });

  test('variables and secrets reach the server beside those of the plan', () => {
    const { template } = deploy((stack) => ({
      environment: { SLIPWAY_LOG_LEVEL: 'debug', TEAM: 'vision', STACK: Aws.STACK_NAME },
      secrets: {
        FEATURES_TOKEN: ecs.Secret.fromSecretsManager(secretsmanager.Secret.fromSecretNameV2(stack, 'Token', 'token')),
      },
    }));
    expect(environmentOf(template)).toMatchObject({ SLIPWAY_LOG_LEVEL: 'debug', TEAM: 'vision' });
    const [container] = theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
    expect(container.Secrets.map(({ Name }: any) => Name)).toEqual(['FEATURES_TOKEN']);
  });

  test('replicas may be granted what their hooks need', () => {
    const stack = newStack();
    const service = newFargateService(stack, { plaintextInsideVpc: true });
    new kms.Key(stack, 'Key').grantDecrypt(service);
    const granted = resourcesOf(Template.fromStack(stack), 'AWS::IAM::Policy').filter(({ Properties }) =>
      JSON.stringify(Properties).includes('kms:Decrypt'),
    );
    expect(granted[0]!.Properties.Roles).toEqual([{ Ref: expect.stringMatching(/^DigitsTaskRole/) }]);
  });

  test('a service of elsewhere is called by what is known of it', () => {
    const stack = newStack();
    const { vpc } = newCluster(stack);
    const imported = InferenceService.fromAttributes(stack, 'Theirs', {
      serviceName: 'ranking',
      url: 'https://ranking.example',
      securityGroup: ec2.SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-2'),
      port: 443,
      cluster: stack.node.findChild('Cluster') as ecs.Cluster,
    });
    imported.connections.allowDefaultPortFrom(new ec2.SecurityGroup(stack, 'Client', { vpc }));
    expect(imported).toMatchObject({ serviceName: 'ranking', url: 'https://ranking.example' });
    expect(theOnly(Template.fromStack(stack), 'AWS::EC2::SecurityGroupIngress').Properties).toMatchObject({
      GroupId: 'sg-2',
      FromPort: 443,
    });
  });
});

test('a variable that the service writes itself, that the server does not know, or that is a secret is refused', () => {
  const refused = (props: Partial<InferenceServiceProps>) => () =>
    newFargateService(newStack(), { plaintextInsideVpc: true, ...props });
  expect(refused({ environment: { SLIPWAY_MODELS: '[]' } })).toThrow(
    'ENVIRONMENT_TAKEN environment.SLIPWAY_MODELS: is decided by another property of the service already',
  );
  expect(refused({ environment: { AWS_REGION: 'eu-west-1' } })).toThrow('ENVIRONMENT_TAKEN environment.AWS_REGION');
  expect(refused({ environment: { SLIPWAY_LOG_LEVLE: 'debug' } })).toThrow('ENVIRONMENT_UNKNOWN');
  expect(refused({ environment: { SLIPWAY_LOG_LEVEL: 'loud' } })).toThrow('ENVIRONMENT_INVALID SLIPWAY_LOG_LEVEL');
  expect(refused({ environment: { SLIPWAY_API_KEYS: '[]' } })).toThrow(
    'ENVIRONMENT_INVALID environment.SLIPWAY_API_KEYS: is a secret, and who may read the template would read it',
  );
  const stack = newStack();
  const secret = ecs.Secret.fromSecretsManager(secretsmanager.Secret.fromSecretNameV2(stack, 'S', 's'));
  expect(() =>
    newFargateService(stack, { plaintextInsideVpc: true, environment: { A: '1' }, secrets: { A: secret } }),
  ).toThrow('ENVIRONMENT_TAKEN secrets.A');
});

test('a service has one cluster, said or by its platform', () => {
  const stack = newStack();
  const make = (props: Partial<InferenceServiceProps>) => () =>
    new InferenceService(stack, 'Digits', { models: [Model.fromAsset(DIGITS)], plaintextInsideVpc: true, ...props });
  expect(make({})).toThrow('CLUSTER_OR_PLATFORM cluster: got neither a cluster nor a platform; give one of them');
  const platform = new InferencePlatform(stack, 'Main', { plaintextInsideVpc: true });
  expect(
    () =>
      new InferenceService(new Stack(stack, 'Inner'), 'Both', {
        models: [Model.fromAsset(DIGITS)],
        cluster: platform.cluster,
        platform,
      }),
  ).toThrow('CLUSTER_OR_PLATFORM cluster: got a cluster and a platform; give one of them');
});

test('a service of a platform takes its cluster, its subnets and its listener, and says there how it is reached', () => {
  const app = new App({ analyticsReporting: false });
  const platformStack = new Stack(app, 'Platform');
  const platform = new InferencePlatform(platformStack, 'Main', { plaintextInsideVpc: true, preset: 'development' });
  const team = new Stack(app, 'Team');
  const joined = InferencePlatform.fromFacts(team, 'Platform', platform.facts);
  const service = new InferenceService(team, 'Digits', {
    platform: joined,
    image: imageByDigest(team),
    models: [Model.fromAsset(DIGITS)],
    priority: 10,
    path: '/v2/models/digits*',
  });
  expect(service.plan.preset).toBe('development');
  const caller = new Stack(app, 'Caller');
  const found = InferenceService.fromPlatform(
    caller,
    'Digits',
    InferencePlatform.fromFacts(caller, 'Platform', platform.facts),
    'digits',
  );
  const client = new ec2.SecurityGroup(caller, 'Client', {
    vpc: ec2.Vpc.fromVpcAttributes(caller, 'Vpc', { vpcId: 'vpc-1', availabilityZones: ['a'] }),
  });
  found.connections.allowDefaultPortFrom(client);
  const template = Template.fromStack(team);
  template.resourceCountIs('AWS::ElasticLoadBalancingV2::LoadBalancer', 0);
  const parameters = resourcesOf(template, 'AWS::SSM::Parameter').map(({ Properties }) => Properties.Name);
  expect(parameters.sort()).toEqual(['/slipway/main/services/digits/ecs-service', '/slipway/main/services/digits/url']);
  for (const stack of [team, caller]) {
    expect(JSON.stringify(Template.fromStack(stack).toJSON())).not.toContain('Fn::ImportValue');
  }
  const text = JSON.stringify(Template.fromStack(caller).toJSON());
  for (const { FromPort } of resourcesOf(Template.fromStack(caller), 'AWS::EC2::SecurityGroupIngress').map(
    ({ Properties }) => Properties,
  )) {
    expect(FromPort).toBe(80);
  }
  expect(text).toContain('load-balancer-security-group');
});

test('an inference service is known as one, also to another copy of the package', () => {
  const service = newFargateService(newStack(), { plaintextInsideVpc: true });
  expect(InferenceService.isInferenceService(service)).toBe(true);
  for (const other of [service.cluster, undefined, null, 'service', {}]) {
    expect(InferenceService.isInferenceService(other)).toBe(false);
  }
});
