import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkResources } from 'slipway/pulumi/policy';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  assertSameResources,
  assertSucceeded,
  findResource,
  findResources,
  propertyAt,
  reveal,
  type Properties,
  type PulumiRecording,
} from 'slipway/testing';
import { copyExamples, EXAMPLES, type ExampleProjects } from '../support/pulumi-examples';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = path.resolve(__dirname, '../..');
const examples = path.join(root, 'pulumi/examples');

/** Those that serve a model; the others are what a service needs before. */
const SERVICES = Object.keys(EXAMPLES).filter((name) => existsSync(path.join(examples, name, 'digits.manifest.json')));

/** Where clients find the service, where that is not the address inside the cluster. */
const URLS: Readonly<Record<string, string>> = {
  canary: 'https://digits.models.example.com',
  'gateway-service': 'https://digits.models.example.com',
  // KServe's own Service, on its own port.
  kserve: 'http://digits-predictor.inference.svc',
  'two-teams': 'http://digits.vision.svc:8080',
};

let projects: ExampleProjects;

beforeAll(() => {
  projects = copyExamples();
});
afterAll(() => projects.remove());

test('every example is run here', () => {
  const programs = readdirSync(examples).filter(
    (name) => existsSync(path.join(examples, name, 'index.ts')) && existsSync(path.join(examples, name, 'Pulumi.yaml')),
  );
  expect(programs.sort()).toEqual(Object.keys(EXAMPLES).sort());
});

test('every example type-checks against what is published', () => {
  const config = { extends: './kubernetes-cpu/tsconfig.json', include: ['*/index.ts', '*/plugin/index.ts'] };
  // Its types do not pass without skipLibCheck, which its own configuration has.
  writeFileSync(path.join(projects.folder, 'tsconfig.json'), JSON.stringify({ ...config, exclude: ['policy-pack'] }));
  // The native compiler reads each cloud's types once for all of them.
  const tsc = path.join(root, 'node_modules/@typescript/native/bin/tsc');
  for (const project of ['.', 'policy-pack']) {
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', project, '--noEmit'], {
      cwd: projects.folder,
      encoding: 'utf8',
    });
    expect(status, stdout).toBe(0);
  }
});

test("Pulumi's own loader takes the types of an example", async () => {
  assertSucceeded(await projects.run('kubernetes-cpu', { preview: true, typeCheck: true }));
});

test.each(Object.keys(EXAMPLES))('%s previews what up makes', async (example) => {
  const preview = assertSucceeded(await projects.run(example, { preview: true }));
  const up = await deployed(example);
  expect(() => assertSameResources(preview, up)).not.toThrow();
  if (SERVICES.includes(example)) {
    expect(up.stackOutputs['url']).toBe(URLS[example] ?? 'http://digits.inference.svc:8080');
  }
  const names = up.resources.map(({ type, name }) => `${type} ${name}`).sort();
  await expect(names.join('\n') + '\n').toMatchFileSnapshot(`__snapshots__/${example}.resources.txt`);
});

test.each(Object.keys(EXAMPLES))('%s breaks no policy that would stop an update', async (example) => {
  const resources = (await deployed(example)).resources.filter(({ custom }) => custom);
  const { findings, undecided } = checkResources(
    resources.map(({ inputs, ...resource }) => ({ ...resource, props: reveal(inputs) as Properties })),
  );
  expect(findings.filter(({ level }) => level === 'mandatory')).toEqual([]);
  expect(undecided).toEqual([]);
});

test('a service behind a Gateway takes for granted what the platform of the other stack says', async () => {
  const platform = await deployed('gateway-platform');
  const { gatewayController } = platform.stackOutputs['provides'] as { gatewayController?: string };
  const service = await deployed('gateway-service');
  const inputsOf = (type: string) => findResource(service, `kubernetes:gateway.networking.k8s.io/v1:${type}`).inputs;
  expect(propertyAt(inputsOf('GatewayClass'), 'spec.controllerName')).toBe(gatewayController);

  const { name, namespace } = propertyAt(inputsOf('Gateway'), 'metadata') as { name: string; namespace: string };
  expect(propertyAt(inputsOf('HTTPRoute'), 'spec.parentRefs')).toEqual([
    expect.objectContaining({ name, namespace, sectionName: 'https' }),
  ]);
  const release = findResource(platform, 'kubernetes:helm.sh/v3:Release');
  const policy = findResource(service, 'kubernetes:networking.k8s.io/v1:NetworkPolicy');
  expect(JSON.stringify(propertyAt(policy.inputs, 'spec.ingress'))).toContain(
    `"kubernetes.io/metadata.name":"${propertyAt(release.inputs, 'namespace') as string}"`,
  );
});

test('aws-gpu makes the places to fill before there is an image', async () => {
  const { clusterName, subnetIds } = EXAMPLES['aws-gpu']!;
  const config = { clusterName: clusterName!, subnetIds: subnetIds! };
  const up = assertSucceeded(await projects.run('aws-gpu', { config }));
  expect(findResources(up, 'slipway:index:InferenceService')).toEqual([]);
  expect(up.stackOutputs).toMatchObject({ modelRepository: 's3://models-1a2b3c' });
});

test.each(SERVICES)('%s carries the manifest of the sample model, and serves by its digests', async (example) => {
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
});

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
  const up = ups.get(example) ?? projects.run(example);
  ups.set(example, up);
  return assertSucceeded(await up);
}
