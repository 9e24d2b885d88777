import { App, Stack, Stage } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Exposure, InferencePlatform, Waf, type InferencePlatformProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { newApp, newGpuPlatform, newPlatform } from './support/platforms';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newStack,
  pinnedMachineImage,
  resourcesOf,
  theOnly,
} from './support/stacks';

const CERTIFICATE = 'arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000';

describeWithAndWithoutFlags('InferencePlatform', (newStack) => {
  function synthesize(props?: Partial<InferencePlatformProps>): Template {
    const stack = newStack();
    newPlatform(stack, props);
    return Template.fromStack(stack);
  }

  function endpointServices(template: Template): string[] {
    return resourcesOf(template, 'AWS::EC2::VPCEndpoint').map(
      ({ Properties }) => /\.((?:ecr\.)?[a-z0-9-]+)"\]+\}$/.exec(JSON.stringify(Properties.ServiceName))![1]!,
    );
  }

  test('has no way out of the VPC, and the ways in to what a replica needs to start', () => {
    const template = synthesize();
    template.resourceCountIs('AWS::EC2::NatGateway', 0);
    template.resourceCountIs('AWS::EC2::InternetGateway', 0);
    expect(endpointServices(template).sort()).toEqual(
      ['ecr.api', 'ecr.dkr', 'ecs', 'ecs-agent', 'ecs-telemetry', 'logs', 's3'].sort(),
    );
    const subnets = resourcesOf(template, 'AWS::EC2::Subnet').map(({ id }) => ({ Ref: id }));
    expect(subnets).toHaveLength(2);
    for (const { Properties } of resourcesOf(template, 'AWS::EC2::VPCEndpoint')) {
      if (Properties.VpcEndpointType === 'Gateway') {
        expect(Properties.RouteTableIds).toEqual(
          resourcesOf(template, 'AWS::EC2::RouteTable').map(({ id }) => ({ Ref: id })),
        );
      } else {
        expect(Properties).toMatchObject({ PrivateDnsEnabled: true, SubnetIds: subnets });
      }
    }
  });

  test('lets HTTPS into its endpoints from the VPC alone, and nothing out of them', () => {
    const template = synthesize();
    const groups = resourcesOf(template, 'AWS::EC2::SecurityGroup').filter(({ id }) => id.includes('Endpoints'));
    expect(groups).toHaveLength(1);
    expect(groups[0]!.Properties.SecurityGroupIngress).toMatchObject([
      { CidrIp: '10.0.0.0/16', IpProtocol: 'tcp', FromPort: 443, ToPort: 443 },
    ]);
    expect(groups[0]!.Properties.SecurityGroupEgress).toMatchObject([{ CidrIp: '255.255.255.255/32' }]);
    for (const { Properties } of resourcesOf(template, 'AWS::EC2::VPCEndpoint')) {
      if (Properties.VpcEndpointType === 'Gateway') continue;
      expect(Properties.SecurityGroupIds).toEqual([{ 'Fn::GetAtt': [groups[0]!.id, 'GroupId'] }]);
    }
  });

  test('with NAT gateways has one in each zone in production, one in development, and pays for no endpoint', () => {
    for (const [preset, gateways] of [
      ['production', 2],
      ['development', 1],
    ] as const) {
      const template = synthesize({ egress: 'nat', preset });
      template.resourceCountIs('AWS::EC2::NatGateway', gateways);
      expect(endpointServices(template)).toEqual(['s3']);
      const { Properties } = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer');
      expect(JSON.stringify(Properties.Subnets)).toContain('ReplicasSubnet1');
      expect(JSON.stringify(Properties.Subnets)).not.toContain('Public');
      for (const subnet of resourcesOf(template, 'AWS::EC2::Subnet')) {
        expect(subnet.Properties.MapPublicIpOnLaunch).toBe(false);
      }
    }
  });

  test('the full set of endpoints adds secrets, keys, queues, role tokens, parameters, shells and metrics', () => {
    const services = endpointServices(synthesize({ endpoints: 'full' }));
    expect(services).toEqual(
      expect.arrayContaining(['secretsmanager', 'kms', 'sqs', 'sts', 'ssm', 'ssmmessages', 'monitoring']),
    );
    expect(services).toHaveLength(14);
  });

  test('an endpoint is made once, however often it is asked for', () => {
    const stack = newStack();
    const platform = newPlatform(stack);
    const secrets = platform.addEndpoint(ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER);
    expect(platform.addEndpoint(ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER)).toBe(secrets);
    expect(endpointServices(Template.fromStack(stack))).toContain('secretsmanager');
  });

  test('logs what the network refuses, and keeps the log in production', () => {
    for (const [preset, policy] of [
      ['production', 'Retain'],
      ['development', 'Delete'],
    ] as const) {
      const template = synthesize({ preset, logRetention: logs.RetentionDays.ONE_YEAR });
      expect(theOnly(template, 'AWS::EC2::FlowLog').Properties).toMatchObject({
        ResourceType: 'VPC',
        TrafficType: 'REJECT',
      });
      expect(theOnly(template, 'AWS::Logs::LogGroup')).toMatchObject({
        DeletionPolicy: policy,
        Properties: { RetentionInDays: 365 },
      });
    }
  });

  test('runs no function of anybody', () => {
    const types = Object.values(synthesize({ egress: 'nat' }).toJSON()['Resources']).map(({ Type }: any) => Type);
    expect(types.filter((type) => /Lambda|^Custom::|CustomResource/.test(type))).toEqual([]);
  });

  test('has a cluster that takes Fargate on demand and spot, watched in production', () => {
    for (const [preset, value] of [
      ['production', 'enabled'],
      ['development', 'disabled'],
    ] as const) {
      const template = synthesize({ preset });
      expect(theOnly(template, 'AWS::ECS::Cluster').Properties.ClusterSettings).toEqual([
        { Name: 'containerInsights', Value: value },
      ]);
      expect(theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations').Properties.CapacityProviders).toEqual([
        'FARGATE',
        'FARGATE_SPOT',
      ]);
    }
  });

  test('shares one internal listener, which nobody may call and which answers 404 to what no service asked for', () => {
    const template = synthesize();
    const loadBalancer = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer');
    expect(loadBalancer.Properties.Scheme).toBe('internal');
    expect(loadBalancer.Properties.LoadBalancerAttributes).toEqual(
      expect.arrayContaining([
        { Key: 'routing.http.drop_invalid_header_fields.enabled', Value: 'true' },
        { Key: 'idle_timeout.timeout_seconds', Value: '120' },
      ]),
    );
    expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::Listener').Properties).toMatchObject({
      Port: 80,
      Protocol: 'HTTP',
      DefaultActions: [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404' } }],
    });
    const group = resourcesOf(template, 'AWS::EC2::SecurityGroup').find(({ id }) => id.includes('LoadBalancer'))!;
    expect(group.Properties.SecurityGroupIngress).toBeUndefined();
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
  });

  test('with a certificate speaks nothing older than TLS 1.2', () => {
    const stack = newStack();
    newPlatform(stack, { certificate: acm.Certificate.fromCertificateArn(stack, 'Certificate', CERTIFICATE) });
    expect(theOnly(Template.fromStack(stack), 'AWS::ElasticLoadBalancingV2::Listener').Properties).toMatchObject({
      Port: 443,
      Protocol: 'HTTPS',
      SslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
    });
  });

  test('leaves what only deployment knows in parameters, plain strings below its name', () => {
    const stack = newStack();
    newPlatform(stack, {
      groups: { l4: { instanceTypes: ['g6.xlarge'], machineImage: pinnedMachineImage() } },
    });
    const template = Template.fromStack(stack);
    const parameters = resourcesOf(template, 'AWS::SSM::Parameter');
    expect(parameters.map(({ Properties }) => Properties.Name).sort()).toEqual([
      '/slipway/main/capacity/l4',
      '/slipway/main/cluster-name',
      '/slipway/main/listener-arn',
      '/slipway/main/load-balancer-dns',
      '/slipway/main/load-balancer-name',
      '/slipway/main/load-balancer-security-group',
      '/slipway/main/subnets',
      '/slipway/main/vpc-id',
    ]);
    expect(new Set(parameters.map(({ Properties }) => Properties.Type))).toEqual(new Set(['String']));
    const valueOf = (name: string): unknown =>
      parameters.find(({ Properties }) => Properties.Name === `/slipway/main/${name}`)!.Properties.Value;
    expect(valueOf('capacity/l4')).toEqual({ Ref: theOnly(template, 'AWS::ECS::CapacityProvider').id });
    expect(valueOf('subnets')).toEqual({
      'Fn::Join': [
        ',',
        [
          ...resourcesOf(template, 'AWS::EC2::Subnet').map(({ id }) => ({ Ref: id })),
          ...resourcesOf(template, 'AWS::EC2::Subnet').map(({ Properties }) => Properties.AvailabilityZone),
        ],
      ],
    });
  });

  test('puts the machines of every group into its own cluster and into the subnets of replicas', () => {
    const stack = newStack();
    const machineImage = pinnedMachineImage();
    const platform = newPlatform(stack, {
      preset: 'development',
      groups: { l4: { instanceTypes: ['g6.xlarge'], machineImage } },
    });
    platform.addGroup('a10', { instanceTypes: ['g5.xlarge'], machineImage, preset: 'production' });
    const template = Template.fromStack(stack);
    for (const { Properties } of resourcesOf(template, 'AWS::AutoScaling::AutoScalingGroup')) {
      expect(Properties.VPCZoneIdentifier).toEqual(
        resourcesOf(template, 'AWS::EC2::Subnet').map(({ id }) => ({ Ref: id })),
      );
    }
    // A group is what the platform is, unless it says otherwise.
    expect(
      resourcesOf(template, 'AWS::ECS::CapacityProvider').map(
        ({ Properties }) => Properties.AutoScalingGroupProvider.ManagedTerminationProtection,
      ),
    ).toEqual(['DISABLED', 'ENABLED']);
    expect(platform.capacity('l4').cluster).toBe(platform.cluster);
  });
});

