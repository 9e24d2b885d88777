/**
 * The same service at a lower price: spot machines above a base that is not, of whichever type is to be had. Beside it,
 * the same service on machines that ECS keeps by itself.
 *
 *     npx slipway image push <account>.dkr.ecr.<region>.amazonaws.com/slipway --variant cuda
 *     npx slipway model publish model.onnx s3://<bucket of the model repository>/ --name tagging
 *     npx cdk deploy SpotWithBase --app "npx tsx cdk/examples/spot-with-base/main.ts" \
 *       --parameters Image=<what slipway image push printed> --parameters ModelBucket=<bucket of the model repository>
 *
 * ManagedInstances takes the same parameters.
 */
import { App, CfnOutput, CfnParameter, Fn, RemovalPolicy, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import {
  Capacity,
  GpuInstanceGroup,
  InferenceService,
  Model,
  ModelBucket,
  RuntimeImage,
  type IGpuInstanceGroup,
} from 'slipway/cdk';

const IMAGE_REPOSITORY = 'slipway';

/** A service whose machines its subclasses choose. */
abstract class TaggingStack extends Stack {
  protected readonly cluster: ecs.Cluster;

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const vpc = new ec2.Vpc(this, 'Vpc', {
      // A spot machine is the more likely to be had, the more zones it may be in. CDK takes two where env names no region.
      maxAzs: 3,
      natGateways: 1,
      gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
      flowLogs: { Rejected: rejectedTraffic(this) },
      restrictDefaultSecurityGroup: false,
    });
    this.cluster = new ecs.Cluster(this, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
    const tagging = new InferenceService(this, 'Tagging', {
      cluster: this.cluster,
      capacity: this.newMachines(),
      image: this.image(),
      models: [Model.fromBucket(this.models(), 'tagging', { version: 1, maxBatchSize: 32 })],
      executionProvider: 'cuda',
      memoryMiB: 8192,
      startupBudgetSeconds: 240,
      minReplicas: 1,
      maxReplicas: 8,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: tagging.url, description: 'from inside the VPC, once a client is let in' });
  }

  protected abstract newMachines(): IGpuInstanceGroup;

  private image(): RuntimeImage {
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
      constraintDescription: `<registry>/${IMAGE_REPOSITORY}@sha256:<64 hexadecimal digits>`,
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    return RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image.valueAsString)));
  }

  private models(): ReturnType<typeof ModelBucket.fromBucket> {
    const name = new CfnParameter(this, 'ModelBucket', { description: 'bucket of the model repository' });
    return ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'Bucket', name.valueAsString));
  }
}

/** One machine that stays, and spot machines of four types above it. */
export class SpotWithBaseStack extends TaggingStack {
  protected newMachines(): IGpuInstanceGroup {
    return new GpuInstanceGroup(this, 'Machines', {
      cluster: this.cluster,
      // Taken back with two minutes' notice: replicas are drained, and the base keeps answering meanwhile.
      capacity: Capacity.spotFirst(['g6.xlarge', 'g6.2xlarge', 'g5.xlarge', 'g5.2xlarge'], { onDemandBase: 1 }),
      maxSize: 9,
    });
  }
}

/** Machines that ECS starts, patches and removes: nothing to size, no image to choose, a fee for each. */
export class ManagedInstancesStack extends TaggingStack {
  protected newMachines(): IGpuInstanceGroup {
    return new GpuInstanceGroup(this, 'Machines', {
      cluster: this.cluster,
      capacity: Capacity.managedInstances(['g6.xlarge', 'g5.xlarge']),
    });
  }
}

/** What was refused in the network; it goes when the stack goes. */
function rejectedTraffic(stack: Stack): ec2.FlowLogOptions {
  const group = new logs.LogGroup(stack, 'RejectedTraffic', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  return {
    trafficType: ec2.FlowLogTrafficType.REJECT,
    destination: ec2.FlowLogDestination.toCloudWatchLogs(group),
  };
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new SpotWithBaseStack(app, 'SpotWithBase');
  new ManagedInstancesStack(app, 'ManagedInstances');
  return app;
}
