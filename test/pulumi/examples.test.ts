import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  assertSameResources,
  assertSucceeded,
  findResource,
  findResources,
  propertyAt,
  runPulumiProgram,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';
import { awsInvoke, awsState } from '../support/pulumi-aws';
import { azureInvoke, azureState } from '../support/pulumi-azure';
import { gcpInvoke, gcpState } from '../support/pulumi-gcp';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = path.resolve(__dirname, '../..');
const examples = path.join(root, 'pulumi/examples');
const image = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

/** Every example, and the configuration with which it deploys all it has. */
const CONFIG: Readonly<Record<string, Record<string, string>>> = {
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
  'kubernetes-cpu': { image, modelRepository: 's3://team-models' },
};

/** Who plays the clouds, by the package of what is made or asked for; nobody is asked for another's. */
const CLOUDS = {
  aws: { onResource: awsState, onInvoke: awsInvoke },
  'azure-native': { onResource: azureState, onInvoke: azureInvoke },
  gcp: { onResource: gcpState, onInvoke: gcpInvoke },
} satisfies Record<string, Pick<PulumiProgramOptions, 'onResource' | 'onInvoke'>>;

const cloudOf = (token: string) => CLOUDS[token.split(':')[0] as keyof typeof CLOUDS];

const PROVIDERS: Pick<PulumiProgramOptions, 'onResource' | 'onInvoke'> = {
  onResource: (resource) => cloudOf(resource.type)?.onResource(resource) ?? {},
  onInvoke: (invoke) => cloudOf(invoke.token)?.onInvoke(invoke),
};

let projects: string;

beforeAll(() => {
  if (!existsSync(path.join(root, 'dist/pulumi/index.js'))) throw new Error('dist is not built: npm run build');
  projects = mkdtempSync(path.join(tmpdir(), 'slipway-examples-'));
  // What `npm install` in a copy of the example would give, from what is installed here.
  const modules = path.join(projects, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, path.join(modules, 'slipway'));
  for (const name of ['@pulumi', '@types', 'typescript']) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  }
  cpSync(examples, projects, { recursive: true });
});
afterAll(() => rmSync(projects, { recursive: true, force: true }));

test('every example is run here', () => {
  const programs = readdirSync(examples).filter(
    (name) => existsSync(path.join(examples, name, 'index.ts')) && existsSync(path.join(examples, name, 'Pulumi.yaml')),
  );
  expect(programs.sort()).toEqual(Object.keys(CONFIG).sort());
});

test.each(Object.keys(CONFIG))('%s type-checks as Pulumi would, and previews what up makes', async (example) => {
  const preview = assertSucceeded(await run(example, { preview: true }));
  // Pulumi's loader has checked the types in the preview.
  const up = assertSucceeded(await run(example, { typeCheck: false }));
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(up.stackOutputs['url']).toBe('http://digits.inference.svc:8080');
  const names = up.resources.map(({ type, name }) => `${type} ${name}`).sort();
  await expect(names.join('\n') + '\n').toMatchFileSnapshot(`__snapshots__/${example}.resources.txt`);
});

test('aws-gpu makes the places to fill before there is an image', async () => {
  const { clusterName, subnetIds } = CONFIG['aws-gpu']!;
  const config = { clusterName: clusterName!, subnetIds: subnetIds! };
  const up = assertSucceeded(await run('aws-gpu', { config, typeCheck: false }));
  expect(findResources(up, 'slipway:index:InferenceService')).toEqual([]);
  expect(up.stackOutputs).toMatchObject({ modelRepository: 's3://models-1a2b3c' });
});

test.each(Object.keys(CONFIG))(
  '%s carries the manifest of the sample model, and serves by its digests',
  async (example) => {
    const manifest = JSON.parse(readFileSync(path.join(examples, example, 'digits.manifest.json'), 'utf8'));
    const model = readOnnxModel(path.join(root, 'models/digits/model.onnx'));
    expect(manifest.facts).toEqual(model.facts);
    expect(manifest.files[0].sha256).toBe(model.files[0]!.sha256);

    const deployment = findResource(await run(example, { typeCheck: false }), 'kubernetes:apps/v1:Deployment');
    const env = propertyAt(deployment.inputs, 'spec.template.spec.containers[0].env') as {
      name: string;
      value: string;
    }[];
    const [reference] = JSON.parse(env.find(({ name }) => name === 'SLIPWAY_MODELS')!.value);
    expect(reference.files.map((file: { path: string }) => file.path)).toContain('manifest.json');
    expect(reference.files[0]).toMatchObject({ path: 'model.onnx', sha256: model.files[0]!.sha256 });
    expect(reference.files[0].uri).toMatch(/^(s3|az|gs):\/\/[a-z0-9/-]+\/digits\/1\/model\.onnx$/);
  },
);

function run(example: string, options: PulumiProgramOptions): Promise<PulumiRecording> {
  return runPulumiProgram({
    directory: path.join(projects, example),
    config: CONFIG[example]!,
    ...PROVIDERS,
    ...options,
  });
}
