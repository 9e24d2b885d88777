/**
 * A model whose newer versions are rolled out as they are published, without a deployment from code.
 *
 *     npx cdk deploy ModelRolloutStores --app "npx tsx cdk/examples/model-rollout/main.ts"
 *     npx slipway image push <ImageRepositoryUri>                                # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri> \
 *       --manifest-file cdk/examples/model-rollout/digits.manifest.json
 *     npx cdk deploy ModelRollout --app "npx tsx cdk/examples/model-rollout/main.ts" \
 *       --parameters Image=<what slipway image push printed>
 *
 * From then on publishing is all: the manifest of version 2 lands in the bucket, and the service rolls out version 2.
 *
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri>
 *
 * To go back, or to try a version again that was rolled back:
 *
 *     aws stepfunctions start-execution --state-machine-arn <RolloutArn> --input '{ "version": 1, "force": true }'
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
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { ImageRepository, InferenceService, Model, ModelBucket, ModelRollout, RuntimeImage } from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-model-rollout';
const MODEL_BUCKET = `slipway-model-rollout-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the service. It is kept when the stack is deleted. */
export class ModelRolloutStoresStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    // It tells EventBridge of new objects unless it is told not to.
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class ModelRolloutStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const models = ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET));

    const digits = Model.rolledOutFromBucket(models, 'digits', {
      manifest: 'cdk/examples/model-rollout/digits.manifest.json',
    });
    const service = new InferenceService(this, 'Digits', {
      cluster: this.newCluster(),
      image: this.image(),
      models: [digits],
      plaintextInsideVpc: true,
    });
    const rollout = new ModelRollout(this, 'Rollout', {
      model: digits,
      // Whoever is on call subscribes; a rollout that failed has been rolled back already.
      notifications: this.newTopic(),
    });

    new CfnOutput(this, 'Url', { value: service.url, description: 'from inside the VPC, once a client is let in' });
    new CfnOutput(this, 'RolloutArn', { value: rollout.stateMachine.stateMachineArn });
  }

  private newTopic(): sns.Topic {
    const masterKey = new kms.Key(this, 'TopicKey', { enableKeyRotation: true, removalPolicy: RemovalPolicy.DESTROY });
    return new sns.Topic(this, 'FailedRollouts', { enforceSSL: true, masterKey });
  }

  private newCluster(): ecs.Cluster {
    const rejected = new logs.LogGroup(this, 'RejectedTraffic', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const vpc = new ec2.Vpc(this, 'Vpc', {
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
    return new ecs.Cluster(this, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
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

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new ModelRolloutStoresStack(app, 'ModelRolloutStores');
  new ModelRolloutStack(app, 'ModelRollout');
  return app;
}
