import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { assertSameResources, assertSucceeded, reveal, runPulumiProgram, type PulumiRecording } from 'slipway/testing';
import { failure } from '../../runtime/cli/deploy/open-stack';
import { renderService } from '../../runtime/cli/service-objects';
import { readServiceFile } from '../../runtime/cli/spec-file';
import { toolOnPath } from '../support/tools';
import { slipway } from './terminal';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const root = path.join(__dirname, '../..');
const DIGITS = path.join(root, 'models/digits/model.onnx');
const IMAGE = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

const SERVICE = {
  name: 'digits',
  preset: 'development',
  models: [{ file: DIGITS }],
  kubernetes: { image: IMAGE, modelRepository: 's3://team-models' },
  deploy: { context: 'team' },
};

let folder: string;
let spec: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-up-'));
  spec = path.join(folder, 'service.yaml');
  vi.stubEnv('PULUMI_CONFIG_PASSPHRASE', '');
  vi.stubEnv('PULUMI_BACKEND_URL', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});
const write = (content: object) => writeFileSync(spec, JSON.stringify(content));

describe('what a spec file declares', () => {
  const CANARY = {
    ...SERVICE,
    metricsFrom: 'keda',
    kubernetes: {
      ...SERVICE.kubernetes,
      namespace: 'team',
      createNamespace: true,
      identity: {
        serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/digits' },
      },
      monitoring: {},
      route: {
        gateway: { name: 'web', namespace: 'gateways' },
        hostnames: ['digits.example.com'],
        grpcHostnames: ['g.example.com'],
      },
      canary: { models: [{ file: DIGITS, version: 2 }], weightPercent: 10, verdict: {} },
      shadow: { models: [{ file: DIGITS, version: 3 }], percent: 5 },
    },
  };

  test('is the same in a preview and an up, and object by object what slipway render prints', async () => {
    write(CANARY);
    const service = readServiceFile(spec);
    const run = async (preview: boolean) =>
      assertSucceeded(
        await runPulumiProgram({
          directory: root,
          program: path.join(root, 'runtime/cli/deploy/program'),
          project: 'digits',
          preview,
          typeCheck: false,
          config: { service: JSON.stringify(service), cluster: JSON.stringify({ context: 'team' }) },
        }),
      );
    const [preview, up] = [await run(true), await run(false)];
    expect(() => assertSameResources(preview, up)).not.toThrow();
    expect(up.stackOutputs['url']).toBe('https://digits.example.com');
    const declared = objectsOf(up);
    const rendered = Object.fromEntries(renderService(service).inOrder.map((object) => [keyOf(object), plain(object)]));
    expect(Object.keys(declared).length).toBeGreaterThan(20);
    expect(declared).toEqual(rendered);
  });

  test('goes to the cluster that was named, by a provider that another path of its kubeconfig does not replace', async () => {
    write(SERVICE);
    const up = assertSucceeded(
      await runPulumiProgram({
        directory: root,
        program: path.join(root, 'runtime/cli/deploy/program'),
        project: 'digits',
        typeCheck: false,
        config: {
          service: JSON.stringify(readServiceFile(spec)),
          cluster: JSON.stringify({ context: 'team', kubeconfig: '/somewhere/kubeconfig' }),
        },
      }),
    );
    const provider = up.resources.find(({ type }) => type === 'pulumi:providers:kubernetes')!;
    expect(provider.inputs).toMatchObject({
      context: 'team',
      clusterIdentifier: 'team',
      kubeconfig: '/somewhere/kubeconfig',
    });
    const objects = up.resources.filter(({ type }) => type.startsWith('kubernetes:'));
    expect(objects.filter(({ provider: by }) => !by.startsWith(provider.urn))).toEqual([]);
  });
});

