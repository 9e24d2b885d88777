import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkModules } from '../support/installed-modules';

// The example's policy pack in the process that the Pulumi CLI would start, asked over the CLI's own protocol.

const root = path.resolve(__dirname, '../..');
const load = createRequire(__filename);
const services = load('@pulumi/pulumi/proto/analyzer_grpc_pb');
const messages = load('@pulumi/pulumi/proto/analyzer_pb');
const { Struct } = load('google-protobuf/google/protobuf/struct_pb');
const { Empty } = load('google-protobuf/google/protobuf/empty_pb');

const LEVELS = ['advisory', 'mandatory', 'disabled', 'remediate'];

let folder: string;
let server: ChildProcess;
let client: any;

beforeAll(async () => {
  if (!existsSync(path.join(root, 'dist/pulumi/policy/index.js'))) throw new Error('dist is not built: npm run build');
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-policy-'));
  cpSync(path.join(root, 'pulumi/examples/policy-pack'), folder, { recursive: true });
  linkModules(folder, root);
  // The first argument is where the engine would listen; a pack that makes no call to it never asks.
  server = spawn(process.execPath, [load.resolve('@pulumi/pulumi/cmd/run-policy-pack'), '127.0.0.1:1', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve, reject) => {
    server.stdout!.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    server.once('exit', (code) => reject(new Error(`the policy pack ended with exit code ${code}`)));
  });
  client = new services.AnalyzerClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterAll(() => {
  client?.close();
  server?.removeAllListeners('exit');
  server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

test('names and levels of the policies are public API', async () => {
  const info = await call('getAnalyzerInfo', new Empty());
  const lines = info
    .getPoliciesList()
    .map((policy: any) => `${policy.getName()} ${LEVELS[policy.getEnforcementlevel()]}`);
  await expect(lines.join('\n') + '\n').toMatchFileSnapshot('__snapshots__/policies.txt');
});

test('a pod that runs an image by its tag stops the update', async () => {
  expect(await analyze(deployment('registry.example.com/slipway:1'))).toContain(
    "mandatory image-by-digest: container 'server' runs 'registry.example.com/slipway:1'; name it by digest, as slipway image push prints it",
  );
});

test('an image that is not known at preview is said to be not checked, and stops nothing', async () => {
  const unknown = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
  const said = (await analyze(deployment(unknown))).filter((line) => line.includes('image-by-digest'));
  expect(said).toEqual([expect.stringMatching(/^advisory image-by-digest: can't run policy/)]);
});

test('what a whole stack lacks is said of the resource that lacks it', async () => {
  const request = new messages.AnalyzeStackRequest();
  const bucket = new messages.AnalyzerResource();
  bucket.setType('aws:s3/bucket:Bucket');
  bucket.setUrn('urn:pulumi:dev::p::aws:s3/bucket:Bucket::models');
  bucket.setName('models');
  bucket.setProperties(Struct.fromJavaScript({}));
  bucket.setOptions(options());
  request.setResourcesList([bucket]);
  const diagnostics = (await call('analyzeStack', request)).getDiagnosticsList();
  expect(diagnostics.map((found: any) => `${found.getUrn()} ${found.getPolicyname()}`).sort()).toEqual([
    'urn:pulumi:dev::p::aws:s3/bucket:Bucket::models bucket-not-public-stack',
    'urn:pulumi:dev::p::aws:s3/bucket:Bucket::models bucket-over-tls-stack',
    'urn:pulumi:dev::p::aws:s3/bucket:Bucket::models bucket-versioned-stack',
  ]);
});

test('settings come from the program, and the configuration of the pack changes them and the levels', async () => {
  const group = {
    type: 'aws:eks/nodeGroup:NodeGroup',
    props: {
      amiType: 'AL2023_x86_64_NVIDIA',
      instanceTypes: ['g6.xlarge'],
      taints: [{ key: 'nvidia.com/gpu' }],
      scalingConfig: { minSize: 1, maxSize: 8 },
    },
  };
  expect((await analyze(group)).map(titleOf)).toEqual(['advisory gpu-machines-idle', 'mandatory required-tags']);

  const configured = new messages.ConfigureAnalyzerRequest();
  configured.getPolicyconfigMap().set('gpu-machines-idle', policyConfig('disabled', {}));
  configured.getPolicyconfigMap().set('gpu-machines-bounded', policyConfig('mandatory', { maxGpuMachines: 4 }));
  await call('configure', configured);
  expect((await analyze(group)).map(titleOf)).toEqual(['mandatory gpu-machines-bounded', 'mandatory required-tags']);
});

function titleOf(line: string): string {
  return line.split(':')[0]!;
}

function policyConfig(level: string, properties: object) {
  const config = new messages.PolicyConfig();
  config.setEnforcementlevel(LEVELS.indexOf(level));
  config.setProperties(Struct.fromJavaScript(properties));
  return config;
}

async function analyze({ type, props }: { type: string; props: object }): Promise<string[]> {
  const request = new messages.AnalyzeRequest();
  request.setType(type);
  request.setUrn(`urn:pulumi:dev::p::${type}::it`);
  request.setName('it');
  request.setProperties(Struct.fromJavaScript(props));
  request.setOptions(options());
  const response = await call('analyze', request);
  return response.getDiagnosticsList().map((found: any) => {
    // The framework puts the rule's description before what was found.
    const text = found.getMessage().trim().split('\n').at(-1).trim();
    return `${LEVELS[found.getEnforcementlevel()]} ${found.getPolicyname()}: ${text}`;
  });
}

function options() {
  const given = new messages.AnalyzerResourceOptions();
  given.setCustomtimeouts(new messages.AnalyzerResourceOptions.CustomTimeouts());
  return given;
}

function deployment(image: string) {
  return {
    type: 'kubernetes:apps/v1:Deployment',
    props: { spec: { template: { spec: { containers: [{ name: 'server', image }] } } } },
  };
}

function call(method: string, request: unknown): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](request, (error: Error | null, response: unknown) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}
