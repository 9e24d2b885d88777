import * as aws from '@pulumi/aws';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

const namespace = new k8s.core.v1.Namespace('team');
const images = new aws.ecr.Repository('images');
const bucket = new aws.s3.Bucket('models');

const service = new InferenceService('digits', {
  namespace: namespace.id,
  image: pulumi.interpolate`${images.repositoryUrl}:1`,
  models: [modelAt(pulumi.interpolate`s3://${bucket.id}/`, 'digits', { version: 1, facts: digitsFacts })],
  clusterName: namespace.metadata.uid,
});
export const url = service.url;
