import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  applyToCluster,
  assertSucceeded,
  findResource,
  propertyAt,
  runPulumiProgram,
  type PulumiRecording,
} from 'slipway/testing';
import { startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';

const reason = whyNoCluster();
let cluster: TestCluster | undefined;

beforeAll(async () => {
  if (reason === undefined) cluster = await startCluster();
});
afterAll(() => cluster?.stop());
beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

test.each(['cpu', 'cuda'])(
  'a %s service becomes available in a namespace that enforces Pod Security restricted',
  async (provider) => {
    const recording = assertSucceeded(await deploy(provider));
    expect(recording.stackOutputs['url']).toBe(`http://digits.${provider}.svc:8080`);
    const deployment = findResource(recording, 'kubernetes:apps/v1:Deployment');
    expect(deployment.state['status']).toMatchObject({ availableReplicas: 1, observedGeneration: 1 });

    const namespace = await live('namespace', provider);
    expect(namespace.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    const pods = await live('pods', '-n', provider, '-l', 'app.kubernetes.io/name=digits');
    expect(pods.items.map((pod: { spec: { serviceAccountName: string } }) => pod.spec.serviceAccountName)).toEqual([
      'digits',
    ]);
    // PodSecurity warns on the Deployment and refuses its pods: an event on the ReplicaSet would name what breaks the rules.
    const events = await live('events', '-n', provider, '--field-selector', 'type=Warning,reason=FailedCreate');
    expect(events.items).toEqual([]);
  },
);

test('the API server takes every object of a service', async () => {
  const recording = assertSucceeded(await deploy('cpu'));
  const applied = recording.resources.filter(({ type }) => type.startsWith('kubernetes:'));
  expect(applied.map(({ type }) => type).sort()).toEqual([
    'kubernetes:apps/v1:Deployment',
    'kubernetes:autoscaling/v2:HorizontalPodAutoscaler',
    'kubernetes:core/v1:Namespace',
    'kubernetes:core/v1:Service',
    'kubernetes:core/v1:ServiceAccount',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy',
    'kubernetes:policy/v1:PodDisruptionBudget',
  ]);
  expect(applied.filter(({ state }) => propertyAt(state, 'metadata.uid') === undefined)).toEqual([]);
});

test('a GPU service gets the GPU it asked for', async () => {
  assertSucceeded(await deploy('cuda'));
  const pods = await live('pods', '-n', 'cuda');
  expect(pods.items[0].spec.nodeName).toBe('gpu-0');
  expect(pods.items[0].spec.containers[0].resources.limits['nvidia.com/gpu']).toBe('1');
});

function deploy(provider: string): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/on-a-cluster.ts'),
    typeCheck: false,
    config: { namespace: provider, provider },
    onResource: applyToCluster({ kubeconfig: cluster!.kubeconfig }),
  });
}

async function live(...args: string[]) {
  return JSON.parse(await cluster!.kubectl('get', ...args, '-o', 'json'));
}
