import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, Stack, Stage, type StackProps } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Capacity, InferencePlatform, InferenceService, Model, type IInferencePlatform } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { createPlatformApp, createTeamsApp } from '../../cdk/examples/platform-and-teams/app';
import { assertSameStack } from '../../cdk/platform';
import { emptyFolder } from './support/cdk-cli';
import { newApp, newGpuPlatform } from './support/platforms';
import { DIGITS, FLAGS, imageByDigest, resourcesOf, theOnly } from './support/stacks';

interface Parameter {
  readonly Type: string;
  readonly Default?: string;
}

/** A service of a team on the platform's machines, with a load balancer of its own. */
function addService(
  team: Stack,
  platform: IInferencePlatform,
  { group = 'l4', serviceName }: { readonly group?: string; readonly serviceName?: string } = {},
): InferenceService {
  return new InferenceService(team, 'Digits', {
    serviceName: serviceName ?? `digits-on-${group}`,
    cluster: platform.cluster,
    vpcSubnets: platform.vpcSubnets,
    capacity: platform.capacity(group),
    image: imageByDigest(team),
    models: [Model.fromAsset(DIGITS)],
    plaintextInsideVpc: true,
  });
}

function newTeam(app: App, props: { facts: Parameters<typeof InferencePlatform.fromFacts>[2]; id?: string }) {
  const team = new Stack(app, props.id ?? 'Team');
  return { team, platform: InferencePlatform.fromFacts(team, 'Platform', props.facts) };
}

/** Parameters of a template that CloudFormation looks up in SSM, CDK's own bootstrap version aside. */
function lookedUp(template: Template): readonly Parameter[] {
  return (Object.values(template.findParameters('*')) as Parameter[]).filter(
    ({ Type, Default }) => Type.startsWith('AWS::SSM::Parameter::Value') && Default!.startsWith('/slipway/'),
  );
}

function written(template: Template): string[] {
  return resourcesOf(template, 'AWS::SSM::Parameter').map(({ Properties }) => Properties.Name as string);
}

