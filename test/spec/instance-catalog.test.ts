import { execFileSync } from 'node:child_process';
import { FARGATE_SIZES, INSTANCE_CATALOG, smallestFargateSize, type InstanceFacts } from 'slipway';
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
  let recorded: Record<string, Omit<InstanceFacts, 'architecture'>>;
  try {
    recorded = JSON.parse(
      execFileSync(python ?? 'python3', ['-c', DUMP], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return ctx.skip('moto, whose record of DescribeInstanceTypes this compares with, is not installed for python3');
  }
  const rows = Object.fromEntries(
    Object.entries(INSTANCE_CATALOG).map(([type, { architecture: _same, ...facts }]) => [type, facts]),
  );
  expect(rows).toEqual(recorded);
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
