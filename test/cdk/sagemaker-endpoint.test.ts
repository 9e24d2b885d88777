import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProductionVariantInstanceType } from '@aws-sdk/client-sagemaker';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Duration, type Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { ENVIRONMENT, instanceTypesOf, parseModelReferences, readEnvironment } from 'slipway';
import {
  Model,
  ModelBucket,
  ModelRollout,
  SageMakerEndpoint,
  SageMakerRollout,
  type SageMakerEndpointProps,
} from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  folderWith,
  imageByDigest,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';
import { buildModel, externalTensor, node, value } from '../support/onnx-models';
import { evaluate } from './support/evaluate-template';
import { publishDigits } from './support/models';
import { digitsInBucket, digitsManifest, newVpc, propertiesOf } from './support/targets';

let manifest: string;
beforeAll(async () => {
  manifest = await digitsManifest();
});

const MODEL = 'AWS::SageMaker::Model';
const CONFIG = 'AWS::SageMaker::EndpointConfig';
const ENDPOINT = 'AWS::SageMaker::Endpoint';
const PLACE = { 'AWS::URLSuffix': 'amazonaws.com', 'AWS::AccountId': '111122223333', 'AWS::Region': 'eu-west-1' };

function newEndpoint(stack: Stack, props: Partial<SageMakerEndpointProps> = {}): SageMakerEndpoint {
  return new SageMakerEndpoint(stack, 'Digits', {
    image: imageByDigest(stack),
    instanceType: 'ml.g6.xlarge',
    ...props,
    model: props.model ?? digitsInBucket(stack, manifest),
  });
}

function later(stack: Stack, prefix = 'requests/') {
  const bucket = s3.Bucket.fromBucketName(stack, 'Requests', 'team-requests');
  return { inputs: { bucket, prefix }, results: { bucket, prefix: 'answers/' } };
}

