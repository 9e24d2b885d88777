/**
 * A model whose new versions get a tenth of the traffic first, after they have answered the golden input that
 * `slipway model publish` recorded. Alarms of errors and latency give the traffic back.
 *
 *     npx cdk deploy CanaryStores --app "npx tsx cdk/examples/canary/main.ts"
 *     npx slipway image push <ImageRepositoryUri> --variant cpu                 # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri>
 *
 *     npx cdk deploy Canary --app "npx tsx cdk/examples/canary/main.ts" \
 *       --parameters Image=<what slipway image push printed> --parameters Certificate=<ARN of a certificate of yours>
 *
 * To see a rollout, publish another version, raise `version` below, and deploy again.
 */
import {
  App,
  Aws,
  CfnOutput,
  CfnParameter,
  Duration,
  Fn,
  RemovalPolicy,
  Stack,
  type AppProps,
  type StackProps,
} from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { ImageRepository, InferenceService, Model, ModelBucket, Rollout, RuntimeImage } from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-canary';
const MODEL_BUCKET = `slipway-canary-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the service. It is kept when the stack is deleted. */
export class CanaryStoresStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class CanaryStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
    });
    const certificate = new CfnParameter(this, 'Certificate', {
      description: 'ARN of a certificate for the name that clients call',
      allowedPattern: '^arn:[^:]+:acm:.+$',
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const models = ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET));

    const digits = new InferenceService(this, 'Digits', {
      cluster: newCluster(this),
      image: RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image.valueAsString))),
      models: [Model.fromBucket(models, 'digits', { version: 1, maxBatchSize: 16 })],
      executionProvider: 'cpu',
      memoryMiB: 2048,
      startupBudgetSeconds: 60,
      maxReplicas: 6,
      certificate: acm.Certificate.fromCertificateArn(this, 'ForClients', certificate.valueAsString),
      grpc: true,
      rollout: Rollout.canary({ percent: 10, bake: Duration.minutes(10), smokeTest: true }),
    });
    new CfnOutput(this, 'Url', { value: digits.url, description: 'from inside the VPC, once a client is let in' });
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
  new CanaryStoresStack(app, 'CanaryStores');
  new CanaryStack(app, 'Canary');
  return app;
}
