import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import {
  Capacity,
  GpuJobQueue,
  InferencePlatform,
  type GpuInstanceGroup,
  type GpuInstanceGroupProps,
  type ICapacity,
} from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { needsOf, type Needs } from './support/delete-order';
import { addGroup } from './support/machines';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  pinnedMachineImage,
  resourcesOf,
  theOnly,
} from './support/stacks';

// Nobody can delete a stack here. What can be shown is that CloudFormation is told the order: it deletes a resource once
// everything that needs it is gone.
describeWithAndWithoutFlags('a delete that ends', (newStack) => {
  function expectOrder(needs: Needs, ...ids: readonly string[]): void {
    for (const [i, id] of ids.entries()) {
      for (const later of ids.slice(i + 1)) {
        expect(needs.get(id), `${id} is deleted before ${later}`).toContain(later);
      }
    }
  }

  function serviceOn(stack: Stack, cluster: ecs.Cluster, ...groups: readonly GpuInstanceGroup[]): void {
    const managed = groups.some(({ kind }) => kind === 'managedInstances');
    const taskDefinition = new ecs.TaskDefinition(stack, 'Task', {
      compatibility: managed ? ecs.Compatibility.MANAGED_INSTANCES : ecs.Compatibility.EC2,
      networkMode: ecs.NetworkMode.AWS_VPC,
      cpu: '1024',
      memoryMiB: '2048',
    });
    taskDefinition.addContainer('main', { image: ecs.ContainerImage.fromRegistry('busybox'), memoryLimitMiB: 1024 });
    const props = {
      cluster,
      taskDefinition,
      minHealthyPercent: 100,
      capacityProviderStrategies: groups.flatMap(({ strategy }) => [...strategy]),
    };
    const service = managed
      ? new ecs.FargateService(stack, 'Service', props)
      : new ecs.Ec2Service(stack, 'Service', props);
    for (const { mustOutlive } of groups) {
      if (mustOutlive !== undefined) service.node.findChild('Service').node.addDependency(mustOutlive);
    }
  }

  const KINDS: readonly (readonly [string, Partial<GpuInstanceGroupProps>])[] = [
    ['one type', { capacity: Capacity.onDemand(['g6.xlarge']) }],
    ['several types', { capacity: Capacity.onDemand(['g6.xlarge', 'g5.xlarge']) }],
    ['spot', { capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge'], { onDemandBase: 1 }) }],
    [
      'a capacity block',
      { capacity: Capacity.capacityBlock('p5.48xlarge', { reservationId: 'cr-0123456789abcdef0' }) },
    ],
    ['machines kept warm', { warmPool: { minSize: 1 } }],
  ];

  test.each(KINDS)(
    '%s: the service goes first, then what ties the provider to the cluster, the provider, the machines, the cluster',
    (_, props) => {
      const stack = newStack();
      const cluster = newCluster(stack);
      serviceOn(stack, cluster, addGroup(stack, { cluster, ...props }));
      const template = Template.fromStack(stack);
      expectOrder(
        needsOf(template),
        ...[
          'AWS::ECS::Service',
          'AWS::ECS::ClusterCapacityProviderAssociations',
          'AWS::ECS::CapacityProvider',
          'AWS::AutoScaling::AutoScalingGroup',
          'AWS::EC2::LaunchTemplate',
          'AWS::ECS::Cluster',
        ].map((type) => theOnly(template, type).id),
      );
    },
  );

  test('machines can reach ECS, and may, for as long as there are any', () => {
    const stack = newStack();
    addGroup(stack);
    const template = Template.fromStack(stack);
    const needs = needsOf(template);
    const group = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').id;
    const routes = resourcesOf(template, 'AWS::EC2::Route').filter(({ id }) => id.includes('Private'));
    expect(routes).toHaveLength(2);
    const policies = resourcesOf(template, 'AWS::IAM::Policy');
    expect(policies).toHaveLength(1);
    for (const { id } of [...routes, ...policies]) expectOrder(needs, group, id);
  });

  describe('in a network without a way out', () => {
    const S3 = ec2.GatewayVpcEndpointAwsService.S3;
    const ECR = ec2.InterfaceVpcEndpointAwsService.ECR;

    /** A cluster whose machines and replicas reach AWS by endpoints alone, some of which are made last. */
    function closedCluster(stack: Stack): { cluster: ecs.Cluster; addLate: () => void } {
      const vpc = new ec2.Vpc(stack, 'Vpc', {
        natGateways: 0,
        subnetConfiguration: [{ name: 'Closed', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
        gatewayEndpoints: { S3: { service: S3 } },
      });
      return {
        cluster: new ecs.Cluster(stack, 'Cluster', { vpc }),
        addLate: () => void vpc.addInterfaceEndpoint('Ecr', { service: ECR }),
      };
    }

    function expectToOutlive(template: Template, count: number, ...types: readonly string[]): void {
      const needs = needsOf(template);
      const endpoints = resourcesOf(template, 'AWS::EC2::VPCEndpoint');
      expect(endpoints).toHaveLength(count);
      for (const type of types) {
        const { id } = theOnly(template, type);
        for (const endpoint of endpoints) expectOrder(needs, id, endpoint.id);
      }
    }

    const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_ISOLATED };

    test('replicas and machines start after the endpoints, and are gone before them', () => {
      for (const capacity of [Capacity.onDemand(['g6.xlarge']), Capacity.managedInstances(['g6.xlarge'])]) {
        const stack = newStack();
        const { cluster, addLate } = closedCluster(stack);
        const group = addGroup(stack, { cluster, capacity, vpcSubnets });
        newFargateService(stack, { cluster, capacity: group, plaintextInsideVpc: true, vpcSubnets });
        addLate();
        const machines =
          group.autoScalingGroup === undefined ? 'ECS::CapacityProvider' : 'AutoScaling::AutoScalingGroup';
        expectToOutlive(Template.fromStack(stack), 2, 'AWS::ECS::Service', `AWS::${machines}`);
      }
    });

    test('a job queue too', () => {
      const stack = newStack();
      const { cluster, addLate } = closedCluster(stack);
      new GpuJobQueue(stack, 'Jobs', { vpc: cluster.vpc, vpcSubnets, capacity: Capacity.onDemand(['g6.xlarge']) });
      addLate();
      expectToOutlive(Template.fromStack(stack), 2, 'AWS::Batch::ComputeEnvironment');
    });

    test('a platform has them for its groups, and for services whether they share its listener or not', () => {
      const stack = newStack();
      const platform = new InferencePlatform(stack, 'Main', { plaintextInsideVpc: true });
      platform.addGroup('l4', { instanceTypes: ['g6.xlarge'], machineImage: pinnedMachineImage() });
      newFargateService(stack, {
        cluster: platform.cluster,
        vpcSubnets: platform.vpcSubnets,
        capacity: platform.capacity('l4'),
        plaintextInsideVpc: true,
      });
      platform.addEndpoint(ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER);
      expectToOutlive(Template.fromStack(stack), 8, 'AWS::ECS::Service', 'AWS::AutoScaling::AutoScalingGroup');
    });

    test('nobody waits for the endpoints that another stack makes: that one may wait for us', () => {
      const stack = newStack();
      const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-1',
        vpcCidrBlock: '10.0.0.0/16',
        availabilityZones: ['a', 'b'],
        isolatedSubnetIds: ['subnet-1', 'subnet-2'],
        isolatedSubnetRouteTableIds: ['rtb-1', 'rtb-2'],
      });
      newFargateService(stack, {
        cluster: new ecs.Cluster(stack, 'Cluster', { vpc }),
        plaintextInsideVpc: true,
        vpcSubnets,
      });
      const theirs = new Stack(stack.node.root, 'Theirs');
      const platform = new InferencePlatform(theirs, 'Main', { vpc, plaintextInsideVpc: true });
      platform.addEndpoint(ec2.InterfaceVpcEndpointAwsService.ECR);
      Template.fromStack(stack);
      expect(stack.dependencies).not.toContain(theirs);
    });
  });

  test('two groups of one cluster: a service waits for both', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const l4 = addGroup(stack, { cluster });
    const a10 = addGroup(stack, { cluster, instanceTypes: ['g5.xlarge'] }, 'A10');
    serviceOn(stack, cluster, l4, a10);
    const template = Template.fromStack(stack);
    const needs = needsOf(template);
    const service = theOnly(template, 'AWS::ECS::Service').id;
    const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations').id;
    const providers = resourcesOf(template, 'AWS::ECS::CapacityProvider');
    expect(providers).toHaveLength(2);
    for (const { id } of providers) expectOrder(needs, service, association, id);
  });

  test('managed instances: the service, the provider with its roles, the cluster', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    serviceOn(stack, cluster, addGroup(stack, { cluster, capacity: Capacity.managedInstances(['g6.xlarge']) }));
    const template = Template.fromStack(stack);
    const needs = needsOf(template);
    const provider = theOnly(template, 'AWS::ECS::CapacityProvider').id;
    expectOrder(needs, theOnly(template, 'AWS::ECS::Service').id, provider, theOnly(template, 'AWS::ECS::Cluster').id);
    const roles = resourcesOf(template, 'AWS::IAM::Role').filter(({ id }) => id.startsWith('L4'));
    expect(roles).toHaveLength(2);
    for (const { id } of roles) expectOrder(needs, provider, id);
  });

  test('a service of ours waits for what it lands on, whatever that is', () => {
    const land = (capacityOf: (stack: Stack, cluster: ecs.Cluster) => ICapacity): Template => {
      const stack = newStack();
      const cluster = newCluster(stack);
      newFargateService(stack, { cluster, capacity: capacityOf(stack, cluster), plaintextInsideVpc: true });
      return Template.fromStack(stack);
    };
    const machines = land((stack, cluster) => addGroup(stack, { cluster }));
    const managed = land((stack, cluster) =>
      addGroup(stack, { cluster, capacity: Capacity.managedInstances(['g6.xlarge']) }),
    );
    const fargate = land(() => Capacity.fargate({ spotPercentage: 50 }));
    for (const [template, type] of [
      [machines, 'AWS::ECS::ClusterCapacityProviderAssociations'],
      [managed, 'AWS::ECS::CapacityProvider'],
      [fargate, 'AWS::ECS::ClusterCapacityProviderAssociations'],
    ] as const) {
      const [service, other] = [theOnly(template, 'AWS::ECS::Service').id, theOnly(template, type).id];
      expectOrder(needsOf(template), service, other, theOnly(template, 'AWS::ECS::Cluster').id);
    }
  });

  test('the order is seen: without a dependency it is not there', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    addGroup(stack, { cluster });
    serviceOn(stack, cluster);
    const template = Template.fromStack(stack);
    const needs = needsOf(template).get(theOnly(template, 'AWS::ECS::Service').id);
    expect(needs).not.toContain(theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations').id);
  });
});