describeWithAndWithoutFlags('SageMakerEndpoint', (newStack) => {
  test('the model lies beside the container, is named by its digest, and the container has no network', () => {
    const stack = newStack();
    newEndpoint(stack);
    const [model] = propertiesOf(Template.fromStack(stack), MODEL);
    expect(model.EnableNetworkIsolation).toBe(true);
    expect(model.PrimaryContainer.ModelDataSource).toEqual({
      S3DataSource: { S3Uri: 's3://team-models/digits/3/', S3DataType: 'S3Prefix', CompressionType: 'None' },
    });
    expect(model.PrimaryContainer.Image).toMatch(/slipway@sha256:/);
    const [reference] = parseModelReferences(model.PrimaryContainer.Environment.SLIPWAY_MODELS);
    expect(reference).toMatchObject({ name: 'digits', version: 3, folder: 'file:///opt/ml/model/' });
    expect(reference!.manifestSha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('a version that deployment chooses moves folder, version and digest together, and makes another model', () => {
    const stack = newStack();
    const bucket = s3.Bucket.fromBucketName(stack, 'ModelsBucket', 'team-models');
    const model = Model.rolledOutFromBucket(ModelBucket.fromBucket(stack, 'Models', bucket), 'digits', { manifest });
    newEndpoint(stack, { model });
    new ModelRollout(stack, 'Rollout', { model });
    const template = Template.fromStack(stack);
    const { Properties } = theOnly(template, MODEL);
    const [parameter, declared] = Object.entries<any>(template.findParameters('ModelDigitsFrom3'))[0]!;
    const newer = `12@sha256:${'ab'.repeat(32)}`;
    for (const value of [declared.Default as string, newer]) {
      const [version, digest] = value.split('@sha256:');
      const container = evaluate(Properties.PrimaryContainer, { ...PLACE, [parameter]: value });
      expect(container.ModelDataSource.S3DataSource.S3Uri).toBe(`s3://team-models/digits/${version}/`);
      expect(parseModelReferences(container.Environment.SLIPWAY_MODELS)).toEqual([
        {
          name: 'digits',
          version: Number(version),
          maxBatchSize: 32,
          folder: 'file:///opt/ml/model/',
          manifestSha256: digest,
        },
      ]);
      expect(readEnvironment(container.Environment).contract).toBe(2);
    }
    // Whatever version it is, the role may list and read it: both rights are on the model's prefix.
    const policies = JSON.stringify(template.findResources('AWS::IAM::Policy'));
    expect(policies).toContain('"s3:prefix":"digits/*"');
    expect(policies).not.toContain(`"${parameter}"`);
  });

  test('the environment is within what SageMaker takes of a model: 100 variables, 1,024 bytes of each, 32 KB of all', () => {
    const stack = newStack();
    newEndpoint(stack);
    const [model] = propertiesOf(Template.fromStack(stack), MODEL);
    const entries = Object.entries<string>(model.PrimaryContainer.Environment);
    expect(entries.length).toBeLessThanOrEqual(100);
    for (const text of entries.flat()) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1_024);
    // Nothing else is told to SageMaker, so a variable more can never be one too many.
    expect(Object.values(ENVIRONMENT).length).toBeLessThanOrEqual(100);
  });

  test('published hooks run where the author says so', () => {
    const told = (props: Partial<SageMakerEndpointProps>): unknown => {
      const stack = newStack();
      newEndpoint(stack, props);
      return propertiesOf(Template.fromStack(stack), MODEL)[0].PrimaryContainer.Environment.SLIPWAY_HOOKS;
    };
    expect(told({ hooks: true })).toBe('true');
    expect(told({})).toBeUndefined();
  });

  test('SageMaker waits for the whole startup budget, and sends requests to whoever is least busy', () => {
    const stack = newStack();
    const { plan } = newEndpoint(stack, { startupBudgetSeconds: 400 });
    const [config] = propertiesOf(Template.fromStack(stack), CONFIG);
    expect(plan.lifecycle.startupBudgetSeconds).toBe(400);
    expect(config.ProductionVariants).toEqual([
      expect.objectContaining({
        InstanceType: 'ml.g6.xlarge',
        InitialInstanceCount: 2,
        ContainerStartupHealthCheckTimeoutInSeconds: 400,
        ModelDataDownloadTimeoutInSeconds: 400,
        RoutingConfig: { RoutingStrategy: 'LEAST_OUTSTANDING_REQUESTS' },
        InferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-3-1',
      }),
    ]);
  });

  test('models and configurations have no name, so that an update makes new ones and a rollback finds the old ones', async () => {
    const templates = [];
    for (const path of [manifest, (await publishDigits(4, folderWith({}))).manifestFile]) {
      const stack = newStack();
      newEndpoint(stack, { model: digitsInBucket(stack, path) });
      templates.push(Template.fromStack(stack));
    }
    const [before, after] = templates.map((template) => theOnly(template, MODEL));
    expect(after!.id).toBe(before!.id);
    expect(after!.Properties).not.toEqual(before!.Properties);
    for (const type of [MODEL, CONFIG]) {
      for (const { Properties } of resourcesOf(templates[0]!, type)) {
        expect(Object.keys(Properties)).not.toEqual(expect.arrayContaining([expect.stringMatching(/Name$/)]));
      }
    }
    // What stands for the model in the configuration is the one that CloudFormation just made.
    expect(theOnly(templates[0]!, CONFIG).Properties.ProductionVariants[0].ModelName).toEqual({
      'Fn::GetAtt': [before!.id, 'ModelName'],
    });
  });

  test('an update keeps the number of machines that the autoscaler chose', () => {
    const stack = newStack();
    newEndpoint(stack);
    expect(theOnly(Template.fromStack(stack), ENDPOINT).Properties.RetainAllVariantProperties).toBe(true);
  });

  test('the role is for endpoints of this account, reads one model, pulls one image and writes logs, and nothing else', () => {
    const stack = newStack();
    newEndpoint(stack);
    const template = Template.fromStack(stack);
    const [role] = propertiesOf(template, 'AWS::IAM::Role');
    expect(role.AssumeRolePolicyDocument.Statement[0]).toMatchObject({
      Principal: { Service: 'sagemaker.amazonaws.com' },
      Condition: {
        StringEquals: { 'aws:SourceAccount': '111122223333' },
        ArnLike: { 'aws:SourceArn': 'arn:aws:sagemaker:eu-west-1:111122223333:*' },
      },
    });
    const statements = propertiesOf(template, 'AWS::IAM::Policy').flatMap((policy) => policy.PolicyDocument.Statement);
    const s3Rights = statements.filter(({ Action }) => JSON.stringify(Action).includes('s3:'));
    expect(s3Rights).toEqual([
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: 'arn:aws:s3:::team-models/digits/*',
      },
      {
        Effect: 'Allow',
        Action: 's3:ListBucket',
        Resource: 'arn:aws:s3:::team-models',
        Condition: { StringLike: { 's3:prefix': 'digits/*' } },
      },
    ]);
    const wide = statements.filter(({ Resource }) => Resource === '*');
    expect(wide.map(({ Action }) => Action)).toEqual(['cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken']);
    expect(wide[0].Condition).toEqual({
      StringLike: { 'cloudwatch:namespace': ['AWS/SageMaker', '/aws/sagemaker/*'] },
    });
  });

  test('the model is made once its role may read it', () => {
    const stack = newStack();
    newEndpoint(stack);
    const template = Template.fromStack(stack);
    const policies = resourcesOf(template, 'AWS::IAM::Policy').map(({ id }) => id);
    expect(theOnly(template, MODEL).DependsOn).toEqual(expect.arrayContaining(policies));
  });

  test('in a VPC containers let nobody in, and reach HTTPS alone', () => {
    const stack = newStack();
    newEndpoint(stack, { vpc: newVpc(stack) });
    const template = Template.fromStack(stack);
    const [model] = propertiesOf(template, MODEL);
    expect(model.VpcConfig.Subnets).toHaveLength(2);
    const [group] = propertiesOf(template, 'AWS::EC2::SecurityGroup');
    expect(group.SecurityGroupIngress).toBeUndefined();
    expect(group.SecurityGroupEgress).toEqual([expect.objectContaining({ FromPort: 443, ToPort: 443 })]);
  });

  test('machines follow the requests at once, within the replicas of the spec', () => {
    const stack = newStack();
    newEndpoint(stack, { minReplicas: 1, maxReplicas: 6, targetConcurrency: 12 });
    const template = Template.fromStack(stack);
    const [target] = propertiesOf(template, 'AWS::ApplicationAutoScaling::ScalableTarget');
    expect(target).toMatchObject({
      MinCapacity: 1,
      MaxCapacity: 6,
      ScalableDimension: 'sagemaker:variant:DesiredInstanceCount',
      ServiceNamespace: 'sagemaker',
    });
    expect(target.ResourceId).toMatch(/^endpoint\/<DigitsEndpoint\w+\.EndpointName>\/variant\/all$/);
    const [policy] = propertiesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy');
    expect(policy.TargetTrackingScalingPolicyConfiguration).toMatchObject({
      TargetValue: 12,
      PredefinedMetricSpecification: {
        PredefinedMetricType: 'SageMakerVariantConcurrentRequestsPerModelHighResolution',
      },
    });
  });

  test('an endpoint is called by name: its alarms know it, and its updates look at them', () => {
    const stack = newStack();
    const { endpointName } = newEndpoint(stack);
    const template = Template.fromStack(stack);
    const endpoint = theOnly(template, ENDPOINT).Properties;
    expect(endpoint.EndpointName).toBe(endpointName);
    const alarms = resourcesOf(template, 'AWS::CloudWatch::Alarm');
    expect(alarms).toHaveLength(2);
    expect(endpoint.DeploymentConfig.AutoRollbackConfiguration.Alarms).toEqual(
      alarms.map(({ id }) => ({ AlarmName: { Ref: id } })),
    );
    expect(JSON.stringify(alarms)).not.toContain(theOnly(template, ENDPOINT).id);
    const dimensions = JSON.stringify(alarms.map(({ Properties }) => Properties));
    expect(dimensions).toContain(`{"Name":"EndpointName","Value":"${endpointName}"}`);
  });

  test('a canary takes a part of the traffic, bakes, and is taken back by alarms', () => {
    const stack = newStack();
    newEndpoint(stack, {
      rollout: SageMakerRollout.canary({ percent: 20, bake: Duration.minutes(10), keepOld: Duration.minutes(2) }),
    });
    const { DeploymentConfig } = theOnly(Template.fromStack(stack), ENDPOINT).Properties;
    expect(DeploymentConfig.BlueGreenUpdatePolicy).toMatchObject({
      TrafficRoutingConfiguration: {
        Type: 'CANARY',
        CanarySize: { Type: 'CAPACITY_PERCENT', Value: 20 },
        WaitIntervalInSeconds: 600,
      },
      TerminationWaitInSeconds: 120,
    });
    expect(DeploymentConfig.AutoRollbackConfiguration.Alarms).toHaveLength(2);
  });

  test('linear and rolling updates go in steps, and are given the time for all of them', () => {
    for (const [rollout, read] of [
      [
        SageMakerRollout.linear({ percent: 25, bake: Duration.minutes(5) }),
        (config: any) => config.BlueGreenUpdatePolicy,
      ],
      [
        SageMakerRollout.rolling({ percent: 25, bake: Duration.minutes(5) }),
        (config: any) => config.RollingUpdatePolicy,
      ],
    ] as const) {
      const stack = newStack();
      newEndpoint(stack, { rollout });
      const policy = read(theOnly(Template.fromStack(stack), ENDPOINT).Properties.DeploymentConfig);
      expect(JSON.stringify(policy)).toContain('{"Type":"CAPACITY_PERCENT","Value":25}');
      expect(policy.MaximumExecutionTimeoutInSeconds).toBeGreaterThan(4 * 300);
      expect(policy.MaximumExecutionTimeoutInSeconds).toBeLessThanOrEqual(28_800);
    }
  });

  test('answers that come later are files: the role reads requests, writes answers, and sees nothing else of the buckets', () => {
    const stack = newStack();
    const key = new kms.Key(stack, 'Key');
    const results = { bucket: new s3.Bucket(stack, 'Answers', { encryptionKey: key }), prefix: 'out/' };
    const topic = new sns.Topic(stack, 'Failures');
    newEndpoint(stack, {
      asyncInference: { ...later(stack), results, errorTopic: topic, maxConcurrentPerInstance: 5 },
    });
    const template = Template.fromStack(stack);
    const [config] = propertiesOf(template, CONFIG);
    const bucket = results.bucket.node.id;
    expect(config.AsyncInferenceConfig.ClientConfig).toEqual({ MaxConcurrentInvocationsPerInstance: 5 });
    expect(config.AsyncInferenceConfig.OutputConfig).toMatchObject({
      S3OutputPath: expect.stringMatching(`^s3://<${bucket}\\w+>/out/$`),
      S3FailurePath: expect.stringMatching(`^s3://<${bucket}\\w+>/out/failures/$`),
      KmsKeyId: expect.stringMatching(/^<Key/),
      NotificationConfig: { ErrorTopic: expect.stringMatching(/^<Failures/) },
    });
    const policies = resourcesOf(template, 'AWS::IAM::Policy').filter(({ id }) => id.includes('AnswerLater'));
    const actions = policies[0]!.Properties.PolicyDocument.Statement.map(({ Action }: any) => [Action].flat().sort());
    expect(actions).toEqual([
      ['s3:GetObject', 's3:GetObjectVersion'],
      ['s3:AbortMultipartUpload', 's3:PutObject'],
      ['kms:Decrypt', 'kms:GenerateDataKey'],
      ['sns:Publish'],
    ]);
    expect(theOnly(template, ENDPOINT).DependsOn).toContain(policies[0]!.id);
  });

  test('an endpoint that answers later may have no machine, and the first one comes when a request waits', () => {
    const stack = newStack();
    newEndpoint(stack, { asyncInference: later(stack), minReplicas: 0, maxReplicas: 3 });
    const template = Template.fromStack(stack);
    const [target] = propertiesOf(template, 'AWS::ApplicationAutoScaling::ScalableTarget');
    expect(target).toMatchObject({ MinCapacity: 0, MaxCapacity: 3 });
    const policies = propertiesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy');
    const tracking = policies.find(({ PolicyType }) => PolicyType === 'TargetTrackingScaling');
    expect(tracking.TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification).toMatchObject({
      MetricName: 'ApproximateBacklogSizePerInstance',
    });
    const step = policies.find(({ PolicyType }) => PolicyType === 'StepScaling');
    expect(step.StepScalingPolicyConfiguration.StepAdjustments).toEqual([
      { MetricIntervalLowerBound: 0, ScalingAdjustment: 1 },
    ]);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'HasBacklogWithoutCapacity',
      Dimensions: [{ Name: 'EndpointName', Value: Match.anyValue() }],
      Threshold: 1,
    });
  });

  test('a caller may ask this endpoint and no other', () => {
    const stack = newStack();
    const caller = new iam.Role(stack, 'Caller', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    const endpoint = newEndpoint(stack, { endpointName: 'digits' });
    endpoint.grantInvoke(caller);
    SageMakerEndpoint.fromEndpointName(stack, 'Other', 'other').grantInvoke(caller);
    const [policy] = propertiesOf(Template.fromStack(stack), 'AWS::IAM::Policy').filter(({ PolicyName }) =>
      PolicyName.startsWith('Caller'),
    );
    const statements: any[] = policy.PolicyDocument.Statement;
    for (const { Action } of statements) {
      expect(Action).toEqual(['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointAsync']);
    }
    expect(statements.flatMap(({ Resource }) => Resource)).toEqual([
      'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/digits',
      'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/other',
    ]);
  });
});

