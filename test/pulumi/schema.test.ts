import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// It type-checks the components with everything that they import.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = path.resolve(__dirname, '../..');
const load = createRequire(__filename);

interface Property {
  readonly type?: string;
  readonly $ref?: string;
}

interface Schema {
  readonly components: Record<string, { inputs: Record<string, Property>; outputs: Record<string, Property> }>;
  readonly typeDefinitions: Record<string, { enum?: { value: string }[]; properties?: Record<string, Property> }>;
}

let folder: string;
let schema: Schema;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-schema-'));
  const entry = path.join(root, 'pulumi/index.ts');
  const tsconfig = {
    extends: path.join(root, 'tsconfig.json'),
    compilerOptions: { noEmit: true, rootDir: root, typeRoots: [path.join(root, 'node_modules/@types')] },
    include: [],
    files: [entry],
  };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  // What Pulumi's own host runs when it is asked for the schema of a package of components.
  const { Analyzer } = load('@pulumi/pulumi/provider/experimental/analyzer');
  schema = new Analyzer(folder, 'slipway', { name: 'slipway', main: entry }, new Set(componentsOf(entry))).analyze();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names of the classes that a module exports and that extend a component of Pulumi's. */
function componentsOf(entry: string): string[] {
  return [...readFileSync(entry, 'utf8').matchAll(/export \{([^}]*)\} from '(\.\/[^']+)'/g)].flatMap(
    ([, names, from]) => {
      const source = readFileSync(path.join(path.dirname(entry), `${from}.ts`), 'utf8');
      return names!
        .split(',')
        .map((name) => name.trim())
        .filter((name) => new RegExp(`export class ${name} extends pulumi\\.ComponentResource\\b`).test(source));
    },
  );
}

test('every component is one that Pulumi can offer to programs in other languages', () => {
  expect(Object.keys(schema.components)).toContain('InferenceService');
});

test('a service takes everything that it takes in TypeScript', () => {
  const { inputs } = schema.components['InferenceService']!;
  expect(inputs).toMatchObject({
    models: { type: 'array', items: { $ref: '#/types/slipway:index:ModelArgs' } },
    placement: { $ref: '#/types/slipway:index:Placement' },
    identity: { $ref: '#/types/slipway:index:ServiceIdentity' },
    wake: { $ref: '#/types/slipway:index:WakeArgs' },
    monitoring: { $ref: '#/types/slipway:index:MonitoringOptions' },
    minReplicas: { type: 'number' },
    spareReplica: { type: 'boolean' },
  });
});

test.each([
  ['ExecutionProvider', ['cpu', 'cuda', 'tensorrt']],
  ['Preset', ['production', 'development']],
  ['ScalingMetricsSource', ['keda', 'prometheus-adapter', 'cpu']],
  ['CapacityKind', ['instances', 'fargate']],
  ['GpuAllocation', ['extendedResource', 'dra']],
])('%s is an enumeration of what TypeScript takes as plain text', (name, values) => {
  expect(schema.typeDefinitions[name]!.enum!.map(({ value }) => value).sort()).toEqual([...values].sort());
});

test('what only a program can hold is no output: plans, and resources of either kind', () => {
  const { outputs } = schema.components['InferenceService']!;
  expect(Object.keys(outputs)).toEqual(expect.arrayContaining(['url', 'deployment', 'service']));
  for (const getter of ['plan', 'autoscaler', 'serviceMonitor']) expect(outputs).not.toHaveProperty(getter);
});
