/**
 * The sample model over every object below a prefix, on spot machines that come for the job and go with it; and a training
 * job over two machines, by a program of yours.
 *
 *     npx cdk deploy BatchStores --app "npx tsx cdk/examples/batch/main.ts"
 *     npx slipway image push <ImageRepositoryUri> --variant cuda                # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri>
 *
 *     npx cdk deploy Batch --app "npx tsx cdk/examples/batch/main.ts" --parameters Image=<what slipway image push printed>
 *     aws s3 cp docs/examples/digit.json s3://<bucket>/requests/1.json
 *     aws batch submit-job --job-name score --job-queue <Queue> --job-definition <Job> --array-properties size=4
 *     aws s3 cp s3://<bucket>/answers/1.json.json -
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
import {
  BatchInferenceJob,
  Capacity,
  GpuJobQueue,
  ImageRepository,
  Model,
  ModelBucket,
  MultiNodeTrainingJob,
  RuntimeImage,
} from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-batch';
const MODEL_BUCKET = `slipway-batch-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the jobs. It is kept when the stack is deleted. */
export class BatchStoresStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class BatchStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const pushed = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const digest = Fn.select(1, Fn.split('@', pushed.valueAsString));
    const bucket = s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET);
    const models = ModelBucket.fromBucket(this, 'Models', bucket);
    const vpc = newVpc(this);

    const queue = new GpuJobQueue(this, 'Queue', {
      vpc,
      capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge'], { onDemandBase: 1 }),
      maxMachines: 4,
    });
    const job = new BatchInferenceJob(this, 'Score', {
      queue,
      model: Model.fromBucket(models, 'digits', { version: 1, onnxFile: 'models/digits/model.onnx' }),
      image: RuntimeImage.fromRepository(images, digest),
      inputs: { bucket, prefix: 'requests/' },
      results: { bucket, prefix: 'answers/' },
      shards: 4,
    });
    const trainingQueue = new GpuJobQueue(this, 'TrainingQueue', {
      vpc,
      capacity: Capacity.onDemand(['g6.12xlarge']),
      maxMachines: 2,
    });
    const training = new MultiNodeTrainingJob(this, 'Train', {
      queue: trainingQueue,
      image: ecs.ContainerImage.fromEcrRepository(images, 'training'),
      command: ['torchrun', '--nnodes=2', 'train.py'],
      nodes: 2,
    });
    new CfnOutput(this, 'QueueArn', { value: queue.queue.jobQueueArn });
    new CfnOutput(this, 'JobArn', { value: job.jobDefinition.jobDefinitionArn });
    new CfnOutput(this, 'TrainingQueueArn', { value: trainingQueue.queue.jobQueueArn });
    new CfnOutput(this, 'TrainingJobArn', { value: training.jobDefinition.jobDefinitionArn });
  }
}

/** Two zones with private subnets; models and image layers come through the free S3 endpoint, not through the NAT gateway. */
function newVpc(stack: Stack): ec2.Vpc {
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 1,
    // CDK would add a Lambda function to empty the default security group, which nothing here uses.
    restrictDefaultSecurityGroup: false,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
  });
  const flows = new logs.LogGroup(stack, 'Flows', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  vpc.addFlowLog('Flows', { destination: ec2.FlowLogDestination.toCloudWatchLogs(flows) });
  return vpc;
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new BatchStoresStack(app, 'BatchStores');
  new BatchStack(app, 'Batch');
  return app;
}