test('a public platform has its load balancer alone face the internet, over TLS, behind what its author chose', () => {
  const stack = newStack();
  const certificate = acm.Certificate.fromCertificateArn(stack, 'Certificate', CERTIFICATE);
  const platform = newPlatform(stack, { certificate, exposure: Exposure.public({ waf: Waf.managed() }) });
  expect(platform.facts.listener).toMatchObject({ port: 443, tls: true, exposure: 'public' });
  const template = Template.fromStack(stack);
  const loadBalancer = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer');
  expect(loadBalancer.Properties.Scheme).toBe('internet-facing');
  expect(JSON.stringify(loadBalancer.Properties.Subnets)).not.toContain('Replicas');
  theOnly(template, 'AWS::WAFv2::WebACL');
  expect(theOnly(template, 'AWS::WAFv2::WebACLAssociation').Properties.ResourceArn).toEqual({ Ref: loadBalancer.id });
  const group = resourcesOf(template, 'AWS::EC2::SecurityGroup').find(({ id }) => id.includes('LoadBalancer'))!;
  expect(group.Properties.SecurityGroupIngress).toMatchObject([{ CidrIp: '0.0.0.0/0', FromPort: 443, ToPort: 443 }]);
  // Replicas still have no way out.
  template.resourceCountIs('AWS::EC2::NatGateway', 0);
  const routes = resourcesOf(template, 'AWS::EC2::Route').map(({ Properties }) =>
    JSON.stringify(Properties.RouteTableId),
  );
  expect(routes).toEqual([
    expect.stringContaining('PublicSubnet1RouteTable'),
    expect.stringContaining('PublicSubnet2RouteTable'),
  ]);
  expect(platform.facts.subnetType).toBe('isolated');
});

