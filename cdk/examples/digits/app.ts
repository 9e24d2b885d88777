/**
 * The digit classifier on AWS: three stacks that can be deployed one by one.
 *
 *     npx cdk deploy Digits          # on Fargate: builds the server image, uploads the model, needs nothing else
 *
 *     npx cdk deploy DigitsStores    # an image repository and a model bucket for the GPU service; fill them:
 *     npx slipway image push <ImageRepositoryUri> --variant cuda                       # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri>
 *     npx cdk deploy DigitsGpu --parameters Image=<what slipway image push printed>
 *
 * A new AWS account has no quota of G instances: ask for one before the last step.
 *
 *     npx cdk destroy Digits DigitsGpu
 *
 * The machines of a production group are protected from being scaled in, and a delete may wait for the last of them:
 * `aws autoscaling set-instance-protection --no-protected-from-scale-in` lets them go.
 */
import {
  App,
  Aws,
  CfnOutput,
  CfnParameter,
  Fn,
  RemovalPolicy,
  Stack,
  type AppProps,
  type StackProps,
} from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { GpuInstanceGroup, ImageRepository, InferenceService, Model, ModelBucket, RuntimeImage } from 'slipway/cdk';

// Two stacks agree on these names, so that neither exports anything to the other and each can be deployed alone.
const IMAGE_REPOSITORY = 'slipway';
const MODEL_BUCKET = `slipway-models-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** Two zones with private subnets; models and image layers come through the free S3 endpoint, not through the NAT gateway. */
function newCluster(stack: Stack): ecs.Cluster {
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 1,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    flowLogs: { Rejected: { trafficType: ec2.FlowLogTrafficType.REJECT, destination: newFlowLogs(stack) } },
    // Emptying the default security group takes a Lambda function, and nothing here is in that group.
    restrictDefaultSecurityGroup: false,
  });
  return new ecs.Cluster(stack, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
}

/** What was refused in the network; it goes when the stack goes. */
function newFlowLogs(stack: Stack): ec2.FlowLogDestination {
  const group = new logs.LogGroup(stack, 'RejectedTraffic', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  return ec2.FlowLogDestination.toCloudWatchLogs(group);
}

/** A CPU service on Fargate. */
export class DigitsStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const cluster = newCluster(this);
    const digits = new InferenceService(this, 'Digits', {
      cluster,
      preset: 'development',
      models: [Model.fromAsset('models/digits/model.onnx')],
      image: this.image(),
      maxReplicas: 4,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: digits.url, description: 'from inside the VPC, once a client is let in' });
  }

  // Built from the installed package when the stack is deployed. Where there is no Docker, an image that was pushed from
  // elsewhere will do: `npx cdk deploy Digits --context image=<what slipway image push printed>`.
  private image(): RuntimeImage {
    const pushed = this.node.tryGetContext('image') as string | undefined;
    if (pushed === undefined) return RuntimeImage.fromAsset();
    return RuntimeImage.fromRepository(ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY), pushed);
  }
}

/**
 * What must be there, and filled, before the GPU service. It is kept when the stack is deleted;
 * `npx cdk deploy DigitsStores --import-existing-resources` takes it back.
 */
export class DigitsStoresStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

/** A GPU service on machines that come and go with the load. */
export class DigitsGpuStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      // The digest says nothing about where the image lies: the machines pull it from this image repository.
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
      constraintDescription: `<registry>/${IMAGE_REPOSITORY}@sha256:<64 hexadecimal digits>`,
    });
    const digest = Fn.select(1, Fn.split('@', image.valueAsString));
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const models = ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET));

    const cluster = newCluster(this);
    // One machine more than replicas: a rollout starts a new one before it stops an old one.
    const l4 = new GpuInstanceGroup(this, 'L4', { cluster, instanceTypes: ['g6.xlarge', 'g6.2xlarge'], maxSize: 7 });
    const digits = new InferenceService(this, 'Digits', {
      cluster,
      capacity: l4,
      image: RuntimeImage.fromRepository(images, digest),
      // Without the manifest that `slipway model publish` leaves, nothing is known about the model: so it is said here.
      models: [Model.fromBucket(models, 'digits', { version: 1, maxBatchSize: 64 })],
      executionProvider: 'cuda',
      memoryMiB: 8192,
      startupBudgetSeconds: 240,
      maxReplicas: 6,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: digits.url, description: 'from inside the VPC, once a client is let in' });
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new DigitsStack(app, 'Digits');
  new DigitsStoresStack(app, 'DigitsStores');
  new DigitsGpuStack(app, 'DigitsGpu');
  return app;
}
