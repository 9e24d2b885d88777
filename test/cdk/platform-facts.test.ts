import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, Stack, Stage } from 'aws-cdk-lib';
import { InferencePlatform, type PlatformFacts } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { emptyFolder } from './support/cdk-cli';
import { newApp, newGpuPlatform, newPlatform } from './support/platforms';
import { folderWith, newStack, pinnedMachineImage } from './support/stacks';

const FACTS: PlatformFacts = {
  schema: 'slipway.dev/platform-facts/v1',
  platformName: 'main',
  preset: 'production',
  parameterPrefix: '/slipway/main',
  zones: 2,
  subnetType: 'isolated',
  listener: { port: 80, tls: false, exposure: 'internal', idleTimeoutSeconds: 120 },
  groups: {
    l4: { kind: 'instances', instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxMachines: 12, spot: false },
  },
};

function join_(facts: unknown): () => unknown {
  return () => InferencePlatform.fromFacts(newStack(), 'Platform', facts as PlatformFacts);
}

function writtenBy(app: App, file = 'main.platform.facts.json'): unknown {
  return JSON.parse(readFileSync(join(app.synth().directory, file), 'utf8'));
}

test('synthesis leaves everything plain about a platform beside its template, groups added late included', () => {
  const app = newApp();
  const platform = newGpuPlatform(app);
  platform.addGroup('h100', { instanceTypes: ['p5.4xlarge'], machineImage: pinnedMachineImage(), maxSize: 2 });
  expect(writtenBy(app)).toEqual({
    ...FACTS,
    groups: {
      l4: expect.objectContaining(FACTS.groups['l4']),
      a10: expect.objectContaining({ kind: 'instances', instanceTypes: ['g5.2xlarge'], maxMachines: 4, spot: false }),
      h100: expect.objectContaining({ kind: 'instances', instanceTypes: ['p5.4xlarge'], maxMachines: 2, spot: false }),
    },
  });
  expect(writtenBy(app)).toEqual(platform.facts);
});

test('account and region are facts where the stack names them, and then they are in the name of the file', () => {
  const app = newApp();
  newGpuPlatform(app, {}, { env: { account: '123456789012', region: 'eu-west-1' } });
  expect(writtenBy(app, 'main.123456789012.eu-west-1.platform.facts.json')).toMatchObject({
    account: '123456789012',
    region: 'eu-west-1',
  });
});

test('a platform in a stage leaves its facts in the folder of the stage', () => {
  const app = newApp();
  newPlatform(new Stack(new Stage(app, 'Production'), 'Platform'));
  const { directory } = app.synth();
  expect(readdirSync(join(directory, 'assembly-Production'))).toContain('main.platform.facts.json');
});

test('the facts are written where the author says, too, and not again while they are the same', () => {
  const factsFile = join(emptyFolder(), 'platform.facts.json');
  const synthesize = (maxAzs?: number): void => {
    const app = newApp();
    newPlatform(new Stack(app, 'Platform', { env: { account: '123456789012', region: 'eu-west-1' } }), {
      factsFile,
      ...(maxAzs === undefined ? {} : { maxAzs }),
    });
    app.synth();
  };
  synthesize();
  expect(existsSync(factsFile)).toBe(true);
  utimesSync(factsFile, 1_000, 1_000);
  synthesize();
  expect(statSync(factsFile).mtimeMs).toBe(1_000_000);
  writeFileSync(factsFile, '{}');
  synthesize();
  expect(JSON.parse(readFileSync(factsFile, 'utf8'))).toMatchObject({ platformName: 'main' });
});

test('what a platform writes is what another app reads, from the file or as an object', () => {
  const app = newApp();
  const platform = newGpuPlatform(app);
  const file = join(app.synth().directory, 'main.platform.facts.json');
  for (const facts of [file, platform.facts]) {
    const joined = InferencePlatform.fromFacts(newStack(), 'Platform', facts);
    expect(joined).toMatchObject({ platformName: 'main', preset: 'production', parameterPrefix: '/slipway/main' });
    expect(joined.capacity('l4')).toMatchObject({ instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxMachines: 12 });
  }
});

test('fields of a newer version are none of this one’s business', () => {
  expect(join_({ ...FACTS, colour: 'green' })).not.toThrow();
});

test('a file that is not there is answered with who writes it', () => {
  expect(join_('no/such/file.json')).toThrow(
    "PLATFORM_FACTS_INVALID facts: there is no file 'no/such/file.json'; 'cdk synth' of the app that makes the platform writes <platformName>.platform.facts.json into cdk.out",
  );
});

test('a file that holds something else is named', () => {
  const folder = folderWith({ 'facts.json': 'platform: main', 'list.json': '[]' });
  expect(join_(join(folder, 'facts.json'))).toThrow('PLATFORM_FACTS_INVALID facts: ');
  expect(join_(join(folder, 'list.json'))).toThrow('PLATFORM_FACTS_INVALID facts: must be an object, got []');
});

const group = FACTS.groups['l4']!;
test.each([
  ['facts.schema', { schema: 'slipway.dev/platform-facts/v2' }],
  ['facts.platformName', { platformName: '../main' }],
  ['facts.preset', { preset: 'staging' }],
  ['facts.account', { account: 123_456_789_012 }],
  ['facts.region', { region: '' }],
  // A prefix of somebody else's would read parameters that the platform did not write.
  ['facts.parameterPrefix', { parameterPrefix: '/aws/service' }],
  ['facts.zones', { zones: 0 }],
  ['facts.zones', { zones: 1.5 }],
  ['facts.subnetType', { subnetType: 'public' }],
  ['facts.listener', { listener: null }],
  ['facts.listener.port', { listener: { ...FACTS.listener, port: '80' } }],
  ['facts.listener.tls', { listener: { ...FACTS.listener, tls: 'no' } }],
  ['facts.listener.exposure', { listener: { ...FACTS.listener, exposure: 'open' } }],
  ['facts.listener.idleTimeoutSeconds', { listener: { ...FACTS.listener, idleTimeoutSeconds: undefined } }],
  ['facts.namespace', { namespace: '' }],
  ['facts.groups', { groups: [] }],
  ['facts.groups', { groups: { 'a/b': group } }],
  ['facts.groups', { groups: JSON.parse(`{"__proto__": ${JSON.stringify(group)}}`) }],
  ['facts.groups.l4', { groups: { l4: 'g6.xlarge' } }],
  ['facts.groups.l4.kind', { groups: { l4: { ...group, kind: 'fargate' } } }],
  ['facts.groups.l4.instanceTypes', { groups: { l4: { ...group, instanceTypes: [] } } }],
  ['facts.groups.l4.maxMachines', { groups: { l4: { ...group, maxMachines: -1 } } }],
  ['facts.groups.l4.spot', { groups: { l4: { ...group, spot: undefined } } }],
  ['facts.groups.l4.modelCache', { groups: { l4: { ...group, modelCache: 'yes' } } }],
])('%s is refused as in %o', (path, change) => {
  expect(join_({ ...FACTS, ...change })).toThrow(`PLATFORM_FACTS_INVALID ${path}: `);
});

test('a group is looked up among the platform’s own, whatever objects have by themselves', () => {
  const joined = InferencePlatform.fromFacts(newStack(), 'Platform', FACTS);
  for (const name of ['constructor', 'toString', 'l40']) {
    expect(() => joined.capacity(name)).toThrow(
      `PLATFORM_GROUP_UNKNOWN name: 'main' has no group '${name}'; did you mean 'l4'? it has 'l4'`,
    );
  }
});