test('a public platform needs a certificate, and a word about what stands before it', () => {
  const stack = newStack();
  const certificate = acm.Certificate.fromCertificateArn(stack, 'Certificate', CERTIFICATE);
  const undecided = {} as Parameters<typeof Exposure.public>[0];
  expect(() => newPlatform(stack, { exposure: Exposure.public({ waf: false }) })).toThrow(
    'EXPOSURE_WITHOUT_CERTIFICATE certificate',
  );
  expect(() => newPlatform(newStack(), { certificate, exposure: Exposure.public(undecided) })).toThrow(
    'EXPOSURE_WITHOUT_WAF exposure.waf',
  );
});

test('one more zone, or a way out, moves no subnet that is in use', () => {
  const blocks = (props: Partial<InferencePlatformProps>): string[] => {
    const env = { account: '123456789012', region: 'eu-west-1' };
    const stack = new Stack(newApp(), 'Stack', { env });
    newPlatform(stack, props);
    return resourcesOf(Template.fromStack(stack), 'AWS::EC2::Subnet').map(({ Properties }) => Properties.CidrBlock);
  };
  const two = ['10.0.0.0/19', '10.0.32.0/19'];
  expect(blocks({})).toEqual(two);
  expect(blocks({ maxAzs: 3 })).toEqual([...two, '10.0.64.0/19']);
  expect(blocks({ egress: 'nat' })).toEqual([...two, '10.0.192.0/21', '10.0.200.0/21']);
  expect(blocks({ maxAzs: 3, egress: 'nat' })).toEqual(expect.arrayContaining(blocks({ egress: 'nat' })));
  expect(blocks({ cidr: '10.9.0.0/22', egress: 'nat' })).toEqual(
    expect.arrayContaining(['10.9.0.0/25', '10.9.0.128/25', '10.9.3.0/27']),
  );
});

