import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkResources } from 'slipway/pulumi/policy';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  assertSameResources,
  assertSucceeded,
  findResources,
  propertyAt,
  reveal,
  runPulumiProgram,
  type Properties,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';
import { alibabaInvoke, alibabaState } from '../support/pulumi-alibaba';
import { awsInvoke, awsState } from '../support/pulumi-aws';
import { azureInvoke, azureState } from '../support/pulumi-azure';
import { gcpInvoke, gcpState } from '../support/pulumi-gcp';
import { tencentInvoke, tencentState } from '../support/pulumi-tencent';
import { linkModules } from '../support/installed-modules';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = path.resolve(__dirname, '../..');
const examples = path.join(root, 'pulumi/examples');
const image = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

/** Every example, and the configuration with which it deploys all it has. */
const CONFIG: Readonly<Record<string, Record<string, string>>> = {
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
  'image-in-ci': { modelRepository: 's3://team-models' },
  'kubernetes-cpu': { image, modelRepository: 's3://team-models' },
  kserve: { image, modelRepository: 's3://team-models' },
  'scale-to-zero': { image, modelRepository: 's3://team-models' },
  'spot-burst': {
    clusterName: 'platform',
    subnetIds: '["subnet-a","subnet-b"]',
    image,
    modelRepository: 's3://team-models',
  },
  'tencent-gpu': {
    cluster: JSON.stringify({
      ...{ id: 'cls-1', region: 'ap-guangzhou', vpcId: 'vpc-1', subnetIds: ['subnet-a'], securityGroupIds: ['sg-1'] },
      ...{ ownerUin: '100000000001', oidcIssuerUrl: 'https://ap-guangzhou-oidc.tke.tencentcs.com/id/1a2b3c' },
    }),
    registry: '{"id":"tcr-team","domain":"team.tencentcloudcr.com"}',
    region: 'ap-guangzhou',
    appId: '1250000000',
    imageDigest: `sha256:${'ab'.repeat(32)}`,
  },
  'two-teams': { clusterName: 'platform', subnetIds: '["subnet-a","subnet-b"]', image },
};

/** Where clients find the service, where that is not the address inside the cluster. */
const URLS: Readonly<Record<string, string>> = {
  canary: 'https://digits.models.example.com',
  // KServe's own Service, on its own port.
  kserve: 'http://digits-predictor.inference.svc',
  'two-teams': 'http://digits.vision.svc:8080',
};

/** Who plays the clouds, by the package of what is made or asked for; nobody is asked for another's. */
const CLOUDS = {
  alicloud: { onResource: alibabaState, onInvoke: alibabaInvoke },
  aws: { onResource: awsState, onInvoke: awsInvoke },
  'azure-native': { onResource: azureState, onInvoke: azureInvoke },
  'docker-build': {
    onResource: () => ({ state: { digest: `sha256:${'cd'.repeat(32)}` } }),
    onInvoke: () => undefined,
  },
  gcp: { onResource: gcpState, onInvoke: gcpInvoke },
  tencentcloud: { onResource: tencentState, onInvoke: tencentInvoke },
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
  linkModules(projects, root);
  cpSync(examples, projects, { recursive: true });
});
afterAll(() => rmSync(projects, { recursive: true, force: true }));

test('every example is run here', () => {
  const programs = readdirSync(examples).filter(
    (name) => existsSync(path.join(examples, name, 'index.ts')) && existsSync(path.join(examples, name, 'Pulumi.yaml')),
  );
  expect(programs.sort()).toEqual(Object.keys(CONFIG).sort());
});

test('every example type-checks against what is published', () => {
  const config = { extends: './kubernetes-cpu/tsconfig.json', include: ['*/index.ts', '*/plugin/index.ts'] };
  // Its types do not pass without skipLibCheck, which its own configuration has.
  writeFileSync(path.join(projects, 'tsconfig.json'), JSON.stringify({ ...config, exclude: ['policy-pack'] }));
  // The native compiler reads each cloud's types once for all of them.
  const tsc = path.join(root, 'node_modules/@typescript/native/bin/tsc');
  for (const project of ['.', 'policy-pack']) {
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', project, '--noEmit'], {
      cwd: projects,
      encoding: 'utf8',
    });
    expect(status, stdout).toBe(0);
  }
});

test("Pulumi's own loader takes the types of an example", async () => {
  assertSucceeded(await run('kubernetes-cpu', { preview: true, typeCheck: true }));
});

test.each(Object.keys(CONFIG))('%s previews what up makes', async (example) => {
  const preview = assertSucceeded(await run(example, { preview: true }));
  const up = await deployed(example);
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(up.stackOutputs['url']).toBe(URLS[example] ?? 'http://digits.inference.svc:8080');
  const names = up.resources.map(({ type, name }) => `${type} ${name}`).sort();
  await expect(names.join('\n') + '\n').toMatchFileSnapshot(`__snapshots__/${example}.resources.txt`);
});

test.each(Object.keys(CONFIG))('%s breaks no policy that would stop an update', async (example) => {
  const resources = (await deployed(example)).resources.filter(({ custom }) => custom);
  const { findings, undecided } = checkResources(
    resources.map(({ inputs, ...resource }) => ({ ...resource, props: reveal(inputs) as Properties })),
  );
  expect(findings.filter(({ level }) => level === 'mandatory')).toEqual([]);
  expect(undecided).toEqual([]);
});

test('aws-gpu makes the places to fill before there is an image', async () => {
  const { clusterName, subnetIds } = CONFIG['aws-gpu']!;
  const config = { clusterName: clusterName!, subnetIds: subnetIds! };
  const up = assertSucceeded(await run('aws-gpu', { config }));
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

    const references = findContainers(await deployed(example)).map(
      ({ env }) => JSON.parse(env.find(({ name }) => name === 'SLIPWAY_MODELS')!.value)[0],
    );
    expect(references.length).toBeGreaterThan(0);
    for (const { files } of references) {
      expect(files.map((file: { path: string }) => file.path)).toContain('manifest.json');
      expect(files[0]).toMatchObject({ path: 'model.onnx', sha256: model.files[0]!.sha256 });
      expect(files[0].uri).toMatch(/^[a-z0-9]+:\/\/[a-z0-9/.-]+\/digits\/[12]\/model\.onnx$/);
    }
  },
);

interface ServerContainer {
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** The containers that serve, whoever makes their pods. */
function findContainers({ resources }: PulumiRecording): readonly ServerContainer[] {
  return resources.flatMap(({ type, inputs }) => {
    const at = SERVERS[type];
    return at === undefined ? [] : [propertyAt(inputs, at) as unknown as ServerContainer];
  });
}

const SERVERS: Readonly<Record<string, string>> = {
  'kubernetes:apps/v1:Deployment': 'spec.template.spec.containers[0]',
  'kubernetes:serving.kserve.io/v1beta1:InferenceService': 'spec.predictor.model',
};

const ups = new Map<string, Promise<PulumiRecording>>();

/** The update of an example: run once for all that is asked of it. */
async function deployed(example: string): Promise<PulumiRecording> {
  const up = ups.get(example) ?? run(example, {});
  ups.set(example, up);
  return assertSucceeded(await up);
}

function run(example: string, options: PulumiProgramOptions): Promise<PulumiRecording> {
  return runPulumiProgram({
    directory: path.join(projects, example),
    config: CONFIG[example]!,
    typeCheck: false,
    ...PROVIDERS,
    ...options,
  });
}
