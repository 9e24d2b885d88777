/**
 * From a candidate in a bucket to a version that serves: inspected, published as the next version, approved by somebody, rolled
 * out or taken back.
 *
 *     npx cdk deploy PipelineStores --app "npx tsx cdk/examples/pipeline/main.ts"
 *     npx slipway image push <ImageRepositoryUri>                                # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri> \
 *       --manifest-file cdk/examples/pipeline/digits.manifest.json
 *     npx cdk deploy Pipeline --app "npx tsx cdk/examples/pipeline/main.ts" \
 *       --parameters Image=<what slipway image push printed>
 *
 * From then on a candidate is all. Its other files go first: the model starts the run.
 *
 *     aws s3 cp rows.jsonl <CandidatesUri>/digits/2026-11-22/rows.jsonl
 *     aws s3 cp models/digits/model.onnx <CandidatesUri>/digits/2026-11-22/model.onnx
 *
 * Whoever is subscribed to the topic is asked, and answers with the token of the message:
 *
 *     aws stepfunctions send-task-success --task-token <taskToken> --task-output '{}'
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
import {
  ImageRepository,
  InferenceService,
  Model,
  ModelBucket,
  ModelPipeline,
  ModelRollout,
  PipelineStep,
  RuntimeImage,
} from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-pipeline';
const MODEL_BUCKET = `slipway-pipeline-models-${Aws.ACCOUNT_ID}-${Aws.REGION}`;
const CANDIDATE_BUCKET = `slipway-pipeline-candidates-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the service. It is kept when the stack is deleted. */
export class PipelineStoresStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    // Who trains writes here and nowhere else. As the other one, it is private, versioned, and tells EventBridge.
    const candidates = new ModelBucket(this, 'Candidates', { bucketName: CANDIDATE_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
    new CfnOutput(this, 'CandidatesUri', { value: candidates.modelRepositoryUri });
  }
}

export class PipelineStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const models = ModelBucket.fromBucket(this, 'Models', s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET));
    const candidates = s3.Bucket.fromBucketName(this, 'Candidates', CANDIDATE_BUCKET);
    const cluster = this.newCluster();
    const image = this.image();
    const onCall = this.newTopic();

    const digits = Model.rolledOutFromBucket(models, 'digits', {
      manifest: 'cdk/examples/pipeline/digits.manifest.json',
    });
    const service = new InferenceService(this, 'Digits', {
      cluster,
      image,
      models: [digits],
      plaintextInsideVpc: true,
    });
    // What one step leaves, the next ones find; labelled rows lie beside the candidate.
    const smaller = PipelineStep.result('Cluster', 'model.onnx');
    const rows = PipelineStep.source('rows.jsonl');
    const pipeline = new ModelPipeline(this, 'Pipeline', {
      // The pipeline starts it, and nothing else does.
      rollout: new ModelRollout(this, 'Rollout', { model: digits, trigger: 'none' }),
      cluster,
      image,
      source: { bucket: candidates, prefix: 'digits/' },
      steps: [
        PipelineStep.gate('Inspect', ['model', 'inspect', PipelineStep.source(), '--json']),
        PipelineStep.command('Cluster', [
          ...['model', 'cluster', PipelineStep.source(), '--output', smaller],
          ...['--clusters', '16', '--samples', rows],
        ]),
        // Nothing is published of which fewer than 95 of 100 come out right.
        PipelineStep.gate('Evaluate', [
          ...['model', 'evaluate', smaller, '--compare', PipelineStep.source(), '--data', rows],
          ...['--task', 'classification', '--min-accuracy', '95%', '--max-drop', '2%', '--no-speed'],
        ]),
        PipelineStep.publish({ model: smaller, licence: 'Apache-2.0', tolerances: ['probabilities=top1'] }),
        // Once its rollout is kept.
        PipelineStep.promote('production'),
      ],
      approval: { topic: onCall },
      notifications: onCall,
    });

    new CfnOutput(this, 'Url', { value: service.url, description: 'from inside the VPC, once a client is let in' });
    new CfnOutput(this, 'PipelineArn', { value: pipeline.stateMachine.stateMachineArn });
  }

  private newTopic(): sns.Topic {
    const masterKey = new kms.Key(this, 'TopicKey', { enableKeyRotation: true, removalPolicy: RemovalPolicy.DESTROY });
    return new sns.Topic(this, 'OnCall', { enforceSSL: true, masterKey });
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
  new PipelineStoresStack(app, 'PipelineStores');
  new PipelineStack(app, 'Pipeline');
  return app;
}