for (const [set, context] of Object.entries(FLAGS)) {
  describe(`a platform and its teams (${set} flags)`, () => {
    function twoApps(): { platform: Template; teams: readonly Template[] } {
      const platformApp = newApp(context);
      const platform = newGpuPlatform(platformApp);
      const teamsApp = newApp(context);
      const teams = ['l4', 'a10'].map((group) => {
        const { team, platform: joined } = newTeam(teamsApp, { facts: platform.facts, id: `Team-${group}` });
        addService(team, joined, { group });
        return team;
      });
      return {
        platform: Template.fromStack(Stack.of(platform)),
        teams: teams.map((team) => Template.fromStack(team)),
      };
    }

    test('no stack imports or exports anything, in two apps or in one', () => {
      const { platform, teams } = twoApps();
      const oneApp = newApp(context);
      const { facts } = newGpuPlatform(oneApp);
      const { team, platform: joined } = newTeam(oneApp, { facts });
      addService(team, joined);
      const stacks = oneApp.synth().stacks.map(({ template }) => JSON.stringify(template));
      expect(stacks).toHaveLength(2);
      for (const text of [...[platform, ...teams].map((each) => JSON.stringify(each.toJSON())), ...stacks]) {
        for (const word of ['Fn::ImportValue', 'Fn::GetStackOutput', '"Export"']) expect(text).not.toContain(word);
      }
    });

    test('a team reads parameters that the platform writes, as strings, and nothing else of it', () => {
      const { platform, teams } = twoApps();
      for (const team of teams) {
        const read = lookedUp(team);
        expect(read.length).toBeGreaterThan(3);
        for (const { Type, Default } of read) {
          expect(Type).toBe('AWS::SSM::Parameter::Value<String>');
          expect(written(platform)).toContain(Default);
        }
        // Whatever else is named in the template is made in it.
        const ids = new Set([
          ...Object.keys(team.toJSON()['Resources']),
          ...Object.keys(team.toJSON()['Parameters']),
          ...['AccountId', 'Partition', 'Region', 'StackId', 'StackName', 'URLSuffix', 'NoValue'].map(
            (each) => `AWS::${each}`,
          ),
        ]);
        const named = JSON.stringify(team.toJSON()['Resources']).matchAll(/"Ref":"([^"]+)"|"Fn::GetAtt":\["([^"]+)"/g);
        for (const [, reference, attribute] of named) expect(ids).toContain(reference ?? attribute);
      }
    });

    test('a service of a team lands on the group that it asked for, in the platform’s cluster and subnets', () => {
      const { teams } = twoApps();
      const parameterOf = (template: Template, name: string): string =>
        Object.entries(template.findParameters('*')).find(
          ([, { Default }]) => (Default as string | undefined) === `/slipway/main/${name}`,
        )![0];
      const [l4, a10] = teams as [Template, Template];
      const { Properties } = theOnly(l4, 'AWS::ECS::Service');
      expect(Properties.Cluster).toEqual({ Ref: parameterOf(l4, 'cluster-name') });
      expect(Properties.CapacityProviderStrategy).toEqual([
        { CapacityProvider: { Ref: parameterOf(l4, 'capacity/l4') }, Weight: 1 },
      ]);
      const subnets = { 'Fn::Split': [',', { Ref: parameterOf(l4, 'subnets') }] };
      expect(Properties.NetworkConfiguration.AwsvpcConfiguration.Subnets).toEqual([
        { 'Fn::Select': [0, subnets] },
        { 'Fn::Select': [1, subnets] },
      ]);
      expect(theOnly(a10, 'AWS::ECS::Service').Properties.CapacityProviderStrategy).toEqual([
        { CapacityProvider: { Ref: parameterOf(a10, 'capacity/a10') }, Weight: 1 },
      ]);
    });

    test('requests leave the shared load balancer for replicas of a team: the rule is made, in the team’s stack', () => {
      const { facts } = newGpuPlatform(newApp(context));
      const { team, platform } = newTeam(newApp(context), { facts });
      const replicas = new ec2.SecurityGroup(team, 'Replicas', { vpc: platform.vpc, allowAllOutbound: false });
      const targetGroup = new elbv2.ApplicationTargetGroup(team, 'Targets', {
        vpc: platform.vpc,
        port: 8080,
        protocol: elbv2.ApplicationProtocol.HTTP,
        targetType: elbv2.TargetType.IP,
      });
      new elbv2.ApplicationListenerRule(team, 'Rule', {
        listener: platform.sharedListener.listener,
        priority: 10,
        conditions: [elbv2.ListenerCondition.pathPatterns(['/digits/*'])],
        targetGroups: [targetGroup],
      });
      replicas.connections.allowFrom(platform.sharedListener.securityGroup, ec2.Port.tcp(8080));
      const template = Template.fromStack(team);
      const inTo = { 'Fn::GetAtt': [theOnly(template, 'AWS::EC2::SecurityGroup').id, 'GroupId'] };
      const egress = theOnly(template, 'AWS::EC2::SecurityGroupEgress').Properties;
      expect(egress).toMatchObject({ DestinationSecurityGroupId: inTo, FromPort: 8080, ToPort: 8080 });
      expect(theOnly(template, 'AWS::EC2::SecurityGroupIngress').Properties).toMatchObject({
        GroupId: inTo,
        SourceSecurityGroupId: egress.GroupId,
      });
    });

    test('joining warns of nothing that a team could not change', () => {
      const { facts } = newGpuPlatform(newApp(context));
      const { team, platform } = newTeam(newApp(context), { facts });
      addService(team, platform);
      expect(Annotations.fromStack(team).findWarning('*', Match.stringLikeRegexp('oSubnetRouteTableId'))).toEqual([]);
    });
  });
}

test('zones of the platform’s subnets are known to those who ask', () => {
  const { facts } = newGpuPlatform(newApp());
  const { team, platform } = newTeam(newApp(), { facts });
  const parts = { 'Fn::Split': [',', { Ref: expect.stringContaining('subnets') }] };
  expect(team.resolve(platform.vpc.availabilityZones)).toEqual([
    { 'Fn::Select': [2, parts] },
    { 'Fn::Select': [3, parts] },
  ]);
});

test('a stack waits only for the parameters that it uses', () => {
  const { facts } = newGpuPlatform(newApp());
  const { team, platform } = newTeam(newApp(), { facts });
  platform.capacity('l4');
  expect(lookedUp(Template.fromStack(team)).map(({ Default }) => Default)).toEqual(['/slipway/main/capacity/l4']);
});

test('in one app a team is deployed after the platform', () => {
  const app = newApp();
  const made = newGpuPlatform(app);
  const { team } = newTeam(app, { facts: made.facts });
  expect(team.dependencies).toEqual([Stack.of(made)]);
});

test('a team in a stage is ordered after the platform of that stage, and of no other', () => {
  const app = newApp();
  const stages = ['Development', 'Production'].map((id) => {
    const stage = new Stage(app, id);
    const made = new InferencePlatform(new Stack(stage, 'Platform'), 'Main', { plaintextInsideVpc: true });
    const team = new Stack(stage, 'Team');
    InferencePlatform.fromFacts(team, 'Platform', made.facts);
    return { made, team };
  });
  for (const { made, team } of stages) expect(team.dependencies).toEqual([Stack.of(made)]);
  expect(() => app.synth()).not.toThrow();
});

