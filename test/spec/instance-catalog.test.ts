import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  CLOUDS,
  FARGATE_SIZES,
  INSTANCE_CATALOG,
  instanceTypesOf,
  lookUpInstance,
  planInferenceService,
  smallestFargateSize,
  type InstanceFacts,
} from 'slipway';
import { expect, test } from 'vitest';
import { toolOnPath } from '../support/tools';

const DUMP = `
import gzip, json, os, moto
path = os.path.join(os.path.dirname(moto.__file__), 'ec2', 'resources', 'instance_types.json.gz')
types = json.load(gzip.open(path))
json.dump({name: {
  'gpu': t['GpuInfo']['Gpus'][0]['Name'],
  'gpuCount': t['GpuInfo']['Gpus'][0]['Count'],
  'gpuMemoryMiB': t['GpuInfo']['Gpus'][0]['MemoryInfo']['SizeInMiB'],
  'vcpu': t['VCpuInfo']['DefaultVCpus'],
  'memoryMiB': t['MemoryInfo']['SizeInMiB'],
  'localNvmeGB': t['InstanceStorageInfo']['TotalSizeInGB'],
} for name, t in types.items() if name.split('.')[0] in ('g4dn', 'g5', 'g6', 'g6e', 'p4d', 'p5')}, __import__('sys').stdout)
`;

