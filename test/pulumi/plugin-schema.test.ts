import { readdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { makePulumiSchema, type PulumiSchema } from '../support/pulumi-schema';

// The analyzer type-checks each cloud's SDK.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const MODULES = ['index', 'aws', 'gcp', 'azure', 'alibaba', 'tencent', 'image'];
const folder = path.resolve(__dirname, '../../pulumi');
const NO_COMPONENTS = ['examples', 'plugin', 'policy'];

let schema: PulumiSchema;
beforeAll(async () => {
  schema = await makePulumiSchema(MODULES);
});

test('every folder of components is part of the schema', () => {
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(['index', ...folders.map(({ name }) => name).filter((name) => !NO_COMPONENTS.includes(name))].sort()).toEqual(
    [...MODULES].sort(),
  );
});

test('the schema that the plugin serves is the one that the components have: it is public API', async () => {
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot('../../pulumi/plugin/schema.json');
});

test('components of all clouds share the names of what they take and give', () => {
  for (const cloud of ['aws', 'gcp', 'azure', 'alibaba', 'tencent']) {
    const group = schema.resources[`slipway:${cloud}:GpuInstanceGroup`];
    expect(group.requiredInputs, cloud).toEqual(expect.arrayContaining(['cluster', 'instanceTypes', 'maxSize']));
    expect(group.properties.placement.$ref, cloud).toBe('#/types/slipway:index:Placement');
    expect(schema.resources[`slipway:${cloud}:WorkloadIdentity`].properties.binding.$ref, cloud).toBe(
      '#/types/slipway:index:ServiceIdentity',
    );
  }
});

test('clusters of all clouds have the same words for the same things', () => {
  const words = (cloud: string) => Object.keys(schema.resources[`slipway:${cloud}:Cluster`].inputProperties);
  for (const cloud of ['aws', 'gcp', 'azure', 'alibaba', 'tencent']) {
    expect(words(cloud), cloud).toEqual(expect.arrayContaining(['deletionProtection', 'systemInstanceType', 'tags']));
    expect(
      words(cloud).filter((word) => /version|channel/i.test(word)),
      cloud,
    ).toEqual([
      // Google takes a channel for a version.
      cloud === 'gcp' ? 'releaseChannel' : 'kubernetesVersion',
    ]);
  }
});

test('every reference leads to a type of the schema, or to a resource of another package', () => {
  const references = [...JSON.stringify(schema).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target!);
  const own = references
    .filter((target) => target.startsWith('#/types/'))
    .map((target) => target.slice('#/types/'.length));
  expect(own.filter((type) => !(type in schema.types))).toEqual([]);
  expect(references.length).toBeGreaterThan(50);
});