test('every GPU machine of the catalogue that is accepted is one that SageMaker rents out', () => {
  const rented = new Set<string>(Object.values(ProductionVariantInstanceType));
  for (const type of instanceTypesOf('aws')) {
    const deploy = () => newEndpoint(newStack(), { instanceType: `ml.${type}` });
    if (rented.has(`ml.${type}`)) expect(deploy).not.toThrow();
    else expect(deploy).toThrow('SAGEMAKER_INSTANCE');
  }
});

test('a machine without a GPU is taken by the sizes that the author gives', () => {
  const stack = newStack();
  const { plan } = newEndpoint(stack, {
    instanceType: 'ml.c7i.xlarge',
    executionProvider: 'cpu',
    vcpu: 4,
    memoryMiB: 7_000,
  });
  expect(plan.resources).toMatchObject({ vcpu: 4, memoryMiB: 7_000, gpuCount: 0 });
  const [config] = propertiesOf(Template.fromStack(stack), CONFIG);
  expect(config.ProductionVariants[0].InferenceAmiVersion).toBeUndefined();
});

test.each([
  ['EC2’s name', { instanceType: 'g6.xlarge' }, 'SAGEMAKER_INSTANCE'],
  ['a type that nobody knows', { instanceType: 'ml.c7i.xlarge' }, 'SAGEMAKER_INSTANCE'],
  ['no machine for an endpoint that answers at once', { minReplicas: 0 }, 'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE'],
  ['an answer that SageMaker does not wait for', { requestDeadlineSeconds: 61 }, 'NUMBER_INVALID'],
] satisfies [string, Partial<SageMakerEndpointProps>, string][])('refuses %s', (_what, props, code) => {
  expect(() => newEndpoint(newStack(), props)).toThrow(code);
});

