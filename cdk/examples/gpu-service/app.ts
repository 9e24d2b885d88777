/**
 * One model on GPU machines that come and go with the load: a pinned machine image, models kept on the machines' own
 * disks, alarms and a dashboard.
 *
 *     npx cdk deploy GpuServiceStores --app "npx tsx cdk/examples/gpu-service/main.ts"
 *     npx slipway image push <ImageRepositoryUri> --variant cuda                 # prints the image with its digest
 *     npx slipway model publish model.onnx <ModelRepositoryUri> --name ranking
 *
 * Machines boot from an image of your choosing, whose id lies in a parameter of your own; copy one of AWS into it, and
 * again when you want its newer driver:
 *
 *     aws ssm put-parameter --name /gpu-service/machine-image --data-type aws:ec2:image --type String --value "$(
 *       aws ssm get-parameter --query Parameter.Value --output text \
 *         --name /aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id)"
 *
 *     npx cdk deploy GpuService --app "npx tsx cdk/examples/gpu-service/main.ts" \
 *       --parameters Image=<what slipway image push printed>
 *
 * A new AWS account has no quota of G instances: `cdk deploy` prints how many vCPUs the group may take.
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
import {
  Capacity,
  GpuInstanceGroup,
  GpuMachineImage,
  ImageRepository,
  InferenceService,
  Model,
  ModelBucket,
  RuntimeImage,
} from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-gpu-service';
const MODEL_BUCKET = `slipway-gpu-service-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the service. It is kept when the stack is deleted. */
export class GpuServiceStoresStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class GpuServiceStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: 1,
      gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
      flowLogs: { Rejected: rejectedTraffic(this) },
      // Emptying the default security group takes a Lambda function, and nothing here is in that group.
      restrictDefaultSecurityGroup: false,
    });
    const cluster = new ecs.Cluster(this, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });

    const l4 = new GpuInstanceGroup(this, 'L4', {
      cluster,
      // The second type is taken where the first is not to be had; a replica fits either.
      capacity: Capacity.onDemand(['g6.xlarge', 'g5.xlarge']),
      // One machine more than replicas: a rollout starts a new one before it stops an old one.
      maxSize: 7,
      machineImage: GpuMachineImage.amazonLinux2023({ pinnedParameter: '/gpu-service/machine-image' }),
    });

    const models = ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET));
    const ranking = new InferenceService(this, 'Ranking', {
      cluster,
      capacity: l4,
      image: this.image(),
      // Without the manifest that `slipway model publish` leaves, nothing is known about the model: so it is said here.
      models: [Model.fromBucket(models, 'ranking', { version: 1, maxBatchSize: 64 })],
      executionProvider: 'cuda',
      memoryMiB: 8192,
      startupBudgetSeconds: 240,
      minReplicas: 1,
      maxReplicas: 6,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: ranking.url, description: 'from inside the VPC, once a client is let in' });
  }

  private image(): RuntimeImage {
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
      constraintDescription: `<registry>/${IMAGE_REPOSITORY}@sha256:<64 hexadecimal digits>`,
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    return RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image.valueAsString)));
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
  new GpuServiceStoresStack(app, 'GpuServiceStores');
  new GpuServiceStack(app, 'GpuService');
  return app;
}
