/**
 * The sample model on SageMaker, three ways: an endpoint that answers at once and is updated by a canary, one that answers
 * later through S3 and has no machine while nothing waits, and two models that share the GPUs of one machine.
 *
 *     npx cdk deploy SageMakerStores --app "npx tsx cdk/examples/sagemaker/main.ts"
 *     npx slipway image push <ImageRepositoryUri> --variant cuda                # prints the image with its digest
 *     npx slipway model publish models/digits/model.onnx <ModelRepositoryUri>
 *
 *     npx cdk deploy SageMaker --app "npx tsx cdk/examples/sagemaker/main.ts" \
 *       --parameters Image=<what slipway image push printed>
 *     aws sagemaker-runtime invoke-endpoint --endpoint-name <EndpointName> --content-type text/csv \
 *       --body fileb://docs/examples/digit.csv answer.json
 */
import { App, Aws, CfnOutput, CfnParameter, Duration, Fn, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as s3 from 'aws-cdk-lib/aws-s3';
import {
  ImageRepository,
  Model,
  ModelBucket,
  RuntimeImage,
  SageMakerComponentEndpoint,
  SageMakerEndpoint,
  SageMakerRollout,
} from 'slipway/cdk';

// Both stacks agree on these names, so that neither exports anything to the other.
const IMAGE_REPOSITORY = 'slipway-sagemaker';
const MODEL_BUCKET = `slipway-sagemaker-${Aws.ACCOUNT_ID}-${Aws.REGION}`;

/** What must be there, and filled, before the endpoints. It is kept when the stack is deleted. */
export class SageMakerStoresStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const images = new ImageRepository(this, 'Images', { repositoryName: IMAGE_REPOSITORY });
    const models = new ModelBucket(this, 'Models', { bucketName: MODEL_BUCKET });
    new CfnOutput(this, 'ImageRepositoryUri', { value: images.uri });
    new CfnOutput(this, 'ModelRepositoryUri', { value: models.modelRepositoryUri });
  }
}

export class SageMakerStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const pushed = new CfnParameter(this, 'Image', {
      description: 'image of the server with its digest, as slipway image push printed it',
      allowedPattern: `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`,
    });
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const image = RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', pushed.valueAsString)));
    const bucket = s3.Bucket.fromBucketName(this, 'ModelBucket', MODEL_BUCKET);
    const models = ModelBucket.fromBucket(this, 'Models', bucket);
    const model = Model.fromBucket(models, 'digits', { version: 1, onnxFile: 'models/digits/model.onnx' });

    const digits = new SageMakerEndpoint(this, 'Digits', {
      model,
      image,
      instanceType: 'ml.g6.xlarge',
      maxReplicas: 4,
      rollout: SageMakerRollout.canary({ percent: 10, bake: Duration.minutes(10) }),
    });
    const later = new SageMakerEndpoint(this, 'DigitsLater', {
      model,
      image,
      instanceType: 'ml.g6.xlarge',
      minReplicas: 0,
      maxReplicas: 2,
      asyncInference: {
        inputs: { bucket, prefix: 'async/requests/' },
        results: { bucket, prefix: 'async/answers/' },
      },
    });
    const shared = new SageMakerComponentEndpoint(this, 'Shared', { instanceType: 'ml.g6.12xlarge', maxInstances: 2 });
    const often = shared.addComponent('Often', { model, image, minReplicas: 1, maxReplicas: 6 });
    const seldom = shared.addComponent('Seldom', { model, image, maxReplicas: 2 });

    new CfnOutput(this, 'EndpointName', { value: digits.endpointName });
    new CfnOutput(this, 'LaterEndpointName', { value: later.endpointName });
    new CfnOutput(this, 'SharedEndpointName', { value: shared.endpointName });
    new CfnOutput(this, 'Components', { value: `${often.componentName}, ${seldom.componentName}` });
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new SageMakerStoresStack(app, 'SageMakerStores');
  new SageMakerStack(app, 'SageMaker');
  return app;
}