test('refuses a model of assets, which lie under no prefix', () => {
  expect(() => newEndpoint(newStack(), { model: Model.fromAsset(DIGITS) })).toThrow('SAGEMAKER_MODEL_SOURCE');
});

test('takes the files of a model by digest while they are few, and refuses a list that is longer than a variable', () => {
  const deploy = (names: readonly string[]) => {
    const stack = newStack();
    const weights = names.map((location) => externalTensor(location, 'FP32', [4], { location, length: '16' }));
    const model = buildModel({
      node: names.map((name, i) => node('Add', [i === 0 ? 'input' : `sum${i}`, name], [`sum${i + 1}`])),
      input: [value('input', 'FP32', ['batch', 4])],
      output: [value(`sum${names.length}`, 'FP32', ['batch', 4])],
      initializer: weights,
    });
    const folder = folderWith(Object.fromEntries(names.map((name) => [name, new Uint8Array(16)])));
    writeFileSync(join(folder, 'model.onnx'), model);
    const bucket = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
    const source = { version: 3, onnxFile: join(folder, 'model.onnx') };
    newEndpoint(stack, { model: Model.fromBucket(bucket, 'sum', source) });
    const [{ PrimaryContainer }] = propertiesOf(Template.fromStack(stack), MODEL) as [any];
    return parseModelReferences(PrimaryContainer.Environment.SLIPWAY_MODELS)[0]!.files;
  };
  expect(deploy(['weights.bin'])).toHaveLength(2);
  const many = Array.from({ length: 8 }, (_, i) => `weights-${i}.bin`);
  expect(() => deploy(many)).toThrow(
    /^SAGEMAKER_MODEL_SOURCE model: SLIPWAY_MODELS would have 1\d{3} bytes, SageMaker takes 1024; give the manifest/,
  );
  // Fewer characters than the limit, and more bytes: SageMaker counts those.
  const accented = Array.from({ length: 4 }, (_, i) => `${'é'.repeat(30)}${i}`);
  expect(() => deploy(accented)).toThrow('SAGEMAKER_MODEL_SOURCE');
});

