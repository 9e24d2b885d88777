import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { explainFailure } from '../../pulumi/explain-failure';
import { explained } from '../../pulumi/failure-hooks';
import { bindIdentity, helmInstall } from '../../pulumi/remedies';
import { publishModel } from '../../runtime/model/publish-model';
import {
  assertSucceeded,
  findResources,
  runPulumiProgram,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-failures-'));
const manifest = path.join(folder, 'manifest.json');

beforeAll(async () => {
  const source = path.join(__dirname, '../../models/digits/model.onnx');
  await publishModel({ source, name: 'digits', version: 1, repository: folder, manifestFile: manifest });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(options: Partial<PulumiProgramOptions> = {}): Promise<PulumiRecording> {
  const program = path.join(__dirname, 'programs/failing.ts');
  return runPulumiProgram({ program, typeCheck: false, config: { manifest }, ...options });
}

/** Fails one resource, as its provider does. */
function failing(type: string, name: string, error: string): Pick<PulumiProgramOptions, 'onResource'> {
  return {
    onResource: (resource) => {
      if (resource.type === type && resource.name === name) throw new Error(error);
      return undefined;
    },
  };
}

// As the Kubernetes provider says them (provider/pkg/await of pulumi/pulumi-kubernetes): its own words, and what it heard.
const NO_KIND =
  'creation of resource inference/digits failed because the Kubernetes API server reported that the apiVersion for this resource does not exist. Verify that any required CRDs have been created: no matches for kind "ScaledObject" in version "keda.sh/v1alpha1"';
const NOT_READY = `4 errors occurred:
\t* the Kubernetes API server reported that "inference/digits" failed to fully initialize or become live: 'digits' timed out waiting to be Ready
\t* [MinimumReplicasUnavailable] Deployment does not have minimum availability.
\t* Minimum number of live Pods was not attained`;
const UNREADABLE = `${NOT_READY}
\t* [Pod inference/digits-5d9]: containers with unready status: [server][CrashLoopBackOff] back-off 40s restarting failed container=server pod=digits-5d9
container "server" terminated at 2026-11-22T10:00:00Z (Error: exit code 1)
{"level":50,"msg":"model cannot be served"}
error: model 'digits' cannot be loaded: s3://team-models/digits/1/model.onnx does not exist or may not be read (AccessDenied)

`;

describe('when something of a component fails', () => {
  test.each([
    [
      'kubernetes:keda.sh/v1alpha1:ScaledObject',
      'digits',
      NO_KIND,
      'InferenceService',
      ['the cluster has no kind ScaledObject of keda.sh/v1alpha1', helmInstall('keda')],
    ],
    [
      'kubernetes:apps/v1:Deployment',
      'gpus',
      NOT_READY,
      'InferenceService',
      [
        'no pod got ready, kubectl describe pods --namespace inference --selector app.kubernetes.io/name=gpus says why',
        'nvidia.com/gpu',
        helmInstall('devicePlugin'),
      ],
    ],
    [
      'kubernetes:apps/v1:Deployment',
      'digits',
      UNREADABLE,
      'InferenceService',
      ['s3://team-models/digits/1/model.onnx does not exist or may not be read (AccessDenied)', bindIdentity('digits')],
    ],
    [
      'kubernetes:apps/v1:DaemonSet',
      'digits',
      '[Pod inference/digits-1]: [ImagePullBackOff] Back-off pulling image',
      'ImagePrewarm',
      [`machines cannot pull an image of the pod, registry.example.com/slipway@sha256:${'ab'.repeat(32)}`],
    ],
    [
      'kubernetes:helm.sh/v3:Release',
      'digits-keda',
      'Unable to continue with install: CustomResourceDefinition "scaledobjects.keda.sh" in namespace "" exists and cannot be imported into the current release: invalid ownership metadata',
      'PlatformAddons',
      ['existing: true'],
    ],
    [
      'kubernetes:batch/v1:Job',
      'digits-digits-1',
      'Job digits-digits-1 failed: BackoffLimitExceeded\nerror: s3://team-models/digits/1 cannot be read: no credentials: no TKE role',
      'ModelStore',
      ['a pod cannot read its model: s3://team-models/digits/1 cannot be read: no credentials', bindIdentity('digits')],
    ],
  ])('%s %s: the component says what is missing and what mends it', async (type, name, error, component, parts) => {
    const recording = await run(failing(type, name, error));
    expect(recording.exitCode).not.toBe(0);
    const own = recording.logs.filter(
      ({ severity, urn }) => severity === 'error' && urn.split('::')[2] === `slipway:index:${component}`,
    );
    expect(own).toHaveLength(1);
    for (const part of parts) expect(own[0]!.message).toContain(part);
  });

  test('an older CLI fails as it always did, and the preview says once where to ask instead', async () => {
    const old = { errorHooks: false };
    const preview = assertSucceeded(await run({ ...old, preview: true }));
    expect(
      preview.logs.filter(({ message }) => message.includes('slipway doctor')).map(({ severity }) => severity),
    ).toEqual(['info']);
    assertSucceeded(await run(old));
    const failed = await run({ ...old, ...failing('kubernetes:keda.sh/v1alpha1:ScaledObject', 'digits', NO_KIND) });
    expect(failed.exitCode).not.toBe(0);
    expect(failed.logs.filter(({ urn }) => urn.includes('slipway:index:InferenceService'))).toEqual([]);
  });

  test('nothing is said where nothing fails, services of one name included', async () => {
    const recording = assertSucceeded(await run());
    const services = findResources(recording, 'slipway:index:InferenceService');
    expect(services.filter(({ name }) => name === 'digits')).toHaveLength(2);
    expect(recording.logs.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  test('the mocks of a unit test, which have no hooks, do not stop a component', async () => {
    await pulumi.runtime.setMocks({
      newResource: ({ name, inputs }) => ({ id: `${name}-id`, state: inputs }),
      call: () => ({}),
    });
    expect(explained(new pulumi.ComponentResource('test:index:Any', 'any'), 'any')).toEqual({});
  });
});

const deployment = {
  metadata: { name: 'digits', namespace: 'inference' },
  spec: {
    template: {
      metadata: { labels: { 'app.kubernetes.io/name': 'digits' } },
      spec: {
        serviceAccountName: 'digits',
        nodeSelector: { 'slipway.dev/pool': 'gpus' },
        containers: [{ image: 'registry.example.com/slipway:1', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
      },
    },
  },
};

test.each([
  [
    '0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {nvidia.com/gpu: present}.',
    /^no machine has a free nvidia\.com\/gpu: raise maxSize .* --selector slipway\.dev\/pool=gpus .*shows none there is no device plugin: new PlatformAddons/,
  ],
  [
    "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
    /^no machine takes the pod; it wants slipway\.dev\/pool=gpus: /,
  ],
  [
    '0/3 nodes are available: 3 cannot allocate all claims.',
    /^no machine has the GPU that is claimed: install the NVIDIA DRA driver/,
  ],
  [
    'namespaces "inference" not found',
    "there is no namespace 'inference': kubectl create namespace inference, or createNamespace: true",
  ],
  ['container "server" terminated (OOMKilled: exit code 137)', /raise memoryMiB$/],
  ['Failed to bind PersistentVolumeClaim(s): "models"', /kubectl get storageclass/],
  [
    'container "server" terminated (Error: exit code 1)\nerror: SLIPWAY_CONTRACT: this image knows contract 3, asked for 4\n',
    'a pod ended, and said why: SLIPWAY_CONTRACT: this image knows contract 3, asked for 4',
  ],
  ['no matches for kind "Deployment" in version "apps/v9"', /upgrade the cluster/],
  ['deployments.apps "digits" is forbidden: exceeded quota', undefined],
])('%s', (error, expected) => {
  const said = explainFailure({ kind: 'Deployment', error, object: deployment });
  if (expected === undefined) expect(said).toBeUndefined();
  else if (typeof expected === 'string') expect(said).toBe(expected);
  else expect(said).toMatch(expected);
});

test.each([undefined, null, 7, {}, { spec: { template: { spec: { containers: 7, nodeSelector: null } } } }])(
  'an object that is not what it should be is no error: %j',
  (object) => {
    const said = explainFailure({ kind: 'Deployment', error: NOT_READY, object });
    expect(said).toMatch(/^no pod got ready: kubectl describe pods --namespace default /);
  },
);
