import * as pulumi from '@pulumi/pulumi';
import { RuntimeImage, type RuntimeImageArgs } from '../../../pulumi/image';

const config = new pulumi.Config();
const repositoryUri = pulumi.output('registry.example.com/slipway');
const baseImage = `node:24-slim@sha256:${'12'.repeat(32)}`;

const mistakes: Record<string, Partial<RuntimeImageArgs>> = {
  'cuda on arm64': { variant: 'cuda', platforms: ['linux/arm64'] },
};
const mistake = config.get('mistake');

if (mistake === undefined) {
  const pinned = new RuntimeImage('pinned', {
    repositoryUri,
    baseImage,
    npmrc: config.requireSecret('npmrc'),
    registries: [{ address: 'registry.example.com', username: 'robot', password: 'plain-by-mistake' }],
  });
  new RuntimeImage('tagged', { repositoryUri, tag: '1.0', variant: 'cuda' });
  module.exports = { uri: pinned.uri };
} else {
  new RuntimeImage('refused', { repositoryUri, baseImage, ...mistakes[mistake] });
}
