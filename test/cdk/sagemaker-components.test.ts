import { Duration, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { SageMakerComponentEndpoint, type SageMakerComponentProps } from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { describeWithAndWithoutFlags, imageByDigest, newStack, resourcesOf, theOnly } from './support/stacks';
import { digitsInBucket, digitsManifest, newVpc, propertiesOf } from './support/targets';

let manifest: string;
beforeAll(async () => {
  manifest = await digitsManifest();
});

const COMPONENT = 'AWS::SageMaker::InferenceComponent';

function newComponent(stack: Stack, props: Partial<SageMakerComponentProps> = {}) {
  const endpoint = new SageMakerComponentEndpoint(stack, 'Shared', { instanceType: 'ml.g6.12xlarge' });
  return endpoint.addComponent('Digits', {
    model: digitsInBucket(stack, manifest),
    image: imageByDigest(stack),
    ...props,
  });
}

describeWithAndWithoutFlags('SageMakerComponentEndpoint', (newStack) => {
  test('machines come and go with the components, which bring the models', () => {
    const stack = newStack();
    new SageMakerComponentEndpoint(stack, 'Shared', {
      instanceType: 'ml.g6.12xlarge',
      minInstances: 0,
      maxInstances: 3,
      vpc: newVpc(stack),
    });
    const [config] = propertiesOf(Template.fromStack(stack), 'AWS::SageMaker::EndpointConfig');
    expect(config.ExecutionRoleArn).toMatch(/^<SharedRole/);
    expect(config.EnableNetworkIsolation).toBe(true);
    expect(config.VpcConfig.Subnets).toHaveLength(2);
    const [variant] = config.ProductionVariants;
    expect(variant.ModelName).toBeUndefined();
    expect(variant).toMatchObject({
      InitialInstanceCount: 1,
      ManagedInstanceScaling: { Status: 'ENABLED', MinInstanceCount: 0, MaxInstanceCount: 3 },
      RoutingConfig: { RoutingStrategy: 'LEAST_OUTSTANDING_REQUESTS' },
    });
  });

  test('a copy asks for a GPU and its share of the machine, and is given the startup budget', () => {
    const stack = newStack();
    const { plan } = newComponent(stack);
    const { Specification } = theOnly(Template.fromStack(stack), COMPONENT).Properties;
    expect(Specification.ComputeResourceRequirements).toEqual({
      NumberOfAcceleratorDevicesRequired: 1,
      NumberOfCpuCoresRequired: plan.resources.vcpu,
      MinMemoryRequiredInMb: plan.resources.memoryMiB,
      MaxMemoryRequiredInMb: plan.resources.memoryMiB,
    });
    // A quarter of the four GPUs' machine at most.
    expect(plan.resources.memoryMiB).toBeLessThanOrEqual((192 * 1_024) / 4);
    expect(Specification.StartupParameters.ContainerStartupHealthCheckTimeoutInSeconds).toBe(
      plan.lifecycle.startupBudgetSeconds,
    );
  });

  test('a component brings a model, so what SageMaker takes of a model is what a copy may be told', () => {
    const stack = newStack();
    newComponent(stack);
    const template = Template.fromStack(stack);
    const { Specification } = theOnly(template, COMPONENT).Properties;
    expect(Specification.Container).toBeUndefined();
    expect(Specification.ModelName).toEqual({
      'Fn::GetAtt': [theOnly(template, 'AWS::SageMaker::Model').id, 'ModelName'],
    });
  });

  test('copies go down to none, and the first one comes when a request finds none', () => {
    const stack = newStack();
    const { componentName } = newComponent(stack, { maxReplicas: 4 });
    const template = Template.fromStack(stack);
    const target = theOnly(template, 'AWS::ApplicationAutoScaling::ScalableTarget');
    expect(target.Properties).toMatchObject({
      MinCapacity: 0,
      MaxCapacity: 4,
      ResourceId: `inference-component/${componentName}`,
      ScalableDimension: 'sagemaker:inference-component:DesiredCopyCount',
    });
    // The name alone says nothing of the order.
    expect(target.DependsOn).toEqual([theOnly(template, COMPONENT).id]);
    template.hasResourceProperties('AWS::ApplicationAutoScaling::ScalingPolicy', {
      TargetTrackingScalingPolicyConfiguration: {
        PredefinedMetricSpecification: {
          PredefinedMetricType: 'SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution',
        },
      },
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'NoCapacityInvocationFailures',
      Dimensions: [{ Name: 'InferenceComponentName', Value: componentName }],
      AlarmActions: Match.anyValue(),
    });
  });

  test('an update replaces copies in batches, and alarms take it back', () => {
    const stack = newStack();
    newComponent(stack, { rolloutPercent: 25, bake: Duration.minutes(7) });
    const template = Template.fromStack(stack);
    const { DeploymentConfig } = theOnly(template, COMPONENT).Properties;
    expect(DeploymentConfig.RollingUpdatePolicy).toMatchObject({
      MaximumBatchSize: { Type: 'CAPACITY_PERCENT', Value: 25 },
      WaitIntervalInSeconds: 420,
    });
    const names = DeploymentConfig.AutoRollbackConfiguration.Alarms.map(({ AlarmName }: any) => AlarmName.Ref);
    const alarms = resourcesOf(template, 'AWS::CloudWatch::Alarm').map(({ id }) => id);
    expect(names).toHaveLength(2);
    expect(alarms).toEqual(expect.arrayContaining(names));
  });
});

test('refuses an update that SageMaker does not do', () => {
  expect(() => newComponent(newStack(), { rolloutPercent: 60 })).toThrow('NUMBER_INVALID');
  expect(() => newComponent(newStack(), { bake: Duration.hours(2) })).toThrow('ROLLOUT_RANGE');
});

test('refuses more GPUs than the machines have', () => {
  expect(() => newComponent(newStack(), { gpuCount: 5 })).toThrow('GPU_COUNT');
});
