import type { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { type Template } from 'aws-cdk-lib/assertions';
import { Model, ModelBucket } from 'slipway/cdk';
import { evaluate } from './evaluate-template';
import { publishDigits } from './models';
import { folderWith } from './stacks';

let published: Promise<string> | undefined;

/** Path of the manifest of the sample model's version 3. */
export function digitsManifest(): Promise<string> {
  return (published ??= publishDigits(3, folderWith({})).then(({ manifestFile }) => manifestFile));
}

/** The sample model in a bucket that exists already. */
export function digitsInBucket(stack: Stack, manifest: string, id = 'Models'): Model {
  const bucket = s3.Bucket.fromBucketName(stack, `${id}Bucket`, 'team-models');
  return Model.fromBucket(ModelBucket.fromBucket(stack, id, bucket), 'digits', { manifest });
}

export function newVpc(stack: Stack): ec2.Vpc {
  return new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1, restrictDefaultSecurityGroup: false });
}

/** A cluster of another app, whose kubectl function is known by its ARN. */
export function importedCluster(stack: Stack, kubectl = true): eks.ICluster {
  return eks.Cluster.fromClusterAttributes(stack, 'Cluster', {
    clusterName: 'prod',
    vpc: newVpc(stack),
    clusterSecurityGroupId: 'sg-0123456789abcdef0',
    ...(kubectl
      ? {
          kubectlProvider: eks.KubectlProvider.fromKubectlProviderAttributes(stack, 'Kubectl', {
            serviceToken: 'arn:aws:lambda:eu-west-1:111122223333:function:kubectl',
          }),
        }
      : {}),
  });
}

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-west-1',
  'AWS::AccountId': '111122223333',
  'AWS::URLSuffix': 'amazonaws.com',
};
// What the template makes itself goes by its own logical id.
const NAMES = new Proxy(PSEUDO, { get: (known, name: string) => known[name] ?? `<${name}>` });

/** The properties of all resources of a type, with names for what only a deployment knows. */
export function propertiesOf(template: Template, type: string): readonly any[] {
  return Object.values(template.findResources(type)).map(({ Properties }: any) => evaluate(Properties, NAMES));
}

/** The Kubernetes objects of a template, by their kind. */
export function objectsOf(template: Template): Readonly<Record<string, any>> {
  return Object.fromEntries(
    propertiesOf(template, 'Custom::AWSCDK-EKS-KubernetesResource').map(({ Manifest }) => {
      const [object] = JSON.parse(Manifest);
      return [object.kind, object];
    }),
  );
}