test('the stack of the platform does not join it: its parameters are not there when it is created', () => {
  const made = newGpuPlatform(newApp());
  expect(() => InferencePlatform.fromFacts(Stack.of(made), 'Again', made.facts)).toThrow(
    "PLATFORM_FACTS_INVALID facts: 'Platform/Main' is of this very stack, and its parameters are not there when the stack is created; use the platform itself",
  );
});

test('a stack of another account or region finds no parameters, and is told at once', () => {
  const platformEnv = { account: '123456789012', region: 'eu-west-1' };
  const { facts } = newGpuPlatform(newApp(), {}, { env: platformEnv });
  const joinFrom = (env: StackProps['env']) => () =>
    InferencePlatform.fromFacts(new Stack(newApp(), 'Team', env === undefined ? {} : { env }), 'Platform', facts);
  expect(joinFrom({ ...platformEnv, region: 'us-east-1' })).toThrow(
    "PLATFORM_FACTS_INVALID facts.region: the platform is in 'eu-west-1', the stack 'Team' in 'us-east-1', where its parameters are not",
  );
  expect(joinFrom({ ...platformEnv, account: '210987654321' })).toThrow('PLATFORM_FACTS_INVALID facts.account');
  for (const env of [platformEnv, undefined]) expect(joinFrom(env)).not.toThrow();
});

test('the platform and everybody who joined it mean the same listener', () => {
  const app = newApp();
  const made = newGpuPlatform(app);
  const { platform } = newTeam(app, { facts: made.facts });
  expect(platform.key).toBe(made.key);
  const { key, port, isTls, idleTimeoutSeconds, hasNonForwardActions } = made.sharedListener;
  expect(platform.sharedListener).toMatchObject({ key, port, isTls, idleTimeoutSeconds, hasNonForwardActions });
  const elsewhere = newTeam(newApp(), { facts: { ...made.facts, region: 'us-east-1' } });
  expect(elsewhere.platform.key).not.toBe(made.key);
});

function addSharedService(team: Stack, platform: IInferencePlatform, props: { id?: string; priority: number }) {
  return new InferenceService(team, props.id ?? 'Digits', {
    platform,
    path: '/v2/models/digits*',
    priority: props.priority,
    image: imageByDigest(team, `${props.id ?? 'Digits'}Images`),
    models: [Model.fromAsset(DIGITS)],
  });
}

test('a service behind the shared listener is all that a team makes: no load balancer, no network, no cluster', () => {
  const { facts } = newGpuPlatform(newApp(), { idleTimeoutSeconds: 90, preset: 'development' });
  const { team, platform } = newTeam(newApp(), { facts });
  const service = addSharedService(team, platform, { priority: 10 });
  const template = Template.fromStack(team);
  for (const type of ['EC2::VPC', 'ECS::Cluster', 'ElasticLoadBalancingV2::LoadBalancer', 'EC2::Subnet']) {
    template.resourceCountIs(`AWS::${type}`, 0);
  }
  expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::ListenerRule').Properties.Priority).toBe(10);
  // What the platform decided once: replicas keep connections longer than its load balancer does.
  expect(service.plan).toMatchObject({ preset: 'development', lifecycle: { idleTimeoutSeconds: 90 } });
});

test('a team whose service the whole internet could call without showing who it is, is warned', () => {
  const { facts } = newGpuPlatform(newApp());
  for (const [exposure, count] of [
    ['public', 1],
    ['internal', 0],
  ] as const) {
    const listener = { ...facts.listener, tls: true, port: 443, exposure };
    const { team, platform } = newTeam(newApp(), { facts: { ...facts, listener } });
    const { url } = addSharedService(team, platform, { priority: 10 });
    expect(team.resolve(url)).toMatchObject({ 'Fn::Join': ['', ['https://', { Ref: expect.any(String) }]] });
    const warnings = Annotations.fromStack(team).findWarning('*', Match.stringLikeRegexp('public-without-auth'));
    expect(warnings).toHaveLength(count);
  }
});