test('a VPC that exists is used as it is: nothing is added to it, and replicas get one subnet in each zone', () => {
  const stack = newStack();
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Theirs', {
    vpcId: 'vpc-1',
    vpcCidrBlock: '10.20.0.0/16',
    availabilityZones: ['eu-west-1a', 'eu-west-1b'],
    privateSubnetIds: ['subnet-1', 'subnet-2', 'subnet-3', 'subnet-4'],
    privateSubnetRouteTableIds: ['rtb-1', 'rtb-2', 'rtb-3', 'rtb-4'],
  });
  const platform = newPlatform(stack, { vpc });
  expect(platform.facts).toMatchObject({ zones: 2, subnetType: 'private' });
  platform.addEndpoint(ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER);
  const template = Template.fromStack(stack);
  for (const type of ['VPC', 'Subnet', 'NatGateway', 'FlowLog']) template.resourceCountIs(`AWS::EC2::${type}`, 0);
  expect(theOnly(template, 'AWS::EC2::VPCEndpoint').Properties.SubnetIds).toEqual(['subnet-1', 'subnet-2']);
  expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties.Subnets).toEqual([
    'subnet-1',
    'subnet-2',
  ]);
  expect(JSON.stringify(template.findResources('AWS::EC2::SecurityGroup'))).toContain('10.20.0.0/16');
});

describe('a VPC that another stack makes', () => {
  const app = newApp();
  const theirs = new Stack(app, 'Network');
  const vpc = new ec2.Vpc(theirs, 'Vpc');
  const attributes = {
    availabilityZones: ['a'],
    privateSubnetIds: ['subnet-1'],
    privateSubnetRouteTableIds: ['rtb-1'],
  };

  test('is refused, however it is handed over: its stack would export it', () => {
    const refusal = (path: string, owner: string, id: string) =>
      `NETWORK_CHOICE ${path}: '${owner}' is made in another stack than the platform's, '${id}', and would lock both`;
    expect(() => newPlatform(new Stack(app, 'A'), { vpc })).toThrow(refusal('vpc', 'Network/Vpc', 'A'));
    const b = new Stack(app, 'B');
    expect(() => newPlatform(b, { cluster: new ecs.Cluster(b, 'Cluster', { vpc }) })).toThrow(
      refusal('vpc', 'Network/Vpc', 'B'),
    );
    const c = new Stack(app, 'C');
    const named = ec2.Vpc.fromVpcAttributes(c, 'Vpc', { vpcId: 'vpc-1', ...attributes });
    const subnet = vpc.privateSubnets[0]!;
    expect(() => newPlatform(c, { vpc: named, vpcSubnets: { subnets: [subnet] } })).toThrow(
      refusal('vpcSubnets', subnet.node.path, 'C'),
    );
  });

  test('is taken where its ids are known, whichever stack names them', () => {
    const valid = newApp();
    const naming = new Stack(valid, 'Network');
    const stack = new Stack(valid, 'Platform');
    newPlatform(stack, { vpc: ec2.Vpc.fromVpcAttributes(naming, 'Named', { vpcId: 'vpc-1', ...attributes }) });
    for (const each of [stack, naming]) {
      const text = JSON.stringify(Template.fromStack(each).toJSON());
      expect(text).not.toMatch(/Fn::ImportValue|"Export"/);
    }
  });
});

