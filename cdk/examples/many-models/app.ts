/**
 * Three models that share one GPU: every replica loads all of them, and a caller names the one it means. They batch
 * apart, and wait for each other in turn.
 *
 *     npx slipway image push <image repository> --variant cuda                  # prints the image with its digest
 *     npx slipway model publish detector.onnx <model bucket>                    # and so with the other two
 *     npx cdk deploy ManyModels --app "npx tsx cdk/examples/many-models/main.ts" \
 *       --parameters Image=<what slipway image push printed> --parameters ModelBucket=<its name>
 */
import { App, CfnOutput, CfnParameter, Fn, RemovalPolicy, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import {
  Capacity,
  GpuInstanceGroup,
  GpuMachineImage,
  InferenceService,
  Model,
  ModelBucket,
  RuntimeImage,
} from 'slipway/cdk';

const IMAGE_REPOSITORY = 'slipway-many-models';

export class ManyModelsStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
    });
    const bucket = new CfnParameter(this, 'ModelBucket', { description: 'name of the bucket that holds the models' });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const models = ModelBucket.fromBucket(
      this,
      'Models',
      s3.Bucket.fromBucketName(this, 'Bucket', bucket.valueAsString),
    );

    const cluster = newCluster(this);
    const l4 = new GpuInstanceGroup(this, 'L4', {
      cluster,
      capacity: Capacity.onDemand(['g6.xlarge', 'g6.2xlarge']),
      // One machine more than replicas: a rollout starts a new one before it stops an old one.
      maxSize: 5,
      machineImage: GpuMachineImage.amazonLinux2023({ pinnedParameter: '/many-models/machine-image' }),
    });
    const vision = new InferenceService(this, 'Vision', {
      cluster,
      capacity: l4,
      image: RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image.valueAsString))),
      // A large batch of the detector would keep the other two waiting.
      models: [
        Model.fromBucket(models, 'detector', { version: 4, maxBatchSize: 4 }),
        Model.fromBucket(models, 'classifier', { version: 2, maxBatchSize: 32 }),
        Model.fromBucket(models, 'embedder', { version: 7, maxBatchSize: 16 }),
      ],
      executionProvider: 'cuda',
      // All three, and what they need while they run.
      memoryMiB: 12_288,
      startupBudgetSeconds: 300,
      minReplicas: 1,
      maxReplicas: 4,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: vision.url, description: 'from inside the VPC, once a client is let in' });
  }
}

/** Two zones with private subnets; models and image layers come through the free S3 endpoint, not through the NAT gateway. */
function newCluster(stack: Stack): ecs.Cluster {
  const rejected = new logs.LogGroup(stack, 'RejectedTraffic', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 1,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    flowLogs: {
      Rejected: {
        trafficType: ec2.FlowLogTrafficType.REJECT,
        destination: ec2.FlowLogDestination.toCloudWatchLogs(rejected),
      },
    },
    // Emptying the default security group takes a Lambda function, and nothing here is in that group.
    restrictDefaultSecurityGroup: false,
  });
  return new ecs.Cluster(stack, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new ManyModelsStack(app, 'ManyModels');
  return app;
}