test('services of two teams call each other by name, in the namespace of the platform', () => {
  const { facts } = newGpuPlatform(newApp(), { namespace: 'inference' });
  for (const [options, namespace] of [
    [{}, 'inference'],
    [{ namespace: 'ours' }, 'ours'],
  ] as const) {
    const { team, platform } = newTeam(newApp(), { facts });
    const service = new InferenceService(team, 'Digits', {
      platform,
      loadBalancer: false,
      serviceConnect: options,
      image: imageByDigest(team),
      models: [Model.fromAsset(DIGITS)],
    });
    expect(service.url).toBe('http://digits:8080');
    const template = Template.fromStack(team);
    const { ServiceConnectConfiguration } = theOnly(template, 'AWS::ECS::Service').Properties;
    expect(ServiceConnectConfiguration).toMatchObject({ Enabled: true, Namespace: namespace });
    expect(lookedUp(template).map(({ Default }) => Default)).not.toContain('/slipway/main/listener-arn');
  }
});

describe('a service without a load balancer', () => {
  const { facts } = newGpuPlatform(newApp(), { namespace: 'inference' });

  function addUnbalanced(app: App): Stack {
    const { team, platform } = newTeam(app, { facts });
    new InferenceService(team, 'Digits', {
      platform,
      loadBalancer: false,
      serviceConnect: { dnsName: 'figures' },
      image: imageByDigest(team),
      models: [Model.fromAsset(DIGITS)],
    });
    return team;
  }

  test('is found by another team, whose callers its replicas let in and not the load balancer', () => {
    const theirs = Template.fromStack(addUnbalanced(newApp()));
    const parameters = resourcesOf(theirs, 'AWS::SSM::Parameter').map(({ Properties }) => Properties);
    expect(parameters.map(({ Name }) => Name).sort()).toEqual(
      ['connect-url', 'ecs-service', 'security-group'].map((name) => `/slipway/main/services/digits/${name}`),
    );
    const [group] = theOnly(theirs, 'AWS::ECS::Service').Properties.NetworkConfiguration.AwsvpcConfiguration
      .SecurityGroups;
    expect(parameters.find(({ Name }) => Name.endsWith('/security-group'))!.Value).toEqual(group);
    expect(parameters.find(({ Name }) => Name.endsWith('/connect-url'))!.Value).toBe('http://figures:8080');

    const { team, platform } = newTeam(newApp(), { facts, id: 'Caller' });
    const found = InferenceService.fromPlatform(team, 'Digits', platform, 'digits', { loadBalancer: false });
    const client = new ec2.SecurityGroup(team, 'Client', { vpc: platform.vpc, allowAllOutbound: false });
    found.connections.allowDefaultPortFrom(client);
    const template = Template.fromStack(team);
    const parameterOf = (reference: { readonly Ref: string }): string =>
      (template.findParameters(reference.Ref)[reference.Ref] as Parameter).Default!;
    const ingress = theOnly(template, 'AWS::EC2::SecurityGroupIngress').Properties;
    const egress = theOnly(template, 'AWS::EC2::SecurityGroupEgress').Properties;
    expect(parameterOf(ingress.GroupId)).toBe('/slipway/main/services/digits/security-group');
    expect(parameterOf(egress.DestinationSecurityGroupId)).toBe('/slipway/main/services/digits/security-group');
    for (const rule of [ingress, egress]) expect(rule).toMatchObject({ FromPort: 8080, ToPort: 8080 });
    expect(parameterOf(team.resolve(found.url))).toBe('/slipway/main/services/digits/connect-url');
    expect(lookedUp(template).map(({ Default }) => Default)).not.toContain(
      '/slipway/main/load-balancer-security-group',
    );
  });

  test('is not taken for one that is behind the listener, nor the other way round', () => {
    const app = newApp();
    const of = (name: string, loadBalancer?: boolean) => () =>
      InferenceService.fromPlatform(
        caller.team,
        `${name}${String(loadBalancer)}`,
        caller.platform,
        name,
        loadBalancer === undefined ? {} : { loadBalancer },
      );
    addUnbalanced(app);
    const { team, platform } = newTeam(app, { facts, id: 'Sharing' });
    addSharedService(team, platform, { id: 'Shared', priority: 10 });
    const caller = newTeam(app, { facts, id: 'Caller' });
    expect(of('digits')).toThrow(
      "LISTENER_CHOICE loadBalancer: 'digits' has no load balancer: its replicas let callers in; write { loadBalancer: false }",
    );
    expect(of('shared', false)).toThrow(
      "LISTENER_CHOICE loadBalancer: 'shared' is behind the platform's listener; leave loadBalancer out",
    );
    for (const known of [of('digits', false), of('shared'), of('elsewhere')]) expect(known).not.toThrow();
  });
});