test('a cluster that exists is joined, with its VPC', () => {
  const stack = newStack();
  const cluster = newCluster(stack);
  const platform = newPlatform(stack, { cluster });
  expect(platform.cluster).toBe(cluster);
  expect(platform.vpc).toBe(cluster.vpc);
  Template.fromStack(stack).resourceCountIs('AWS::ECS::Cluster', 1);
});

test('a namespace is the cluster’s own, and costs no zone of DNS', () => {
  const stack = newStack();
  const platform = newPlatform(stack, { namespace: 'inference' });
  expect(platform.facts.namespace).toBe('inference');
  const template = Template.fromStack(stack);
  const namespace = theOnly(template, 'AWS::ServiceDiscovery::HttpNamespace');
  expect(namespace.Properties.Name).toBe('inference');
  expect(theOnly(template, 'AWS::ECS::Cluster').Properties.ServiceConnectDefaults).toEqual({
    Namespace: { 'Fn::GetAtt': [namespace.id, 'Arn'] },
  });
  Template.fromStack(Stack.of(newPlatform())).resourceCountIs('AWS::ServiceDiscovery::HttpNamespace', 0);
});

test('access logs are written where the stack names a region, and missed aloud where it does not', () => {
  const attributes = (stack: Stack): unknown => {
    newPlatform(stack, { accessLogsBucket: new s3.Bucket(stack, 'AccessLogs') });
    return theOnly(Template.fromStack(stack), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties
      .LoadBalancerAttributes;
  };
  const known = new Stack(newApp(), 'Known', { env: { account: '123456789012', region: 'eu-west-1' } });
  expect(attributes(known)).toEqual(expect.arrayContaining([{ Key: 'access_logs.s3.enabled', Value: 'true' }]));
  const unknown = newStack();
  expect(JSON.stringify(attributes(unknown))).not.toContain('access_logs.s3.enabled');
  const warnings = Annotations.fromStack(unknown).findWarning(
    '*',
    Match.stringLikeRegexp('slipway:access-logs-without-region'),
  );
  expect(warnings).toHaveLength(1);
});

test('refuses choices about the network that exclude each other', () => {
  const refused = (props: Partial<InferencePlatformProps>): (() => unknown) => {
    return () => newPlatform(newStack(), props);
  };
  const vpc = newCluster(newStack()).vpc;
  for (const choice of [{ cidr: '10.1.0.0/16' }, { maxAzs: 3 }, { egress: 'nat' }, { endpoints: 'full' }] as const) {
    const name = Object.keys(choice)[0]!;
    expect(refused({ vpc, ...choice })).toThrow(
      `NETWORK_CHOICE ${name}: says how to make a VPC, but one is given in vpc; leave one of them out`,
    );
  }
  expect(refused({ endpoints: 'none' })).toThrow(
    "NETWORK_CHOICE endpoints: got 'none' and no way out: no replica could ever be started",
  );
  expect(refused({ vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED } })).toThrow(
    'NETWORK_CHOICE vpcSubnets: selects among the subnets of a VPC that exists, got no vpc',
  );
  const twoInOneZone = ec2.Vpc.fromVpcAttributes(newStack(), 'Theirs', {
    vpcId: 'vpc-1',
    availabilityZones: ['eu-west-1a'],
    isolatedSubnetIds: ['subnet-1', 'subnet-2'],
    isolatedSubnetRouteTableIds: ['rtb-1', 'rtb-2'],
  });
  expect(refused({ vpc: twoInOneZone, vpcSubnets: { subnets: twoInOneZone.isolatedSubnets } })).toThrow(
    'NETWORK_CHOICE vpcSubnets: must select one subnet in each zone, got 2 in 1; add onePerAz: true',
  );
  expect(refused({ vpc: twoInOneZone, vpcSubnets: { subnets: [] } })).toThrow(
    'NETWORK_CHOICE vpcSubnets: must select at least one subnet of the VPC, got none',
  );
  for (const cidr of ['10.0.0.0/8', '10.0.0.0/23', '10.0.0.0', 'fd00::/16']) {
    expect(refused({ cidr })).toThrow(`NETWORK_CHOICE cidr: must be a block of IPv4 addresses from /16 to /22, got`);
  }
  expect(refused({ maxAzs: 1 })).toThrow('NUMBER_INVALID maxAzs');
  expect(refused({ idleTimeoutSeconds: 5_000 })).toThrow('NUMBER_INVALID idleTimeoutSeconds');
});

