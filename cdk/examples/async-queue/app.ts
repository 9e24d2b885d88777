/**
 * Inference for those who do not wait: messages of a queue become results in a bucket, and there is no replica while there
 * is no message.
 *
 *     npx cdk deploy AsyncQueue --app "npx tsx cdk/examples/async-queue/main.ts"
 *
 *     aws sqs send-message --queue-url <QueueUrl> --message-body '{"id": "first", "model": "digits",
 *       "input": {"uri": "s3://<InputsBucket>/inputs/digit.json"}}'
 *     aws s3 cp s3://<ResultsBucket>/results/digits/first.json -
 *
 * The first message waits for a replica to start: a few minutes on Fargate. Buckets and queues are kept when the stack is
 * deleted: they hold what somebody asked for.
 */
import {
  App,
  CfnOutput,
  Duration,
  RemovalPolicy,
  Stack,
  Validations,
  type AppProps,
  type StackProps,
} from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { AsyncInferenceService, Model, RuntimeImage } from 'slipway/cdk';

export class AsyncQueueStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const inputs = newInputsBucket(this);
    const digits = new AsyncInferenceService(this, 'Digits', {
      cluster: newCluster(this),
      models: [Model.fromAsset('models/digits/model.onnx')],
      image: this.image(),
      inputs: [{ bucket: inputs, prefix: 'inputs/' }],
      maxReplicas: 8,
      replicaHourPrice: 0.05,
    });

    // Who asks: it may send messages, put inputs and get results by their names, and nothing else.
    const shop = new iam.Role(this, 'Shop', {
      assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com'),
      description: 'asks the digits service',
    });
    digits.grantSend(shop);
    digits.grantReadResults(shop);
    shop.addToPolicy(
      new iam.PolicyStatement({ actions: ['s3:PutObject'], resources: [inputs.arnForObjects('inputs/digit.json')] }),
    );
    const results = this.getLogicalId(digits.results.node.defaultChild as s3.CfnBucket);
    acknowledge(
      shop,
      `IAM5[Resource::<${results}.Arn>/results/*]`,
      'a result is named by its message, which comes later',
    );

    new CfnOutput(this, 'QueueUrl', { value: digits.queue.queueUrl });
    new CfnOutput(this, 'InputsBucket', { value: inputs.bucketName });
    new CfnOutput(this, 'ResultsBucket', { value: digits.results.bucketName });
  }

  // Built from the installed package when the stack is deployed, unless one that was pushed is named.
  private image(): RuntimeImage {
    const pushed = this.node.tryGetContext('image') as string | undefined;
    if (pushed === undefined) return RuntimeImage.fromAsset();
    return RuntimeImage.fromRepository(ecr.Repository.fromRepositoryName(this, 'Images', 'slipway'), pushed);
  }
}

/** Says to cdk-nag why a finding is accepted. */
function acknowledge(construct: Construct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: `AwsSolutions::AwsSolutions-${rule}`, reason });
}

function newInputsBucket(stack: Stack): s3.Bucket {
  const bucket = new s3.Bucket(stack, 'Inputs', {
    encryption: s3.BucketEncryption.S3_MANAGED,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    versioned: true,
    lifecycleRules: [
      { noncurrentVersionExpiration: Duration.days(30), abortIncompleteMultipartUploadAfter: Duration.days(7) },
    ],
  });
  acknowledge(bucket, 'S1', 'an example keeps no log of who put what');
  return bucket;
}

/** Two zones with private subnets; models and image layers come through the free S3 endpoint, not through the NAT gateway. */
function newCluster(stack: Stack): ecs.Cluster {
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 1,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    flowLogs: { Rejected: rejectedTraffic(stack) },
    // Emptying the default security group takes a Lambda function, and nothing here is in that group.
    restrictDefaultSecurityGroup: false,
  });
  return new ecs.Cluster(stack, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
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
  new AsyncQueueStack(app, 'AsyncQueue');
  return app;
}
