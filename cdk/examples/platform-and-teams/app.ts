/**
 * What a platform team makes once, and services of three other teams on it: two apps that share a file and no stack.
 *
 *     npx cdk deploy --app "npx tsx cdk/examples/platform-and-teams/main.ts" --all      # the platform
 *     cp cdk.out/main.platform.facts.json cdk/examples/platform-and-teams/platform.facts.json
 *
 * The copy is committed: it changes when the platform grows a group or a zone, and somebody reads what changed. Then fill
 * the platform's stores, as their outputs say, and deploy the teams, each when it likes:
 *
 *     npx slipway image push <ImageRepositoryUri> --variant cuda
 *     npx slipway model publish model.onnx <ModelRepositoryUri> --name search
 *     npx cdk deploy --app "npx tsx cdk/examples/platform-and-teams/main-teams.ts" PlatformSearchTeam \
 *       --parameters Image=<what slipway image push printed>
 *
 * Delete the teams' stacks before the platform: parameters lock nothing.
 */
import { App, Aws, CfnOutput, CfnParameter, Fn, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import {
  Capacity,
  ImageRepository,
  InferencePlatform,
  InferenceService,
  Model,
  ModelBucket,
  RuntimeImage,
  type IInferencePlatform,
  type IModelBucket,
} from 'slipway/cdk';

// Names that both apps agree on, as the platform's own parameters are.
const IMAGE_REPOSITORY = 'slipway-platform';
const MODEL_BUCKET = `slipway-platform-models-${Aws.ACCOUNT_ID}-${Aws.REGION}`;
const FACTS = 'cdk/examples/platform-and-teams/platform.facts.json';

/** The platform team's: a network without a way out, a cluster, one listener, machines of two kinds, and the stores. */
export class PlatformStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    new InferencePlatform(this, 'Main', {
      plaintextInsideVpc: true,
      groups: {
        l4: { capacity: Capacity.spotFirst(['g6.xlarge', 'g6.2xlarge'], { onDemandBase: 1 }), maxSize: 12 },
        l40s: { capacity: Capacity.onDemand(['g6e.xlarge']), maxSize: 4 },
      },
    });
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

/** What all teams' stacks begin with: the platform as its facts tell, an image by digest, the models. */
abstract class TeamStack extends Stack {
  protected readonly platform: IInferencePlatform = InferencePlatform.fromFacts(this, 'Platform', FACTS);
  protected readonly models: IModelBucket = ModelBucket.fromBucket(
    this,
    'Models',
    s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET),
  );

  protected image(): RuntimeImage {
    const image = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
      constraintDescription: `<registry>/${IMAGE_REPOSITORY}@sha256:<64 hexadecimal digits>`,
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    return RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image.valueAsString)));
  }

  protected tellUrl(service: InferenceService): void {
    new CfnOutput(this, 'Url', { value: service.url, description: 'from inside the VPC, once a client is let in' });
  }
}

/** One model on the platform's L4 machines. */
export class SearchTeamStack extends TeamStack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const search = new InferenceService(this, 'Search', {
      platform: this.platform,
      capacity: this.platform.capacity('l4'),
      path: '/v2/models/search*',
      priority: 10,
      models: [Model.fromBucket(this.models, 'search', { version: 1, maxBatchSize: 32 })],
      image: this.image(),
      executionProvider: 'cuda',
      memoryMiB: 8192,
      startupBudgetSeconds: 240,
      maxReplicas: 8,
    });
    this.tellUrl(search);
  }
}

/** Two models that share one GPU, on larger cards. */
export class DocumentsTeamStack extends TeamStack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const documents = new InferenceService(this, 'Documents', {
      platform: this.platform,
      capacity: this.platform.capacity('l40s'),
      path: '/v2/models/documents-*',
      priority: 20,
      models: [
        Model.fromBucket(this.models, 'documents-layout', { version: 1, maxBatchSize: 8 }),
        Model.fromBucket(this.models, 'documents-text', { version: 1, maxBatchSize: 16 }),
      ],
      image: this.image(),
      executionProvider: 'cuda',
      memoryMiB: 16_384,
      startupBudgetSeconds: 600,
      maxReplicas: 3,
    });
    this.tellUrl(documents);
  }
}

/** A small model that needs no machines of anybody: Fargate, in the platform's network. */
export class FormsTeamStack extends TeamStack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const forms = new InferenceService(this, 'Forms', {
      platform: this.platform,
      path: '/v2/models/digits*',
      priority: 30,
      models: [Model.fromAsset('models/digits/model.onnx')],
      image: this.image(),
      maxReplicas: 4,
    });
    this.tellUrl(forms);
  }
}

export function createPlatformApp(props?: AppProps): App {
  const app = new App(props);
  new PlatformStack(app, 'PlatformMain');
  return app;
}

export function createTeamsApp(props?: AppProps): App {
  const app = new App(props);
  new SearchTeamStack(app, 'PlatformSearchTeam');
  new DocumentsTeamStack(app, 'PlatformDocumentsTeam');
  new FormsTeamStack(app, 'PlatformFormsTeam');
  return app;
}
