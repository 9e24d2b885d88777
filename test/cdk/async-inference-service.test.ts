import { Duration, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import {
  AsyncInferenceService,
  GpuInstanceGroup,
  GpuMachineImage,
  type AsyncInferenceServiceProps,
  type IAsyncInferenceService,
} from 'slipway/cdk';
import { expect, test } from 'vitest';
import { readOptions } from '../../runtime/worker/worker-options';
import { newAsyncService } from './support/queues';
import { describeWithAndWithoutFlags, newCluster, newStack, resourcesOf, theOnly } from './support/stacks';

function deploy(stack: Stack, props: Partial<AsyncInferenceServiceProps> = {}) {
  const service = newAsyncService(stack, props);
  return { service, plan: service.plan, template: Template.fromStack(stack) };
}

function containers(template: Template): Record<string, any> {
  const { ContainerDefinitions } = theOnly(template, 'AWS::ECS::TaskDefinition').Properties;
  return Object.fromEntries(ContainerDefinitions.map((container: any) => [container.Name, container]));
}

/** Queues: the one of requests, and where it puts messages aside. */
function queues(template: Template) {
  const all = resourcesOf(template, 'AWS::SQS::Queue');
  const main = all.find(({ Properties }) => Properties.RedrivePolicy !== undefined)!;
  return { all, main, dead: all.find(({ id }) => id !== main.id)! };
}

function statements(template: Template, part: string): readonly any[] {
  const policy = resourcesOf(template, 'AWS::IAM::Policy').find(({ id }) => id.includes(part));
  return policy?.Properties.PolicyDocument.Statement ?? [];
}

describeWithAndWithoutFlags('AsyncInferenceService', (newStack) => {
  test('nobody can call it: there is no load balancer, no rule lets anybody in, and the server listens to its neighbour alone', () => {
    const { template, service } = deploy(newStack());
    for (const type of ['LoadBalancer', 'Listener', 'TargetGroup']) {
      template.resourceCountIs(`AWS::ElasticLoadBalancingV2::${type}`, 0);
    }
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
    const group = template.findResources('AWS::EC2::SecurityGroup');
    for (const { Properties } of Object.values(group)) expect(Properties.SecurityGroupIngress).toBeUndefined();
    const { server } = containers(template);
    expect(server.Environment).toContainEqual({ Name: 'SLIPWAY_HOST', Value: '127.0.0.1' });
    expect(service.node.tryFindChild('LoadBalancer')).toBeUndefined();
  });

  test('there is no replica until a message comes', () => {
    const { template, plan } = deploy(newStack());
    expect(theOnly(template, 'AWS::ApplicationAutoScaling::ScalableTarget').Properties).toMatchObject({
      MinCapacity: 0,
      MaxCapacity: 4,
    });
    expect(theOnly(template, 'AWS::ECS::Service').Properties.DesiredCount).toBeUndefined();
    expect(plan.scaling.minReplicas).toBe(0);
    const policies = resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy').map(({ id }) => id);
    for (const part of ['Backlog', 'Wake', 'Sleep']) expect(policies.join(' ')).toContain(part);
    const backlog = resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy')[0]!.Properties;
    expect(backlog.TargetTrackingScalingPolicyConfiguration.TargetValue).toBe(4 * plan.models[0]!.maxBatchSize);
  });

  test('queues are encrypted and reached over TLS alone, and a message that nobody can answer is put aside', () => {
    const { template, plan } = deploy(newStack());
    const { all, main, dead } = queues(template);
    expect(all).toHaveLength(2);
    for (const { Properties } of all) expect(Properties.SqsManagedSseEnabled).toBe(true);
    expect(main.Properties).toMatchObject({
      VisibilityTimeout: 6 * plan.lifecycle.requestDeadlineSeconds,
      MessageRetentionPeriod: 4 * 24 * 3_600,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': [dead.id, 'Arn'] }, maxReceiveCount: 3 },
    });
    expect(dead.Properties.MessageRetentionPeriod).toBe(14 * 24 * 3_600);
    const policies = resourcesOf(template, 'AWS::SQS::QueuePolicy');
    expect(policies).toHaveLength(2);
    for (const { Properties } of policies) {
      expect(Properties.PolicyDocument.Statement).toContainEqual(
        expect.objectContaining({
          Effect: 'Deny',
          Action: 'sqs:*',
          Principal: { AWS: '*' },
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        }),
      );
    }
  });

  test('results lie in a private, encrypted bucket for thirty days, and EventBridge hears of each', () => {
    const { template } = deploy(newStack());
    const { Properties } = theOnly(template, 'AWS::S3::Bucket');
    expect(Properties).toMatchObject({
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
      VersioningConfiguration: { Status: 'Enabled' },
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
    });
    expect(Properties.BucketEncryption.ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault).toEqual({
      SSEAlgorithm: 'AES256',
    });
    expect(Properties.LifecycleConfiguration.Rules[0]).toMatchObject({ ExpirationInDays: 30, Status: 'Enabled' });
    const [{ Properties: policy } = { Properties: {} }] = resourcesOf(template, 'AWS::S3::BucketPolicy');
    expect(JSON.stringify(policy)).toContain('"aws:SecureTransport":"false"');
    expect(JSON.stringify(policy)).toContain('"s3:TlsVersion":1.2');
    template.resourceCountIs('AWS::Lambda::Function', 0);
  });

  test('a replica may receive, hide and delete messages, get inputs and put results, and nothing else', () => {
    const stack = newStack();
    const bucket = new s3.Bucket(stack, 'Inputs');
    const { template } = deploy(stack, { inputs: [{ bucket, prefix: 'day' }] });
    const { main } = queues(template);
    const rights = statements(template, 'WorkRights');
    expect(rights.map(({ Action }) => [...Action].sort())).toEqual([
      ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:ReceiveMessage'],
      ['s3:AbortMultipartUpload', 's3:PutObject'],
      ['s3:GetObject', 's3:GetObjectVersion'],
    ]);
    const [work, put, get] = rights.map(({ Resource }) => Resource);
    expect(work).toEqual({ 'Fn::GetAtt': [main.id, 'Arn'] });
    expect(put['Fn::Join'][1].at(-1)).toBe('/results/*');
    expect(get['Fn::Join'][1].at(-1)).toBe('/day/*');
    // Before the first replica, and until the last one is gone.
    const policy = resourcesOf(template, 'AWS::IAM::Policy').find(({ id }) => id.includes('WorkRights'))!;
    expect(theOnly(template, 'AWS::ECS::Service').DependsOn).toContain(policy.id);
  });

  test('with a key of the author, replicas may use it for messages and results, and senders for what they send', () => {
    const stack = newStack();
    const encryptionKey = new kms.Key(stack, 'Key');
    const shop = new iam.Role(stack, 'Shop', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
    newAsyncService(stack, { encryptionKey }).grantSend(shop);
    const template = Template.fromStack(stack);
    for (const { Properties } of queues(template).all) expect(Properties.KmsMasterKeyId).toBeDefined();
    const ofKey = (part: string): string[] =>
      statements(template, part)
        .filter(({ Resource }) => JSON.stringify(Resource).includes('Key'))
        .flatMap(({ Action }) => Action)
        .sort();
    expect(new Set(ofKey('WorkRights'))).toEqual(new Set(['kms:Decrypt', 'kms:GenerateDataKey']));
    expect(ofKey('ShopDefaultPolicy')).toEqual(expect.arrayContaining(['kms:GenerateDataKey*']));
  });

  test('who may ask may only ask, and who may read results may neither list nor read anything else', () => {
    const stack = newStack();
    const service = newAsyncService(stack, { resultsPrefix: 'digits' });
    const user = (id: string) => new iam.Role(stack, id, { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
    service.grantSend(user('Sender'));
    service.grantReadResults(user('Reader'));
    const template = Template.fromStack(stack);
    const [send] = statements(template, 'SenderDefaultPolicy');
    expect(send.Action.sort()).toEqual(['sqs:GetQueueAttributes', 'sqs:GetQueueUrl', 'sqs:SendMessage']);
    const [read, ...others] = statements(template, 'ReaderDefaultPolicy');
    expect(others).toEqual([]);
    expect(read.Action).toEqual(['s3:GetObject', 's3:GetObjectVersion']);
    expect(read.Resource['Fn::Join'][1].at(-1)).toBe('/digits/*');
  });

  test('the worker runs beside the server, of the same image and as little privileged, and begins after it and ends before it', () => {
    const { template, plan } = deploy(newStack());
    const { server, worker } = containers(template);
    expect(worker).toMatchObject({
      Essential: true,
      User: '10001:10001',
      ReadonlyRootFilesystem: true,
      Privileged: false,
      Image: server.Image,
      LinuxParameters: { Capabilities: { Drop: ['ALL'] } },
      DependsOn: [{ ContainerName: 'server', Condition: 'HEALTHY' }],
      StopTimeout: plan.lifecycle.stopTimeoutSeconds,
    });
    expect(worker.LogConfiguration.Options.mode).toBe('non-blocking');
    expect(server.Memory + worker.Memory).toBe(plan.resources.memoryMiB);
    // Each names its share: beside one that does, a container that names none has next to none.
    expect(server.Cpu + worker.Cpu).toBe(1_024);
    expect(worker.Cpu).toBeLessThan(server.Cpu / 10);
    expect(theOnly(template, 'AWS::ECS::TaskDefinition').Properties.Cpu).toBe('1024');
  });

  test('the worker understands what it is told, and is told what the plan says', () => {
    const stack = newStack();
    const bucket = s3.Bucket.fromBucketName(stack, 'Inputs', 'team-inputs');
    const results = s3.Bucket.fromBucketName(stack, 'Theirs', 'team-results');
    const inputs = [{ bucket, prefix: 'day' }];
    const { template, plan } = deploy(stack, { inputs, results, requestDeadlineSeconds: 20, maxBodyMiB: 8 });
    const [node, program, ...args] = containers(template)['worker'].EntryPoint;
    expect([node, program]).toEqual(['node', '/app/worker.mjs']);
    const plain = args.map((arg: unknown) => (typeof arg === 'string' ? arg : `<${Object.keys(arg as object)[0]}>`));
    expect(readOptions(plain, {})).toEqual({
      kind: 'queue',
      queueUrl: '<Ref>',
      server: 'http://127.0.0.1:8080',
      results: 's3://team-results/results/',
      inputs: ['s3://team-inputs/day/'],
      concurrency: plan.queueDepthRows,
      visibilitySeconds: 120,
      requestDeadlineSeconds: 20,
      maxBodyBytes: 8 * 2 ** 20,
    });
  });

  test('a drain fits: the worker may take the deadline and three seconds, and is killed after the stop timeout', () => {
    const { plan } = deploy(newStack(), { requestDeadlineSeconds: 40 });
    expect(plan.lifecycle.stopTimeoutSeconds).toBeGreaterThan(40 + 3);
    expect(plan.lifecycle.deregistrationLagSeconds).toBe(0);
  });

  test('somebody is told of messages that wait too long and of those that were put aside', () => {
    const { template, plan } = deploy(newStack());
    const alarms = resourcesOf(template, 'AWS::CloudWatch::Alarm').filter(({ id }) => id.startsWith('DigitsAlarms'));
    const { dead, main } = queues(template);
    const of = (id: string): unknown => [{ Name: 'QueueName', Value: { 'Fn::GetAtt': [id, 'QueueName'] } }];
    expect(alarms.map(({ Properties }) => Properties)).toMatchObject([
      {
        MetricName: 'ApproximateAgeOfOldestMessage',
        Threshold: plan.lifecycle.progressDeadlineSeconds + 2 * 180,
        Dimensions: of(main.id),
      },
      { MetricName: 'ApproximateNumberOfMessagesVisible', Threshold: 1, EvaluationPeriods: 1, Dimensions: of(dead.id) },
    ]);
    const told = deploy(newStack(), { preset: 'development', alarms: true, maxMessageAge: Duration.minutes(3) });
    const [age] = resourcesOf(told.template, 'AWS::CloudWatch::Alarm').filter(({ id }) => id.includes('QueueAge'));
    expect(age!.Properties.Threshold).toBe(180);
  });

  test('in production what holds messages or results is kept when the service is deleted, in development nothing is', () => {
    const kept = (preset: 'production' | 'development'): string[] => {
      const { template } = deploy(newStack(), { preset });
      const all = Object.values(template.toJSON()['Resources'] as Record<string, any>);
      return all.filter(({ DeletionPolicy }) => DeletionPolicy === 'Retain').map(({ Type }) => Type);
    };
    expect(kept('production').sort()).toEqual([
      'AWS::Logs::LogGroup',
      'AWS::S3::Bucket',
      'AWS::S3::BucketPolicy',
      'AWS::SQS::Queue',
      'AWS::SQS::Queue',
      'AWS::SQS::QueuePolicy',
      'AWS::SQS::QueuePolicy',
    ]);
    expect(kept('development')).toEqual([]);
  });

  test('on a GPU the server keeps the whole GPU, and gives the worker a part of its machine', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const machineImage = GpuMachineImage.amazonLinux2023({ pinnedParameter: '/team/gpu-image/2026-11-01' });
    const capacity = new GpuInstanceGroup(stack, 'L4', {
      cluster,
      instanceTypes: ['g6.xlarge'],
      maxSize: 5,
      machineImage,
    });
    const { template, plan } = deploy(stack, { cluster, capacity });
    const { server, worker } = containers(template);
    expect(server.ResourceRequirements).toEqual([{ Type: 'GPU', Value: '1' }]);
    expect(worker.ResourceRequirements).toBeUndefined();
    expect(worker.Memory).toBe(192 + 2 * 64);
    expect(server.Memory).toBe(plan.resources.memoryMiB - worker.Memory);
  });
});

test('a queue of the author is used as it is, with the dead-letter queue that it has or that is named', () => {
  const stack = newStack();
  const dead = new sqs.Queue(stack, 'Dead');
  const queue = new sqs.Queue(stack, 'Theirs', { deadLetterQueue: { queue: dead, maxReceiveCount: 5 } });
  const service = newAsyncService(stack, { queue });
  expect([service.queue, service.deadLetterQueue]).toEqual([queue, dead]);
  Template.fromStack(stack).resourceCountIs('AWS::SQS::Queue', 2);
  const other = newStack();
  const imported = sqs.Queue.fromQueueArn(other, 'Imported', 'arn:aws:sqs:eu-west-1:111122223333:work');
  expect(newAsyncService(other, { queue: imported, deadLetterQueue: new sqs.Queue(other, 'Dead') }).queue).toBe(
    imported,
  );
});

test('a queue that puts nothing aside is refused: a message that nobody can answer would come back for ever', () => {
  const stack = newStack();
  expect(() => newAsyncService(stack, { queue: new sqs.Queue(stack, 'Theirs') })).toThrow(
    "DEAD_LETTER_QUEUE_MISSING deadLetterQueue: a message that nobody can answer would come back for ever; give 'Stack/Theirs' a dead-letter queue",
  );
});

test('no other queue may put its dead letters among the requests', () => {
  const { main, dead } = queues(deploy(newStack()).template);
  expect(main.Properties.RedriveAllowPolicy).toEqual({ redrivePermission: 'denyAll' });
  // Each would have to name the other, and CloudFormation could make neither first.
  expect(dead.Properties.RedriveAllowPolicy).toBeUndefined();
});

test('a service of another app is sent to and read from by its queue and its bucket, and by nothing else', () => {
  const stack = newStack();
  const key = (id: string) => kms.Key.fromKeyArn(stack, id, `arn:aws:kms:eu-west-1:111122223333:key/${id}`);
  const service: IAsyncInferenceService = AsyncInferenceService.fromAttributes(stack, 'Digits', {
    queue: sqs.Queue.fromQueueAttributes(stack, 'Requests', {
      queueArn: 'arn:aws:sqs:eu-west-1:111122223333:digits',
      keyArn: key('requests').keyArn,
    }),
    results: s3.Bucket.fromBucketAttributes(stack, 'Answers', { bucketName: 'answers', encryptionKey: key('answers') }),
    resultsPrefix: 'digits',
  });
  const shop = new iam.Role(stack, 'Shop', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  service.grantSend(shop);
  service.grantReadResults(shop);
  expect(service.resultsPrefix).toBe('digits/');
  const template = Template.fromStack(stack);
  expect(Object.keys(template.toJSON()['Resources'])).toHaveLength(2);
  const rights = statements(template, 'ShopDefaultPolicy').map(({ Action, Resource }) => [Action, Resource]);
  const partition = { Ref: 'AWS::Partition' };
  expect(rights).toEqual([
    [['sqs:GetQueueAttributes', 'sqs:GetQueueUrl', 'sqs:SendMessage'], 'arn:aws:sqs:eu-west-1:111122223333:digits'],
    [expect.arrayContaining(['kms:GenerateDataKey*']), 'arn:aws:kms:eu-west-1:111122223333:key/requests'],
    [['s3:GetObject', 's3:GetObjectVersion'], { 'Fn::Join': ['', ['arn:', partition, ':s3:::answers/digits/*']] }],
    ['kms:Decrypt', 'arn:aws:kms:eu-west-1:111122223333:key/answers'],
  ]);
  expect(stack.resolve(service.metricBacklog().toMetricConfig().metricStat)).toMatchObject({
    metricName: 'ApproximateNumberOfMessagesVisible',
    dimensions: [{ name: 'QueueName', value: 'digits' }],
    statistic: 'Maximum',
  });
  expect(service.metricOldestMessage().metricName).toBe('ApproximateAgeOfOldestMessage');
});

test('deliveries are said where the queue is made', () => {
  const stack = newStack();
  const deadLetterQueue = new sqs.Queue(stack, 'Dead');
  const queue = new sqs.Queue(stack, 'Theirs');
  expect(() => newAsyncService(stack, { queue, deadLetterQueue, maxReceives: 5 })).toThrow(
    'NUMBER_INVALID maxReceives',
  );
  expect(() => newAsyncService(newStack(), { maxReceives: 0 })).toThrow('NUMBER_INVALID maxReceives');
  const { template } = deploy(newStack(), { maxReceives: 7 });
  expect(queues(template).main.Properties.RedrivePolicy.maxReceiveCount).toBe(7);
});