test('every row is what EC2 says of the type, and no type of these families is missing', (ctx) => {
  const python = toolOnPath('python3');
  let recorded: Record<string, Omit<InstanceFacts, 'architecture' | 'cloud'>>;
  try {
    recorded = JSON.parse(
      execFileSync(python ?? 'python3', ['-c', DUMP], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return ctx.skip('moto, whose record of DescribeInstanceTypes this compares with, is not installed for python3');
  }
  const rows = Object.fromEntries(
    instanceTypesOf('aws').map((type) => {
      const { architecture: _same, cloud: _aws, ...facts } = lookUpInstance(type, 'type');
      return [type, facts];
    }),
  );
  expect(rows).toEqual(recorded);
});

const ROWS = Object.entries<InstanceFacts>(INSTANCE_CATALOG);

test('every cloud has types, and no name is lost because two clouds have it', () => {
  const types = CLOUDS.flatMap((cloud) => {
    const own = instanceTypesOf(cloud);
    expect(own.length).toBeGreaterThan(10);
    return own;
  });
  expect(types.sort()).toEqual(Object.keys(INSTANCE_CATALOG).sort());
  const rows = tableRows().sort();
  expect(rows).toEqual(types);
});

/** The names as the tables write them: where one stood twice, an object would have it once. */
function tableRows(): string[] {
  return CLOUDS.flatMap((cloud) => {
    const source = readFileSync(path.join(__dirname, `../../runtime/spec/instance-catalog/${cloud}.ts`), 'utf8');
    return [...source.matchAll(/^ {2}'?([\w.-]+)'?: \w+\('/gm)].map(([, name]) => name!);
  });
}

test('a GPU model has the same memory whoever rents it out', () => {
  const memory = new Map<string, Set<number>>();
  for (const [, { gpu, gpuMemoryMiB }] of ROWS) memory.set(gpu, (memory.get(gpu) ?? new Set()).add(gpuMemoryMiB));
  expect([...memory].filter(([, sizes]) => sizes.size !== 1)).toEqual([]);
});

test.each(ROWS)('%s is a machine that can be', (type, { gpuCount, gpuMemoryMiB, vcpu, memoryMiB, localNvmeGB }) => {
  expect([1, 2, 4, 8, 16]).toContain(gpuCount);
  expect(gpuMemoryMiB).toBeGreaterThanOrEqual(15_000);
  expect(gpuMemoryMiB).toBeLessThanOrEqual(100_000);
  expect(vcpu / gpuCount).toBeGreaterThanOrEqual(4);
  expect(vcpu / gpuCount).toBeLessThanOrEqual(64);
  // From 2 GiB a vCPU to what the largest have.
  expect(memoryMiB / vcpu).toBeGreaterThanOrEqual(2 * 1_024);
  expect(memoryMiB / vcpu).toBeLessThanOrEqual(26 * 1_024);
  expect(Number.isInteger(memoryMiB) && localNvmeGB >= 0).toBe(true);
  expect(type).toMatch(/^[\w.-]+$/);
});

test('the number that a name speaks of is the number of the row', () => {
  for (const [type, { cloud, gpuCount, vcpu, memoryMiB }] of ROWS) {
    if (cloud === 'gcp' && /gpu-\d+g$/.test(type))
      expect([type, `${gpuCount}g`]).toEqual([type, type.split('-').at(-1)]);
    if (cloud === 'gcp' && type.includes('standard'))
      expect([type, vcpu]).toEqual([type, Number(type.split('-').at(-1))]);
    if (cloud === 'azure') expect([type, vcpu]).toEqual([type, Number(/\d+/.exec(type)![0])]);
    if (cloud === 'tencent') expect([type, memoryMiB / 1_024]).toEqual([type, Number(/\d+$/.exec(type)![0])]);
    const gpus = cloud === 'alibaba' ? /-(\d)x\./.exec(type)?.[1] : undefined;
    if (gpus !== undefined) expect([type, gpuCount]).toEqual([type, Number(gpus)]);
  }
});

test.each([
  [
    'g2-standard-4',
    'aws',
    "got 'g2-standard-4', a type of Google Cloud, known of AWS: families g6, g6e, g5, g4dn, p5, p4d",
  ],
  ['g9.xlarge', 'aws', "got 'g9.xlarge', known: families g6, g6e, g5, g4dn, p5, p4d"],
  ['g2-standard-5', 'gcp', "got 'g2-standard-5', known: g2-standard-4, g2-standard-8"],
  ['Standard_NC6as_T4_v3', 'azure', "got 'Standard_NC6as_T4_v3', known: Standard_NC4as_T4_v3, Standard_NC8as_T4_v3"],
  ['ecs.gn6i-c5g1.xlarge', 'alibaba', "got 'ecs.gn6i-c5g1.xlarge', known: ecs.gn6i-c4g1.xlarge"],
  ['g6.xlarge', 'tencent', "got 'g6.xlarge', a type of AWS, known of Tencent Cloud: families PNV4, GN7"],
  [
    'constructor',
    undefined,
    "got 'constructor', known: families g6, g6e, g5, g4dn, p5, p4d of AWS; families g2, g4, a2, a3 of",
  ],
] as const)('%s is not a type of %s', (type, cloud, message) => {
  expect(() => lookUpInstance(type, 'instanceTypes[0]', cloud)).toThrow(
    `UNKNOWN_INSTANCE_TYPE instanceTypes[0]: ${message}`,
  );
});

test('a replica may be sized by a type of any cloud, and where nobody names one by one of AWS', () => {
  const models = [{ name: 'digits', version: 1 }];
  const spec = {
    name: 'reader',
    models,
    startupBudgetSeconds: 60,
    memoryMiB: 4_096,
    executionProvider: 'cuda' as const,
  };
  expect(planInferenceService({ ...spec, instanceTypes: ['g2-standard-4'] }).resources).toMatchObject({ vcpu: 3.5 });
  expect(planInferenceService(spec).resources.instanceTypes).toEqual(['g6.xlarge']);
});

test('the smallest Fargate size that is large enough is taken', () => {
  expect(smallestFargateSize(0.25, 100)).toEqual({ vcpu: 0.25, memoryMiB: 512 });
  expect(smallestFargateSize(1, 8_193)).toEqual({ vcpu: 2, memoryMiB: 9_216 });
  expect(smallestFargateSize(16, 122_880)).toEqual({ vcpu: 16, memoryMiB: 122_880 });
  expect(() => smallestFargateSize(16, 122_881)).toThrow('the largest Fargate size is 16 vCPU and 122880 MiB');
  for (const { vcpu, memoryMiB } of FARGATE_SIZES) {
    for (const memory of memoryMiB) expect(smallestFargateSize(vcpu, memory)).toEqual({ vcpu, memoryMiB: memory });
  }
});