test('a certificate, or plaintext inside the VPC: one of the two is said', () => {
  const stack = newStack();
  expect(() => new InferencePlatform(stack, 'None', {})).toThrow('LISTENER_PLAINTEXT certificate: the listener needs');
  const certificate = acm.Certificate.fromCertificateArn(stack, 'Certificate', CERTIFICATE);
  expect(() => new InferencePlatform(stack, 'Both', { certificate, plaintextInsideVpc: true })).toThrow(
    'LISTENER_PLAINTEXT certificate: got a certificate and plaintextInsideVpc',
  );
});

test('names become parts of parameter names, so they are plain', () => {
  for (const platformName of ['', 'a/b', 'Main', '../other', 'a'.repeat(41), '1st', 'main-']) {
    expect(() => newPlatform(newStack(), { platformName })).toThrow('NAME_INVALID platformName: must be 1 to 40');
  }
  expect(() => newPlatform().addGroup('L4', { instanceTypes: ['g6.xlarge'] })).toThrow(
    "NAME_INVALID groups.L4: must be 1 to 40 lower-case letters, digits and dashes, begin with a letter and not end with a dash, got 'L4'",
  );
  expect(newPlatform(newStack(), { platformName: 'a'.repeat(40) }).parameterPrefix).toBe(`/slipway/${'a'.repeat(40)}`);
});

test('a group that is not there is answered with those that are', () => {
  const platform = newGpuPlatform(newApp());
  expect(() => platform.capacity('l40')).toThrow(
    "PLATFORM_GROUP_UNKNOWN name: 'main' has no group 'l40'; did you mean 'l4'? it has 'l4', 'a10'",
  );
  expect(() => newPlatform().capacity('l4')).toThrow(
    "PLATFORM_GROUP_UNKNOWN name: 'main' has no group 'l4'; it has none: add one with addGroup",
  );
});

test('two platforms of one name in one account and region would overwrite each other’s parameters', () => {
  const app = newApp();
  newPlatform(new Stack(app, 'One'));
  newPlatform(new Stack(app, 'Two'));
  expect(() => app.synth()).toThrow(
    "NAME_TAKEN platformName: 'main' is the name of 'One/Main' in the same account and region; give one of them another",
  );
});

test('platforms of one name in two regions, or in two stages that name none, are two platforms', () => {
  const app = newApp();
  const account = '123456789012';
  for (const region of ['eu-west-1', 'us-east-1']) newPlatform(new Stack(app, region, { env: { account, region } }));
  for (const stage of ['Development', 'Production']) newPlatform(new Stack(new Stage(app, stage), 'Platform'));
  expect(() => app.synth()).not.toThrow();
});

test('a cluster of another stack is refused: its machines could not be deleted', () => {
  const app = new App({ analyticsReporting: false });
  const cluster: ecs.Cluster = newCluster(new Stack(app, 'Clusters'));
  expect(() => newPlatform(new Stack(app, 'Platform'), { cluster })).toThrow(
    "CLUSTER_MISMATCH cluster: must be in the stack of the platform, 'Platform', got 'Clusters/Cluster'",
  );
  for (const choice of [{ namespace: 'inference' }, { containerInsights: ecs.ContainerInsights.ENABLED }]) {
    const here = newStack();
    expect(() => newPlatform(here, { cluster: newCluster(here), ...choice })).toThrow(
      `NETWORK_CHOICE ${Object.keys(choice)[0]}: says how to make a cluster, but one is given in cluster`,
    );
  }
  const stack = newStack();
  const other = new ec2.Vpc(stack, 'Other', { restrictDefaultSecurityGroup: false });
  expect(() => newPlatform(stack, { cluster: newCluster(stack), vpc: other })).toThrow(
    "CLUSTER_MISMATCH vpc: got 'Stack/Other', but the cluster is in 'Stack/Vpc'; leave vpc out",
  );
});