test('refuses a key for disks that encrypt themselves', () => {
  const stack = newStack();
  expect(() => newEndpoint(stack, { dataKey: new kms.Key(stack, 'Key') })).toThrow('SAGEMAKER_INSTANCE');
});

test('refuses rollouts that SageMaker does not do, or that no alarm could stop', () => {
  const minutes = (amount: number): Duration => Duration.minutes(amount);
  expect(() => SageMakerRollout.canary({ percent: 51, bake: minutes(10) })).toThrow('ROLLOUT_RANGE');
  expect(() => SageMakerRollout.linear({ percent: 9, bake: minutes(10) })).toThrow('ROLLOUT_RANGE');
  expect(() => SageMakerRollout.rolling({ percent: 4, bake: minutes(10) })).toThrow('ROLLOUT_RANGE');
  expect(() => SageMakerRollout.canary({ percent: 10, bake: minutes(61) })).toThrow('ROLLOUT_RANGE');
  expect(() => SageMakerRollout.allAtOnce({ keepOld: minutes(61) })).toThrow('ROLLOUT_RANGE');
  expect(() => SageMakerRollout.canary({ percent: 10, bake: minutes(2) })).toThrow('ROLLOUT_BAKE_TOO_SHORT');
});

test('says when a container is killed before a request may end, and when GPUs would idle', () => {
  const slow = newStack();
  newEndpoint(slow, { requestDeadlineSeconds: 50 });
  Annotations.fromStack(slow).hasWarning('/Stack/Digits', Match.stringLikeRegexp('kills a container 30 s after'));
  const large = newStack();
  newEndpoint(large, { instanceType: 'ml.g6.12xlarge' });
  Annotations.fromStack(large).hasWarning('/Stack/Digits', Match.stringLikeRegexp('one of the 4 GPUs'));
  const usual = newStack();
  newEndpoint(usual);
  Annotations.fromStack(usual).hasNoWarning('*', Match.anyValue());
});
