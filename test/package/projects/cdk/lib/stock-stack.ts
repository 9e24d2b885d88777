import * as cdk from 'aws-cdk-lib/core';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { InferenceService, Model, ModelBucket } from 'slipway/cdk';

export class StockStack extends cdk.Stack {
  constructor(scope: Construct, id: string, props?: cdk.StackProps) {
    super(scope, id, props);
    new ModelBucket(this, 'Models');
    const service = new InferenceService(this, 'Digits', {
      cluster: new ecs.Cluster(this, 'Cluster', { vpc: new ec2.Vpc(this, 'Vpc', { maxAzs: 2 }) }),
      models: [Model.fromAsset('models/digits/model.onnx')],
      plaintextInsideVpc: true,
    });
    new cdk.CfnOutput(this, 'Url', { value: service.url });
  }
}
