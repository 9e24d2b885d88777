import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Template } from 'aws-cdk-lib/assertions';
import { GpuInstanceGroup, InferenceService, Model, ModelBucket, RuntimeImage, ImageRepository } from 'slipway/cdk';
import { permissionsOf, REPOSITORY, type Facts, type ParityCase } from './facts';

/** What CloudFormation would be told about the service, as facts that do not depend on the engine. */
export function cdkFacts({ spec, models }: ParityCase): Facts {
  const { name, capacity: _byGroup, instanceTypes, metricsFrom: _kubernetesOnly, ...decisions } = spec;
  const stack = new Stack(new App(), 'Parity', { env: { account: '111122223333', region: 'eu-west-1' } });
  const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2 });
  const cluster = new ecs.Cluster(stack, 'Cluster', { vpc });
  const bucket = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', REPOSITORY));
  const images = new ImageRepository(stack, 'Images');
  new InferenceService(stack, 'Service', {
    ...decisions,
    serviceName: name,
    cluster,
    models: models.map(({ name: model, ...source }) => Model.fromBucket(bucket, model, source)),
    image: RuntimeImage.fromRepository(images.repository, `sha256:${'1'.repeat(64)}`),
    plaintextInsideVpc: true,
    ...(instanceTypes === undefined
      ? {}
      : // A cache on the machine is something that pods of the other engine have not.
        { capacity: new GpuInstanceGroup(stack, 'Gpu', { cluster, instanceTypes, modelCache: false }) }),
  });
  return readTemplate(Template.fromStack(stack));
}

/** What CloudFormation would be told about the only service of a stack. */
export function readTemplate(template: Template): Facts {
  const only = (type: string, isMeant: (properties: any) => boolean = () => true): any => {
    const found = Object.values(template.findResources(type)).map((resource) => resource['Properties']);
    const meant = found.filter(isMeant);
    if (meant.length !== 1) throw new Error(`expected one ${type}, found ${meant.length}`);
    return meant[0];
  };
  const task = only('AWS::ECS::TaskDefinition');
  const [container] = task.ContainerDefinitions;
  const service = only('AWS::ECS::Service');
  // A rollout that shifts traffic has a second group beside each, and gRPC groups of its own: all are asked alike.
  const [target] = Object.values(template.findResources('AWS::ElasticLoadBalancingV2::TargetGroup'))
    .map((resource) => resource['Properties'])
    .filter(({ ProtocolVersion }) => ProtocolVersion !== 'GRPC');
  const scalable = only('AWS::ApplicationAutoScaling::ScalableTarget');
  const { TargetTrackingScalingPolicyConfiguration: tracking } = only(
    'AWS::ApplicationAutoScaling::ScalingPolicy',
    // A service may follow its requests beside.
    (policy) => policy.TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification?.MetricName !== undefined,
  );
  const rights = Object.entries(template.findResources('AWS::IAM::Policy'))
    .filter(([id]) => id.includes('ReadModels'))
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
  const gpu = container.ResourceRequirements?.find(({ Type }: any) => Type === 'GPU');
  return {
    environment: Object.fromEntries(container.Environment.map(({ Name, Value }: any) => [Name, textOf(Value)])),
    annotations: container.DockerLabels,
    ports: Object.fromEntries(container.PortMappings.map(({ Name, ContainerPort }: any) => [Name, ContainerPort])),
    resources: { vcpu: Number(task.Cpu) / 1024, memoryMiB: container.Memory, gpuCount: Number(gpu?.Value ?? 0) },
    security: {
      user: Number(String(container.User).split(':')[0]),
      readOnlyRoot: container.ReadonlyRootFilesystem,
      privileged: container.Privileged,
      droppedCapabilities: container.LinuxParameters.Capabilities.Drop,
    },
    lifecycle: {
      readyPath: target.HealthCheckPath,
      // The load balancer's grace covers the startup budget and the checks that make a replica healthy.
      startupSeconds:
        service.HealthCheckGracePeriodSeconds - target.HealthyThresholdCount * target.HealthCheckIntervalSeconds,
      stopSeconds: container.StopTimeout,
      livenessPeriodSeconds: container.HealthCheck.Interval,
      livenessTimeoutSeconds: container.HealthCheck.Timeout,
      livenessFailures: container.HealthCheck.Retries,
    },
    rollout: {
      spareReplica: service.DeploymentConfiguration.MaximumPercent > 100,
      mayGoBelow: service.DeploymentConfiguration.MinimumHealthyPercent < 100,
    },
    scaling: {
      minReplicas: scalable.MinCapacity,
      maxReplicas: scalable.MaxCapacity,
      target: tracking.TargetValue,
      metric: tracking.CustomizedMetricSpecification.MetricName,
    },
    permissions: permissionsOf(rights, (arn) => textOf(arn)),
  };
}

/** A value as deployment would put it together; what only deployment knows is its name in braces. */
function textOf(value: any): string {
  if (typeof value === 'string') return value;
  const [parts, separator] = value['Fn::Join'] === undefined ? [undefined] : value['Fn::Join'].toReversed();
  return parts === undefined ? `{${value.Ref ?? value['Fn::Sub'] ?? 'late'}}` : parts.map(textOf).join(separator);
}
