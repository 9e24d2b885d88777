import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  reveal,
  runPulumiProgram,
  type PropertyValue,
  type PulumiRecording,
} from 'slipway/testing';
import { withoutSecrets } from '../support/without-secrets';
import { digitsModel } from './programs/digits-facts';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const COMPONENTS = [
  ['slipway:index:InferenceService', 'routed'],
  ['slipway:index:InferenceService', 'queued'],
  ['slipway:index:InferenceService', 'kserve'],
  ['slipway:image:RuntimeImage', 'server'],
] as const;

let preview: PulumiRecording;
let up: PulumiRecording;

beforeAll(async () => {
  preview = assertSucceeded(await run(true));
  up = assertSucceeded(await run(false));
});

test('a preview shows what is made of secrets', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
});

test.each([
  ...['namespace', 'image', 'cluster', 'repository', 'share', 'claim', 'models', 'role', 'client'],
  ...['canary', 'shadow', 'broker', 'registry', 'npmrc', 'kubeconfig'],
])('what is secret stays so in every resource, every component and every line: %s', (what) => {
  const text = `hidden-${what}`;
  for (const { resources, outputs, logs } of [preview, up]) {
    // What the SDK says of itself while it is debugged is shown to nobody who does not ask.
    const said = logs.filter(({ severity }) => severity !== 'debug');
    const sent = { resources, outputs, said } as unknown as PropertyValue;
    expect(JSON.stringify(reveal(sent)), 'as it is').toContain(text);
    expect(JSON.stringify(withoutSecrets(sent)), 'to be read').not.toContain(text);
  }
});

test.each(COMPONENTS)('%s %s takes providers and protection from what stands above it', (type, name) => {
  const children = findDescendants(up, findResource(up, type, name).urn);
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter(({ protect }) => !protect).map(({ urn }) => urn)).toEqual([]);
  const onCluster = children.filter((child) => child.type.startsWith('kubernetes:'));
  expect(onCluster.filter(({ provider }) => !provider.includes('providers:kubernetes::theirs::'))).toEqual([]);
});

// Pulumi moves the children of a renamed component by itself, where their names begin with its own.
test.each(COMPONENTS)('%s %s may be renamed by an alias, and its children go with it', (type, name) => {
  const component = findResource(up, type, name);
  expect(component.aliases).toEqual([{ name: 'team-before', parent: component.parent }]);
  for (const child of findDescendants(up, component.urn)) expect(child.name).toMatch(new RegExp(`^${name}(-|$)`));
});

function run(isPreview: boolean): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/wrapped-service.ts'),
    typeCheck: false,
    preview: isPreview,
    config: { hidden: { secret: 'hidden' }, onnxFile: digitsModel },
    onResource: ({ type }) =>
      type === 'docker-build:index:Image' ? { state: { digest: `sha256:${'cd'.repeat(32)}` } } : undefined,
  });
}
