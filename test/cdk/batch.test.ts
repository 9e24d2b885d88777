import { Duration, type Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Template } from 'aws-cdk-lib/assertions';
import { parseModelReferences } from 'slipway';
import {
  BatchInferenceJob,
  Capacity,
  GpuJobQueue,
  MultiNodeTrainingJob,
  type BatchInferenceJobProps,
  type GpuJobQueueProps,
  type MultiNodeTrainingJobProps,
} from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { readOptions } from '../../runtime/worker/worker-options';
import { describeWithAndWithoutFlags, imageByDigest, newStack, resourcesOf, theOnly } from './support/stacks';
import { digitsInBucket, digitsManifest, newVpc, propertiesOf } from './support/targets';

let manifest: string;
beforeAll(async () => {
  manifest = await digitsManifest();
});

const ENVIRONMENT = 'AWS::Batch::ComputeEnvironment';
const JOB = 'AWS::Batch::JobDefinition';

function newQueue(stack: Stack, props: Partial<GpuJobQueueProps> = {}): GpuJobQueue {
  return new GpuJobQueue(stack, 'Queue', {
    vpc: newVpc(stack),
    capacity: Capacity.onDemand(['g6.xlarge', 'g5.xlarge']),
    ...props,
  });
}

function newJob(stack: Stack, props: Partial<BatchInferenceJobProps> = {}): BatchInferenceJob {
  const bucket = s3.Bucket.fromBucketName(stack, 'Requests', 'team-requests');
  return new BatchInferenceJob(stack, 'Score', {
    model: digitsInBucket(stack, manifest),
    image: imageByDigest(stack),
    inputs: { bucket, prefix: 'in/' },
    results: { bucket, prefix: 'out/' },
    ...props,
    queue: props.queue ?? newQueue(stack),
  });
}

function newTraining(stack: Stack, props: Partial<MultiNodeTrainingJobProps> = {}): MultiNodeTrainingJob {
  return new MultiNodeTrainingJob(stack, 'Train', {
    image: ecs.ContainerImage.fromRegistry('registry.example.com/train'),
    command: ['torchrun', 'train.py'],
    nodes: 4,
    ...props,
    queue: props.queue ?? newQueue(stack, { capacity: Capacity.onDemand(['g6.12xlarge']) }),
  });
}

