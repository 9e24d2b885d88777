import { readFileSync } from 'node:fs';
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { InferenceService, Model } from '../../../cdk';
import type { Deployment, DeploymentRequest } from './deployments';
import { shellWord } from './shell-word';

/** The same service with the CDK: Fargate behind an internal load balancer, in a network of its own. No account is asked. */
export function synthesizeCloudFormation({ directory, spec, modelFolder }: DeploymentRequest): Deployment {
  const app = new App({ outdir: directory, analyticsReporting: false });
  const stack = new Stack(app, 'SlipwayQuickstart', { description: 'the sample model of the Slipway quickstart' });
  const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1, restrictDefaultSecurityGroup: true });
  new InferenceService(stack, 'Digits', {
    ...spec,
    serviceName: spec.name,
    cluster: new ecs.Cluster(stack, 'Cluster', { vpc }),
    models: [Model.fromAsset(modelFolder)],
    plaintextInsideVpc: true,
  });
  const { templateFullPath } = app.synth().getStackByName(stack.stackName);
  const template = JSON.parse(readFileSync(templateFullPath, 'utf8')) as { Resources: Record<string, unknown> };
  return {
    engine: 'AWS CDK',
    resources: Object.keys(template.Resources).length,
    file: templateFullPath,
    note: 'a network, a cluster, the service on Fargate; docker builds the image',
    next: [`npx cdk deploy --app ${shellWord(directory)}`],
  };
}
