import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';

const dist = path.resolve(__dirname, '../../dist/pulumi');

/** What each sub-path may load of the packages that only some users have. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  '.': ['@pulumi/kubernetes'],
  aws: ['@pulumi/aws', '@pulumi/kubernetes'],
  gcp: ['@pulumi/gcp', '@pulumi/kubernetes'],
  azure: ['@pulumi/azure-native', '@pulumi/kubernetes'],
  alibaba: ['@pulumi/alicloud', '@pulumi/kubernetes'],
  tencent: ['@pulumi/kubernetes'],
  image: ['@pulumi/docker-build'],
  plugin: [],
  policy: [],
};

beforeAll(() => {
  if (!existsSync(path.join(dist, 'index.js'))) throw new Error('dist is not built: npm run build');
});

test.each(Object.entries(LOADS))('slipway/pulumi/%s loads no SDK of another cloud', (module, allowed) => {
  const script = `require(${JSON.stringify(path.join(dist, module, 'index.js'))});
    const names = Object.keys(require.cache).map((file) => /node_modules\\/(@pulumi\\/[^/]+|aws-cdk-lib|onnxruntime-node)\\//.exec(file)?.[1]);
    process.stdout.write(JSON.stringify([...new Set(names)].filter((name) => name !== undefined && name !== '@pulumi/pulumi')));
    process.exit(0);`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect((JSON.parse(stdout) as string[]).filter((name) => !allowed.includes(name))).toEqual([]);
});