describeWithAndWithoutFlags('GpuJobQueue', (newStack) => {
  test('machines boot AL2023 with NVIDIA’s driver, and none is kept without jobs', () => {
    const stack = newStack();
    newQueue(stack, { maxMachines: 6 });
    const { ComputeResources } = theOnly(Template.fromStack(stack), ENVIRONMENT).Properties;
    expect(ComputeResources).toMatchObject({
      Type: 'EC2',
      Ec2Configuration: [{ ImageType: 'ECS_AL2023_NVIDIA' }],
      InstanceTypes: ['g6.xlarge', 'g5.xlarge'],
      AllocationStrategy: 'BEST_FIT_PROGRESSIVE',
      MinvCpus: 0,
      MaxvCpus: 24,
    });
  });

  test('machines speak the second metadata version, keep nodes of jobs from their role, and encrypt their disks', () => {
    const stack = newStack();
    newQueue(stack);
    const { LaunchTemplateData } = theOnly(Template.fromStack(stack), 'AWS::EC2::LaunchTemplate').Properties;
    const { MetadataOptions, BlockDeviceMappings, UserData } = LaunchTemplateData;
    expect(MetadataOptions).toEqual({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
    expect(BlockDeviceMappings[0].Ebs.Encrypted).toBe(true);
    const text = JSON.stringify(UserData);
    // What Batch merges with its own must be of several parts.
    expect(text).toContain('multipart/mixed');
    expect(text).toContain('ECS_AWSVPC_BLOCK_IMDS=true');
  });

  test('nobody reaches a machine, and machines reach HTTPS alone', () => {
    const stack = newStack();
    newQueue(stack);
    const [group] = propertiesOf(Template.fromStack(stack), 'AWS::EC2::SecurityGroup');
    expect(group.SecurityGroupIngress).toBeUndefined();
    expect(group.SecurityGroupEgress).toEqual([expect.objectContaining({ FromPort: 443, ToPort: 443 })]);
  });

  test('spot machines come first, and a base on demand takes what they have no room for', () => {
    const stack = newStack();
    newQueue(stack, { capacity: Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 2 }) });
    const template = Template.fromStack(stack);
    const byId = Object.fromEntries(resourcesOf(template, ENVIRONMENT).map(({ id, Properties }) => [id, Properties]));
    const order = theOnly(template, 'AWS::Batch::JobQueue').Properties.ComputeEnvironmentOrder;
    const environments = order.map(({ ComputeEnvironment }: any) => byId[ComputeEnvironment['Fn::GetAtt'][0]]);
    expect(environments.map(({ ComputeResources }: any) => ComputeResources)).toMatchObject([
      { Type: 'SPOT', AllocationStrategy: 'SPOT_PRICE_CAPACITY_OPTIMIZED', MaxvCpus: 16 },
      { Type: 'EC2', MaxvCpus: 8 },
    ]);
  });

  test('a reservation is used through the launch template', () => {
    const stack = newStack();
    newQueue(stack, { capacity: Capacity.reservation(['g6.xlarge'], 'cr-0123456789abcdef0') });
    const { LaunchTemplateData } = theOnly(Template.fromStack(stack), 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.CapacityReservationSpecification).toEqual({
      CapacityReservationTarget: { CapacityReservationId: 'cr-0123456789abcdef0' },
    });
  });

  test('a job that no machine can run does not hold up the queue for ever', () => {
    const stack = newStack();
    newQueue(stack, { stuckAfter: Duration.hours(2) });
    const { JobStateTimeLimitActions } = theOnly(Template.fromStack(stack), 'AWS::Batch::JobQueue').Properties;
    expect(JobStateTimeLimitActions).toHaveLength(2);
    for (const action of JobStateTimeLimitActions) {
      expect(action).toMatchObject({ Action: 'CANCEL', State: 'RUNNABLE', MaxTimeSeconds: 7_200 });
    }
  });

  test('somebody may send these jobs to this queue', () => {
    const stack = newStack();
    const queue = newQueue(stack);
    const job = newJob(stack, { queue });
    const clock = new iam.Role(stack, 'Clock', { assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com') });
    queue.grantSubmit(clock, job);
    const template = Template.fromStack(stack);
    const policy = resourcesOf(template, 'AWS::IAM::Policy').find(({ id }) => id.startsWith('Clock'))!;
    expect(policy.Properties.PolicyDocument.Statement).toEqual([
      {
        Effect: 'Allow',
        Action: 'batch:SubmitJob',
        Resource: [
          { 'Fn::GetAtt': [theOnly(template, 'AWS::Batch::JobQueue').id, 'JobQueueArn'] },
          { Ref: theOnly(template, JOB).id },
        ],
      },
    ]);
  });
});

test.each([
  ['machines that ECS starts', { capacity: Capacity.managedInstances(['g6.xlarge']) }],
  ['a percentage', { capacity: Capacity.spotFirst(['g6.xlarge'], { onDemandPercentage: 20 }) }],
] satisfies [string, Partial<GpuJobQueueProps>][])('a queue refuses %s', (_what, props) => {
  expect(() => newQueue(newStack(), props)).toThrow('CAPACITY_CHOICE');
});

describeWithAndWithoutFlags('BatchInferenceJob', (newStack) => {
  test('the job asks for what the plan gives a replica, and runs as the image’s user on a file system that it cannot write', () => {
    const stack = newStack();
    const { plan } = newJob(stack);
    const { ContainerProperties, PlatformCapabilities } = theOnly(Template.fromStack(stack), JOB).Properties;
    expect(PlatformCapabilities).toEqual(['EC2']);
    expect(ContainerProperties).toMatchObject({
      User: '10001:10001',
      ReadonlyRootFilesystem: true,
      Privileged: false,
    });
    expect(ContainerProperties.ResourceRequirements).toEqual(
      expect.arrayContaining([
        { Type: 'GPU', Value: '1' },
        { Type: 'VCPU', Value: String(Math.floor(plan.resources.vcpu)) },
        { Type: 'MEMORY', Value: String(plan.resources.memoryMiB) },
      ]),
    );
    expect(ContainerProperties.MountPoints).toEqual([
      { ContainerPath: '/tmp', ReadOnly: false, SourceVolume: 'scratch' },
    ]);
    expect(ContainerProperties.Volumes).toEqual([{ Name: 'scratch', Host: {} }]);
  });

  test('the worker understands its command line, and the server its environment', () => {
    const stack = newStack();
    newJob(stack, { shards: 8, concurrency: 12, requestDeadlineSeconds: 20, maxBodyMiB: 16, hooks: true });
    const [job] = propertiesOf(Template.fromStack(stack), JOB);
    const { Command, Environment } = job.ContainerProperties;
    expect(readOptions(Command, { AWS_BATCH_JOB_ARRAY_INDEX: '7' })).toMatchObject({
      kind: 'batch',
      inputs: 's3://team-requests/in/',
      results: 's3://team-requests/out/',
      model: 'digits',
      shard: { index: 7, of: 8 },
      concurrency: 12,
      requestDeadlineSeconds: 20,
      maxBodyBytes: 16 * 2 ** 20,
    });
    const { SLIPWAY_MODELS: models, SLIPWAY_HOOKS: hooks } = Object.fromEntries(
      Environment.map(({ Name, Value }: any) => [Name, Value]),
    );
    expect(hooks).toBe('true');
    expect(parseModelReferences(models)).toMatchObject([{ name: 'digits', version: 3 }]);
  });

  test('the job may read its requests, its results and its model, write results, and nothing else', () => {
    const stack = newStack();
    newJob(stack);
    const template = Template.fromStack(stack);
    const policies = propertiesOf(template, 'AWS::IAM::Policy').filter(({ Roles }) => Roles[0].includes('JobRole'));
    const rights = policies.flatMap(({ PolicyDocument }) =>
      PolicyDocument.Statement.flatMap(({ Action, Resource, Condition }: any) =>
        [Action]
          .flat()
          .flatMap((action) =>
            [Resource]
              .flat()
              .map((resource) => `${action} ${resource} ${Condition?.StringLike['s3:prefix'] ?? ''}`.trim()),
          ),
      ),
    );
    expect([...new Set(rights)].sort()).toEqual(
      [
        's3:AbortMultipartUpload arn:aws:s3:::team-requests/out/*',
        's3:GetObject arn:aws:s3:::team-models/digits/*',
        's3:GetObject arn:aws:s3:::team-requests/in/*',
        's3:GetObject arn:aws:s3:::team-requests/out/*',
        's3:GetObjectVersion arn:aws:s3:::team-models/digits/*',
        's3:GetObjectVersion arn:aws:s3:::team-requests/in/*',
        's3:GetObjectVersion arn:aws:s3:::team-requests/out/*',
        's3:ListBucket arn:aws:s3:::team-requests in/*',
        's3:ListBucket arn:aws:s3:::team-requests out/*',
        's3:PutObject arn:aws:s3:::team-requests/out/*',
      ].sort(),
    );
  });

  test('a job whose spot machine was taken back is tried again, and any other is not', () => {
    const stack = newStack();
    newJob(stack, { attempts: 4 });
    const { RetryStrategy } = theOnly(Template.fromStack(stack), JOB).Properties;
    expect(RetryStrategy).toEqual({
      Attempts: 4,
      EvaluateOnExit: [
        { Action: 'RETRY', OnStatusReason: 'Host EC2*' },
        { Action: 'EXIT', OnReason: '*' },
      ],
    });
  });

  test('tasks of this account alone have the roles', () => {
    const stack = newStack();
    newJob(stack);
    const roles = propertiesOf(Template.fromStack(stack), 'AWS::IAM::Role').filter(({ AssumeRolePolicyDocument }) =>
      JSON.stringify(AssumeRolePolicyDocument).includes('ecs-tasks'),
    );
    expect(roles).toHaveLength(2);
    for (const role of roles) {
      expect(role.AssumeRolePolicyDocument.Statement[0].Condition.StringEquals).toEqual({
        'aws:SourceAccount': '111122223333',
      });
    }
  });
});

test('refuses less memory than the model needs', () => {
  expect(() => newJob(newStack(), { memoryMiB: 200 })).toThrow('MEMORY');
});

describeWithAndWithoutFlags('MultiNodeTrainingJob', (newStack) => {
  test('every node has all GPUs of its machine, and shares memory between its processes', () => {
    const stack = newStack();
    newTraining(stack);
    const { NodeProperties, Type } = theOnly(Template.fromStack(stack), JOB).Properties;
    expect(Type).toBe('multinode');
    expect(NodeProperties).toMatchObject({ MainNode: 0, NumNodes: 4 });
    const [range] = NodeProperties.NodeRangeProperties;
    expect(range.TargetNodes).toBe('0:3');
    expect(range.Container.InstanceType).toBe('g6.12xlarge');
    expect(range.Container.ResourceRequirements).toContainEqual({ Type: 'GPU', Value: '4' });
    expect(range.Container.LinuxParameters.SharedMemorySize).toBeGreaterThan(10_000);
  });

  test('nodes reach each other and let nobody else in', () => {
    const stack = newStack();
    newTraining(stack);
    const template = Template.fromStack(stack);
    const group = theOnly(template, 'AWS::EC2::SecurityGroup').id;
    const [rule] = resourcesOf(template, 'AWS::EC2::SecurityGroupIngress');
    expect(resourcesOf(template, 'AWS::EC2::SecurityGroupIngress')).toHaveLength(1);
    expect(rule!.Properties).toMatchObject({
      GroupId: { 'Fn::GetAtt': [group, 'GroupId'] },
      SourceSecurityGroupId: { 'Fn::GetAtt': [group, 'GroupId'] },
    });
  });
});

test.each([
  [
    'spot machines',
    (stack: Stack) => ({ queue: newQueue(stack, { capacity: Capacity.spotFirst(['g6.xlarge']) }) }),
    'CAPACITY_CHOICE',
  ],
  ['a type that the queue has not', () => ({ instanceType: 'p5.48xlarge' }), 'NO_INSTANCE_FITS'],
  ['more GPUs than a machine has', () => ({ gpuCount: 5 }), 'GPU_COUNT'],
  ['more memory than a machine has', () => ({ memoryMiB: 250_000 }), 'NUMBER_INVALID'],
] satisfies [string, (stack: Stack) => Partial<MultiNodeTrainingJobProps>, string][])(
  'a training job refuses %s',
  (_what, props, code) => {
    const stack = newStack();
    expect(() => newTraining(stack, props(stack))).toThrow(code);
  },
);