test('a service beside the platform is created after the association of its machines with the cluster', () => {
  const made = newGpuPlatform(newApp());
  addService(Stack.of(made), made);
  const template = Template.fromStack(Stack.of(made));
  const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations');
  expect(theOnly(template, 'AWS::ECS::Service').DependsOn).toContain(association.id);
});

test('a team knows of machines that ECS keeps by itself, and has its replicas made for them', () => {
  const made = newGpuPlatform(newApp(), { groups: { l4: { capacity: Capacity.managedInstances(['g6.xlarge']) } } });
  expect(made.facts.groups['l4']).toEqual({
    kind: 'managedInstances',
    instanceTypes: ['g6.xlarge'],
    spot: false,
  });
  const { team, platform } = newTeam(newApp(), { facts: made.facts });
  addService(team, platform);
  const template = Template.fromStack(team);
  expect(theOnly(template, 'AWS::ECS::TaskDefinition').Properties.RequiresCompatibilities).toEqual([
    'MANAGED_INSTANCES',
  ]);
  expect(lookedUp(template).map(({ Default }) => Default)).toContain('/slipway/main/capacity/l4');
});

test('a model that a machine keeps is kept for the replicas of a team too', () => {
  const { facts } = newGpuPlatform(newApp());
  expect(facts.groups['l4']!.modelCache).toBe(true);
  const { team, platform } = newTeam(newApp(), { facts });
  addService(team, platform);
  const { Volumes } = theOnly(Template.fromStack(team), 'AWS::ECS::TaskDefinition').Properties;
  expect(Volumes.map(({ DockerVolumeConfiguration }: any) => DockerVolumeConfiguration.Scope)).toEqual([
    'shared',
    'task',
  ]);
});

test('two teams of one app cannot take one priority, and the platform’s own stack counts', () => {
  const app = newApp();
  const made = newGpuPlatform(app);
  addSharedService(Stack.of(made), made, { id: 'Own', priority: 10 });
  const { team, platform } = newTeam(app, { facts: made.facts });
  addSharedService(team, platform, { id: 'Theirs', priority: 10 });
  expect(() => app.synth()).toThrow(
    "PRIORITY_TAKEN priority: 10 is that of 'Platform/Own' on the same listener; give one of them another",
  );
});

test('a service is not put on the platform of another stack', () => {
  const app = newApp();
  const made = newGpuPlatform(app);
  expect(() => addSharedService(new Stack(app, 'Team'), made, { priority: 10 })).toThrow('CLUSTER_MISMATCH platform');
});

test('two teams cannot give their services one name: both would scale on the load of the other', () => {
  const app = newApp();
  const { facts } = newGpuPlatform(app);
  for (const id of ['One', 'Two']) {
    const { team, platform } = newTeam(app, { facts, id });
    addService(team, platform, { serviceName: 'digits' });
  }
  expect(() => app.synth()).toThrow("NAME_TAKEN serviceName: 'digits' is the name of 'One/Digits' in the same cluster");
});

test('the facts that the example’s teams have committed are what its platform writes', () => {
  const { directory } = createPlatformApp({ outdir: emptyFolder() }).synth();
  const committed = readFileSync('cdk/examples/platform-and-teams/platform.facts.json', 'utf8');
  expect(committed).toBe(readFileSync(join(directory, 'main.platform.facts.json'), 'utf8'));
});

test('the teams of the example read nothing that its platform does not write', () => {
  const [platform, teams] = [createPlatformApp, createTeamsApp].map((create) => create({ outdir: emptyFolder() })) as [
    App,
    App,
  ];
  const names = written(Template.fromStack(platform.node.findChild('PlatformMain') as Stack));
  const stacks = teams.node.children.filter((child) => Stack.isStack(child));
  expect(stacks).toHaveLength(3);
  for (const stack of stacks) {
    for (const { Default } of lookedUp(Template.fromStack(stack))) expect(names).toContain(Default);
  }
});

test('a platform is handed to no other stack than its own, joined or made', () => {
  const app = newApp();
  const made = newGpuPlatform(app);
  const { team, platform } = newTeam(app, { facts: made.facts });
  const other = newTeam(app, { facts: made.facts, id: 'Other' });
  expect(() => assertSameStack(team, made)).toThrow(
    "CLUSTER_MISMATCH platform: 'Platform/Main' is of another stack than 'Team'; join it there with InferencePlatform.fromFacts",
  );
  expect(() => assertSameStack(other.team, platform)).toThrow("CLUSTER_MISMATCH platform: 'Team/Platform' is of");
  expect(() => assertSameStack(team, platform)).not.toThrow();
  expect(() => assertSameStack(made.cluster, made)).not.toThrow();
});
