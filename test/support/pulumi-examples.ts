import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { playClouds, runPulumiProgram, type PulumiProgramOptions, type PulumiRecording } from 'slipway/testing';
import { linkModules } from './installed-modules';

const root = path.resolve(__dirname, '../..');
const image = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

/** Every example, and the configuration with which it deploys all it has. */
export const EXAMPLES: Readonly<Record<string, Record<string, string>>> = {
  'alibaba-gpu': {
    vswitchIds: '["vsw-a","vsw-b"]',
    registryInstance: 'cri-team',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  'aws-gpu': {
    clusterName: 'platform',
    subnetIds: '["subnet-a","subnet-b"]',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  'azure-gpu': {
    resourceGroupName: 'inference',
    adminGroupIds: '["99999999-8888-7777-6666-555555555555"]',
    publisherAddresses: '["203.0.113.7"]',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  'gcp-gpu': {
    location: 'europe-west4',
    zones: '["europe-west4-b"]',
    network: 'shared',
    subnetwork: 'inference',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  canary: { image, modelRepository: 's3://team-models' },
  'existing-everything': { clusterName: 'platform', bucket: 'team-models', image },
  'gateway-platform': {},
  'gateway-service': { image, modelRepository: 's3://team-models' },
  'image-in-ci': { modelRepository: 's3://team-models' },
  'kubernetes-cpu': { image, modelRepository: 's3://team-models' },
  kserve: { image, modelRepository: 's3://team-models' },
  'model-job': { image, modelRepository: 's3://team-models', dataClaim: 'training' },
  'scale-to-zero': { image, modelRepository: 's3://team-models' },
  'spot-burst': {
    clusterName: 'platform',
    subnetIds: '["subnet-a","subnet-b"]',
    image,
    modelRepository: 's3://team-models',
  },
  'tencent-gpu': {
    vpcId: 'vpc-1',
    subnetIds: '["subnet-a","subnet-b"]',
    securityGroupIds: '["sg-1"]',
    registry: '{"id":"tcr-team","domain":"team.tencentcloudcr.com"}',
    region: 'ap-guangzhou',
    appId: '1250000000',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  'two-teams': { clusterName: 'platform', subnetIds: '["subnet-a","subnet-b"]', image },
};

/** Copies of the examples' projects, in which `slipway` is what was built. */
export interface ExampleProjects {
  readonly folder: string;
  run(example: string, options?: PulumiProgramOptions): Promise<PulumiRecording>;
  remove(): void;
}

export function copyExamples(): ExampleProjects {
  if (!existsSync(path.join(root, 'dist/pulumi/index.js'))) throw new Error('dist is not built: npm run build');
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-examples-'));
  linkModules(folder, root);
  cpSync(path.join(root, 'pulumi/examples'), folder, { recursive: true });
  return {
    folder,
    run: (example, options = {}) =>
      runPulumiProgram({
        directory: path.join(folder, example),
        config: EXAMPLES[example]!,
        typeCheck: false,
        ...playClouds(),
        ...options,
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
