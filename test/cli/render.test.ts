import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { toolOnPath } from '../support/tools';
import { slipway } from './terminal';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');
const DIGEST = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

const service = (kubernetes: object = {}, more: object = {}) => ({
  name: 'digits',
  preset: 'development',
  models: [{ file: DIGITS }],
  ...more,
  kubernetes: { image: DIGEST, modelRepository: 's3://team-models', ...kubernetes },
});
const CANARY = {
  namespace: 'team',
  createNamespace: true,
  route: { gateway: { name: 'web', namespace: 'gateways' }, hostnames: ['digits.example.com'] },
  canary: { models: [{ file: DIGITS, version: 2 }], weightPercent: 10, verdict: {} },
};

let folder: string;
let spec: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-render-'));
  spec = path.join(folder, 'service.yaml');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (content: object) => writeFileSync(spec, JSON.stringify(content));
const out = () => path.join(folder, 'out');
const parsed = (stream: string) => parseAllDocuments(stream).map((document) => document.toJS());
const named = (objects: readonly any[]) => objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);

describe('the section kubernetes of a spec file', () => {
  test('says what flags say otherwise, and a flag wins', async () => {
    write(service({ namespace: 'team', clusterName: 'east' }));
    const fromFile = parsed((await slipway('render', spec)).stdout);
    expect(new Set(fromFile.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['team']));
    const flagged = await slipway('render', spec, '--namespace', 'other', '--image', 'slipway:1');
    const deployment = parsed(flagged.stdout).find(({ kind }) => kind === 'Deployment');
    expect(deployment.metadata.namespace).toBe('other');
    expect(deployment.spec.template.spec.containers[0].image).toBe('slipway:1');
    expect(flagged.stderr).toBe(
      "warning: image 'slipway:1' is not named by its digest, and may be another one for the next replica: take the line <image repository>@sha256:… that slipway image push prints\n",
    );
    expect((await slipway('render', spec, '--image', DIGEST)).stderr).toBe('');
  });

  test('renders namespace, canary, route and judge after each other, as they are applied', async () => {
    write(service(CANARY, { metricsFrom: 'keda' }));
    const { stdout, stderr, status } = await slipway('render', spec);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const names = named(parsed(stdout));
    expect(names[0]).toBe('Namespace team');
    const order = ['Deployment digits', 'Deployment digits-canary', 'HTTPRoute digits'].map((n) => names.indexOf(n));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
    expect(names.at(-1)).toMatch(/^Job digits-/);
  });

  test('mounts a model from an image, and refuses an image that a tag names', async () => {
    write(service({}, { models: [{ file: DIGITS, image: DIGEST }] }));
    const { stdout } = await slipway('render', spec);
    const pod = parsed(stdout).find(({ kind }) => kind === 'Deployment').spec.template.spec;
    expect(pod.volumes).toContainEqual(
      expect.objectContaining({ image: expect.objectContaining({ reference: DIGEST }) }),
    );
    write(service({}, { models: [{ file: DIGITS, image: 'models:1' }] }));
    expect((await slipway('render', spec)).stderr).toContain('IMAGE_NOT_PINNED models.digits.image');
  });

  test.each([
    [{ image: undefined }, '--image is missing, and so is kubernetes.image of the spec file'],
    [{ modelRepository: undefined }, '--model-repository is missing, and so is kubernetes.modelRepository'],
    [{ namespaces: 'x' }, 'kubernetes.namespaces is not a known field, the nearest one is kubernetes.namespace'],
    [{ route: { hostnames: ['a'] } }, 'kubernetes.route.gateway is missing: a Gateway of the cluster'],
    [{ route: { gateway: { name: 'web' } } }, 'kubernetes.route.gateway.namespace is missing'],
    [{ engine: 'knative' }, `kubernetes.engine must be 'deployment' or 'kserve', got "knative"`],
    [{ identity: { podLabels: { a: 1 } } }, 'kubernetes.identity.podLabels.a must be a string, got 1'],
    [
      { canary: { models: [{}], weightPercent: 1 } },
      'kubernetes.canary.models[0] must have manifest, file, or name and version',
    ],
    [{ wake: {} }, 'must be one of interceptor, schedule and queue, got none'],
  ])('that says %j is refused', async (kubernetes, message) => {
    write(service(kubernetes));
    const { status, stderr, stdout } = await slipway('render', spec);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('slipway render --output', () => {
  const render = () => slipway('render', spec, '--output', out());

  test('writes one file for each object, and kustomize makes the very stream of them', async (ctx) => {
    write(service(CANARY, { metricsFrom: 'keda' }));
    const stream = parsed((await slipway('render', spec)).stdout);
    expect((await render()).stdout).toBe(`${out()}: ${stream.length + 1} written, 0 unchanged, 0 removed\n`);
    expect(readdirSync(out())).toHaveLength(stream.length + 1);
    if (toolOnPath('kubectl') === undefined) ctx.skip('kubectl is not on the PATH');
    const built = parsed(execFileSync('kubectl', ['kustomize', out()], { encoding: 'utf8' }));
    expect(built).toEqual(stream);
  });

  test('leaves files alone that say the same already', async () => {
    write(service());
    await render();
    const file = path.join(out(), 'deployment-digits.yaml');
    const early = new Date(1_000_000);
    utimesSync(file, early, early);
    expect((await render()).stdout).toMatch(/: 0 written, \d+ unchanged, 0 removed\n$/);
    write(service({ priorityClassName: 'high' }));
    expect((await render()).stdout).toMatch(/: 1 written, \d+ unchanged, 0 removed\n$/);
    expect(statSync(file).mtimeMs).toBeGreaterThan(early.getTime());
  });

  test('removes what an earlier render wrote and is no object any more, and nothing else', async () => {
    write(service(CANARY, { metricsFrom: 'keda' }));
    await render();
    const mine = ['patch.yaml', 'notes.md'].map((name) => path.join(out(), name));
    for (const file of mine) writeFileSync(file, 'mine\n');
    // Listed, and no more what was written there.
    writeFileSync(path.join(out(), 'deployment-digits-canary.yaml'), 'mine\n');
    write(service());
    const { stdout } = await render();
    expect(stdout).not.toContain(' 0 removed');
    expect(existsSync(path.join(out(), 'namespace-team.yaml'))).toBe(false);
    for (const file of [...mine, path.join(out(), 'deployment-digits-canary.yaml')]) {
      expect(readFileSync(file, 'utf8')).toBe('mine\n');
    }
  });

  test('a list that somebody wrote more into leads to no other folder', async () => {
    write(service());
    await render();
    const outside = path.join(folder, 'outside.yaml');
    const kustomization = path.join(out(), 'kustomization.yaml');
    const mark = readFileSync(kustomization, 'utf8').split('\n')[0]!;
    writeFileSync(outside, `${mark}\n`);
    writeFileSync(kustomization, `${readFileSync(kustomization, 'utf8')}  - ../outside.yaml\n`);
    await render();
    expect(existsSync(outside)).toBe(true);
  });

  test.each(['deployment-digits.yaml', 'kustomization.yaml'])(
    'a %s of somebody else is not overwritten',
    async (name) => {
      write(service());
      mkdirSync(out());
      writeFileSync(path.join(out(), name), 'mine\n');
      const { status, stderr } = await render();
      expect(status).toBe(1);
      expect(stderr).toContain(`${name}: is there, and not written by slipway render; move it away`);
      expect(readdirSync(out())).toEqual([name]);
    },
  );

  test('a link is not written through', async () => {
    write(service());
    mkdirSync(out());
    const elsewhere = path.join(folder, 'elsewhere.yaml');
    writeFileSync(elsewhere, '');
    symlinkSync(elsewhere, path.join(out(), 'deployment-digits.yaml'));
    expect((await render()).stderr).toContain('deployment-digits.yaml: is no plain file');
    expect(readFileSync(elsewhere, 'utf8')).toBe('');
  });
});