describe('slipway up refuses before Pulumi is started', () => {
  test.each([
    [{ deploy: {} }, 'no cluster is named: give --context, or deploy.context in the spec file'],
    [{ deploy: { kubeconfig: 'nowhere' } }, 'nowhere: does not exist'],
    [{ kubernetes: { modelRepository: 's3://team-models' } }, '--image is missing, and so is kubernetes.image'],
    [{ minReplicas: 3, maxReplicas: 2 }, 'maxReplicas'],
    [{ deploy: { contxt: 'team' } }, 'deploy.contxt is not a known field, the nearest one is deploy.context'],
  ])('%j', async (change, message) => {
    write({ ...SERVICE, ...change });
    const { status, stderr } = await slipway('up', spec);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('without anything that encrypts the secrets of the state', async () => {
    vi.stubEnv('PULUMI_CONFIG_PASSPHRASE', undefined);
    vi.stubEnv('PULUMI_CONFIG_PASSPHRASE_FILE', undefined);
    write(SERVICE);
    const { stderr } = await slipway('preview', spec);
    expect(stderr).toContain(
      `PULUMI_CONFIG_PASSPHRASE is not set: secrets of the state in file://${folder}/.slipway/pulumi are encrypted with it`,
    );
  });

  test('slipway down deletes nothing unless it is told to, really', async () => {
    write(SERVICE);
    expect(await slipway('down', spec)).toMatchObject({ status: 1, stderr: expect.stringContaining('add --yes') });
  });
});

describe('the Pulumi CLI', () => {
  /** Stands for a CLI that cannot be used: what it says is all that is looked at. */
  function playPulumi(script: string): void {
    const bin = path.join(folder, 'bin');
    mkdirSync(bin);
    writeFileSync(path.join(bin, 'pulumi'), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(bin, 'pulumi'), 0o755);
    vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
  }

  test('that is missing is said to be, with how to get it and how to do without', async () => {
    vi.stubEnv('PATH', path.join(folder, 'nothing'));
    write(SERVICE);
    expect(await slipway('up', spec)).toEqual({
      status: 1,
      stdout: '',
      stderr: `error: the Pulumi CLI is not on the PATH; install it as https://www.pulumi.com/docs/install/ says; or do without it: slipway render ${spec} | kubectl apply -f -\n`,
    });
  });

  test('that is too old is named with its version', async () => {
    playPulumi('echo v3.99.0');
    write(SERVICE);
    expect((await slipway('preview', spec)).stderr).toContain(
      'the Pulumi CLI on the PATH is version 3.99.0, and 3.200 or a later 3 is needed',
    );
  });

  test('that fails is quoted in one line, and is told to phone nowhere and to keep its state beside the spec file', async () => {
    playPulumi(
      `if [ "$1" = version ]; then echo v3.259.0; exit; fi
       { echo "$@"; env; } > ${folder}/seen; echo 'error: the lock is gone' >&2; exit 255`,
    );
    write(SERVICE);
    const { status, stderr } = await slipway('up', spec);
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'error: pulumi: the lock is gone\n' });
    const seen = readFileSync(path.join(folder, 'seen'), 'utf8');
    for (const line of [
      `PULUMI_BACKEND_URL=file://${folder}/.slipway/pulumi`,
      'PULUMI_SKIP_UPDATE_CHECK=true',
      'PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true',
    ]) {
      expect(seen.split('\n')).toContain(line);
    }
  });

  test.each([
    ['--backend', 'file://state', `file://${process.cwd()}/state`],
    ['--backend', 's3://state', 's3://state'],
  ])('keeps its state where %s %s says', async (flag, given, expected) => {
    playPulumi(`if [ "$1" = version ]; then echo v3.259.0; exit; fi; env > ${folder}/seen; exit 1`);
    write(SERVICE);
    try {
      await slipway('preview', spec, flag, given);
    } finally {
      if (given.startsWith('file:')) rmSync(path.join(process.cwd(), 'state'), { recursive: true, force: true });
    }
    expect(readFileSync(path.join(folder, 'seen'), 'utf8')).toContain(`PULUMI_BACKEND_URL=${expected}\n`);
  });

  test('previews for real, against no cluster', async (ctx) => {
    if (toolOnPath('pulumi') === undefined) ctx.skip('the Pulumi CLI is not on the PATH');
    const kubeconfig = path.join(folder, 'kubeconfig');
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'nobody',
        clusters: [{ name: 'nobody', cluster: { server: 'http://127.0.0.1:1' } }],
        contexts: [{ name: 'nobody', context: { cluster: 'nobody', user: 'nobody' } }],
        users: [{ name: 'nobody', user: {} }],
      }),
    );
    write({ ...SERVICE, deploy: { kubeconfig: 'kubeconfig' } });
    const { status, stdout, stderr } = await slipway('preview', spec);
    if (/plugin/.test(stdout + stderr)) ctx.skip('the Kubernetes provider of Pulumi is not installed');
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\+ \d+ to create/);
  });
});

const ONLY_PULUMI = ['pulumi.com/patchForce', 'pulumi.com/replaceUnready', 'pulumi.com/skipAwait'];

/** The Kubernetes objects of a run, without what tells Pulumi alone how to treat them. */
function objectsOf(recording: PulumiRecording): Record<string, unknown> {
  const objects = recording.resources.filter(({ type }) => type.startsWith('kubernetes:'));
  return Object.fromEntries(
    objects.map(({ inputs, type }) => {
      const object = plain(reveal(inputs)) as any;
      const [, group, kind] = /^kubernetes:(.*):(\w+)$/.exec(type)!;
      object.kind ??= kind;
      object.apiVersion ??= group!.replace(/^core\//, '');
      for (const name of ONLY_PULUMI) delete object.metadata.annotations?.[name];
      if (Object.keys(object.metadata.annotations ?? { some: 1 }).length === 0) delete object.metadata.annotations;
      return [keyOf(object), object];
    }),
  );
}

function keyOf({ kind, metadata }: { kind: string; metadata: { name: string } }): string {
  return `${kind} ${metadata.name}`;
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test('a delete that was not done in time says where the reason is, which Pulumi has lost', () => {
  const stdout =
    'error: error hooks execution failed: error hook not registered for slipway:index:InferenceService digits';
  const said = (text: string) =>
    failure(new Error(`code: 255\n stdout: ${text}\n stderr: error: update failed\n err?: `));
  expect(said(stdout).message).toBe(
    'pulumi: update failed; something was not gone in time, and Pulumi does not say why: kubectl describe of what is left does; run it once more',
  );
  expect(said('forbidden').message).toBe('pulumi: update failed');
});
