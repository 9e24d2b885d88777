import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';
import { ImageRepository } from 'slipway/pulumi/aws';
import { RuntimeImage } from 'slipway/pulumi/image';

const config = new pulumi.Config();

const images = new ImageRepository('slipway');
// A login for some hours, of whoever runs the program: in CI the role of the job.
const login = aws.ecr.getAuthorizationTokenOutput();
const server = new RuntimeImage('server', {
  repositoryUri: images.uri,
  registries: [{ address: login.proxyEndpoint, username: login.userName, password: login.password }],
});

const service = new InferenceService('digits', {
  namespace: 'inference',
  createNamespace: true,
  // The digest that was pushed: another image is another rollout, the same one none.
  image: server.uri,
  models: [modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' })],
  minReplicas: 1,
  maxReplicas: 4,
});

export const url = service.url;
