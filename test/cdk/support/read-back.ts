import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { DescribeLaunchTemplateVersionsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { DescribeTaskDefinitionCommand, ECSClient } from '@aws-sdk/client-ecs';
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetBucketEncryptionCommand, S3Client } from '@aws-sdk/client-s3';
import {
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { DescribeStateMachineCommand, SFNClient } from '@aws-sdk/client-sfn';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { expect } from 'vitest';
import type { AwsEmulator } from 'slipway/testing';
import { connectionTo, type DeployedStack } from './deployed-example';

type Connection = ReturnType<typeof connectionTo>;
type Compare = (id: string, wanted: any, connection: Connection) => Promise<void>;

/**
 * Asks the services themselves for what was created, and compares the fields that the emulator keeps with the template's.
 * @returns the types that were asked about
 */
export async function readBack(stack: DeployedStack, emulator: AwsEmulator): Promise<readonly string[]> {
  const connection = connectionTo(emulator, stack.region);
  const asked: string[] = [];
  for (const [logicalId, { Type, Properties = {} }] of Object.entries(stack.resources)) {
    const compare = COMPARE[Type];
    const id = stack.created[logicalId]?.PhysicalResourceId;
    if (compare === undefined || id === undefined) continue;
    await compare(id, Properties, connection);
    asked.push(Type);
  }
  return asked;
}

const COMPARE: Readonly<Record<string, Compare>> = {
  'AWS::SageMaker::Model': async (id, wanted, connection) => {
    const model = await new SageMakerClient(connection).send(new DescribeModelCommand({ ModelName: nameOf(id) }));
    expect(model.PrimaryContainer!.Environment).toEqual(wanted.PrimaryContainer.Environment);
    expect(model.PrimaryContainer!.Image).toMatch(/@sha256:[0-9a-f]{64}$/);
  },
  'AWS::SageMaker::EndpointConfig': async (id, wanted, connection) => {
    const config = await new SageMakerClient(connection).send(
      new DescribeEndpointConfigCommand({ EndpointConfigName: nameOf(id) }),
    );
    const [variant] = config.ProductionVariants!;
    const [{ VariantName, InitialInstanceCount }] = wanted.ProductionVariants;
    expect(variant).toMatchObject({ VariantName, InitialInstanceCount });
  },
  // It names the endpoint itself; what it refers to is there.
  'AWS::SageMaker::Endpoint': async (id, _wanted, connection) => {
    const endpoint = await new SageMakerClient(connection).send(
      new DescribeEndpointCommand({ EndpointName: nameOf(id) }),
    );
    const { EndpointConfigName } = endpoint;
    const config = await new SageMakerClient(connection).send(
      new DescribeEndpointConfigCommand({ EndpointConfigName: EndpointConfigName! }),
    );
    expect(config.ProductionVariants).toHaveLength(1);
  },
  'AWS::ECS::TaskDefinition': async (id, wanted, connection) => {
    const { taskDefinition } = await new ECSClient(connection).send(
      new DescribeTaskDefinitionCommand({ taskDefinition: id }),
    );
    const containers = taskDefinition!.containerDefinitions!;
    for (const [i, container] of (wanted.ContainerDefinitions as any[]).entries()) {
      expect(containers[i]).toMatchObject({
        name: container.Name,
        ...(container.ReadonlyRootFilesystem === undefined
          ? {}
          : { readonlyRootFilesystem: container.ReadonlyRootFilesystem }),
        ...(container.User === undefined ? {} : { user: container.User }),
        ...(container.Memory === undefined ? {} : { memory: container.Memory }),
        ...(container.HealthCheck === undefined ? {} : { healthCheck: { command: container.HealthCheck.Command } }),
        ...(container.LogConfiguration === undefined
          ? {}
          : { logConfiguration: { logDriver: container.LogConfiguration.LogDriver } }),
        ...(container.ResourceRequirements === undefined
          ? {}
          : {
              resourceRequirements: container.ResourceRequirements.map(({ Type, Value }: any) => ({
                type: Type,
                value: Value,
              })),
            }),
      });
      expect(containers[i]!.image).toMatch(/@sha256:[0-9a-f]{64}$|:[0-9a-f]{64}$/);
    }
  },
  'AWS::ElasticLoadBalancingV2::TargetGroup': async (id, wanted, connection) => {
    const client = new ElasticLoadBalancingV2Client(connection);
    const { TargetGroups } = await client.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [id] }));
    const { HealthCheckPath, Port, Protocol, TargetType } = wanted;
    const given = { HealthCheckPath, Port, Protocol, TargetType };
    expect(TargetGroups![0]).toMatchObject(
      Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    );
  },
  'AWS::ElasticLoadBalancingV2::LoadBalancer': async (id, wanted, connection) => {
    const client = new ElasticLoadBalancingV2Client(connection);
    const { LoadBalancers } = await client.send(new DescribeLoadBalancersCommand({ LoadBalancerArns: [id] }));
    expect(LoadBalancers![0]!.Scheme).toBe(wanted.Scheme);
  },
  'AWS::S3::Bucket': async (id, wanted, connection) => {
    const client = new S3Client({ ...connection, forcePathStyle: true });
    const { ServerSideEncryptionConfiguration: got } = await client.send(
      new GetBucketEncryptionCommand({ Bucket: id }),
    );
    const [rule] = wanted.BucketEncryption.ServerSideEncryptionConfiguration;
    expect(got!.Rules![0]!.ApplyServerSideEncryptionByDefault!.SSEAlgorithm).toBe(
      rule.ServerSideEncryptionByDefault.SSEAlgorithm,
    );
  },
  'AWS::EC2::LaunchTemplate': async (id, wanted, connection) => {
    const { LaunchTemplateVersions } = await new EC2Client(connection).send(
      new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: id }),
    );
    const data = LaunchTemplateVersions![0]!.LaunchTemplateData!;
    if (wanted.LaunchTemplateData.InstanceType !== undefined) {
      expect(data.InstanceType).toBe(wanted.LaunchTemplateData.InstanceType);
    }
    expect(data.MetadataOptions?.HttpTokens).toBe('required');
  },
  'AWS::AutoScaling::AutoScalingGroup': async (id, wanted, connection) => {
    const { AutoScalingGroups } = await new AutoScalingClient(connection).send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [id] }),
    );
    const [group] = AutoScalingGroups!;
    expect([group!.MinSize, group!.MaxSize]).toEqual([Number(wanted.MinSize), Number(wanted.MaxSize)]);
    const overrides = wanted.MixedInstancesPolicy?.LaunchTemplate.Overrides;
    if (overrides !== undefined) {
      expect(group!.MixedInstancesPolicy!.LaunchTemplate!.Overrides!.map(({ InstanceType }) => InstanceType)).toEqual(
        overrides.map(({ InstanceType }: any) => InstanceType),
      );
    }
  },
  'AWS::SQS::Queue': async (id, wanted, connection) => {
    const { Attributes } = await new SQSClient(connection).send(
      new GetQueueAttributesCommand({ QueueUrl: id, AttributeNames: ['All'] }),
    );
    if (typeof wanted.VisibilityTimeout === 'number') {
      expect(Attributes!['VisibilityTimeout']).toBe(String(wanted.VisibilityTimeout));
    }
    if (wanted.RedrivePolicy !== undefined) {
      const { maxReceiveCount } = JSON.parse(Attributes!['RedrivePolicy']!);
      expect(Number(maxReceiveCount)).toBe(wanted.RedrivePolicy.maxReceiveCount);
    }
  },
  'AWS::StepFunctions::StateMachine': async (id, _wanted, connection) => {
    const { definition } = await new SFNClient(connection).send(
      new DescribeStateMachineCommand({ stateMachineArn: id }),
    );
    // References are resolved by now: what is left is a state machine.
    const { StartAt, States } = JSON.parse(definition!);
    expect(Object.keys(States)).toContain(StartAt);
  },
  'AWS::SSM::Parameter': async (id, wanted, connection) => {
    const { Parameter } = await new SSMClient(connection).send(new GetParameterCommand({ Name: id }));
    if (typeof wanted.Value === 'string') expect(Parameter!.Value).toBe(wanted.Value);
    expect(Parameter!.Value).not.toBe('');
  },
};

/** The emulator knows some resources by name, others by ARN. */
function nameOf(id: string): string {
  return id.split('/').at(-1)!;
}
