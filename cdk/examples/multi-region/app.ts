/**
 * One model and one image in two regions: published once, copied by S3 and ECR, served in both. Each region has its own
 * copies and stands alone when the other is gone.
 *
 *     npx cdk deploy MultiRegionStoresFrankfurt MultiRegionStoresIreland --app "npx tsx cdk/examples/multi-region/main.ts"
 *     npx slipway image push <ImageRepositoryUri of Ireland>                     # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri of Ireland> \
 *       --manifest-file cdk/examples/multi-region/digits.manifest.json
 *
 * Copies take seconds to minutes. A service that is deployed before they are there finds no model, and its deployment is
 * taken back; so is every rollout of a version whose copy is not complete.
 *
 *     npx cdk deploy MultiRegionIreland MultiRegionFrankfurt --app "npx tsx cdk/examples/multi-region/main.ts" \
 *       --parameters MultiRegionIreland:Image=<digest> --parameters MultiRegionFrankfurt:Image=<digest>
 *
 * A new version: publish, look whether the copy of its manifest.json is there, and deploy again, one region after the other.
 */
import { App, Aws, CfnOutput, CfnParameter, RemovalPolicy, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { ImageRegistry, ImageRepository, InferenceService, Model, ModelBucket, RuntimeImage } from 'slipway/cdk';

const IRELAND = 'eu-west-1';
const FRANKFURT = 'eu-central-1';
/** The same in both regions, so that copies land in the repository that is there and keeps its rules. */
const IMAGE_REPOSITORY = 'slipway-multi-region';
const modelBucketIn = (region: string): string => `slipway-multi-region-${Aws.ACCOUNT_ID}-${region}`;

interface StoresProps extends StackProps {
  /** Region that gets copies of what is published here. @default - none */
  readonly copiedTo?: string;
}

/** What must be there, and filled, before the services. It is kept when the stack is deleted. */
export class MultiRegionStoresStack extends Stack {
  constructor(scope: Construct, id: string, { copiedTo, ...props }: StoresProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', {
      bucketName: modelBucketIn(this.region),
      ...(copiedTo === undefined
        ? {}
        : { replicateTo: [{ bucket: s3.Bucket.fromBucketName(this, 'Copies', modelBucketIn(copiedTo)) }] }),
    });
    if (copiedTo !== undefined) {
      // What an account has once per region. Who has a platform team finds these settings in a stack of theirs.
      new ImageRegistry(this, 'Registry', { replicateTo: [copiedTo], replicatedPrefixes: [IMAGE_REPOSITORY] });
    }
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class MultiRegionStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, props);
    const bucket = s3.Bucket.fromBucketName(this, 'ModelBucket', modelBucketIn(this.region));
    const models = ModelBucket.fromBucket(this, 'Models', bucket);
    const digits = new InferenceService(this, 'Digits', {
      cluster: this.newCluster(),
      image: this.image(),
      // One manifest for both regions: the digests in it are those of the copies as well.
      models: [Model.fromBucket(models, 'digits', { manifest: 'cdk/examples/multi-region/digits.manifest.json' })],
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: digits.url, description: 'from inside the VPC, once a client is let in' });
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

  // A digest names the same image in every region.
  private image(): RuntimeImage {
    const image = new CfnParameter(this, 'Image', {
      description: 'digest of the image of the server, as slipway image push printed it',
      allowedPattern: '^sha256:[0-9a-f]{64}$',
      constraintDescription: 'sha256:<64 hexadecimal digits>',
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    return RuntimeImage.fromRepository(images, image.valueAsString);
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  const frankfurt = { env: { region: FRANKFURT } };
  const ireland = { env: { region: IRELAND } };
  const copies = new MultiRegionStoresStack(app, 'MultiRegionStoresFrankfurt', frankfurt);
  const stores = new MultiRegionStoresStack(app, 'MultiRegionStoresIreland', { ...ireland, copiedTo: FRANKFURT });
  // S3 copies only into a bucket that is there.
  stores.addStackDependency(copies);
  new MultiRegionStack(app, 'MultiRegionIreland', ireland);
  new MultiRegionStack(app, 'MultiRegionFrankfurt', frankfurt);
  return app;
}
