import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { assertSucceeded, findResource, runPulumiProgram, type PulumiRecording } from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

interface SchemaModel {
  new (object: object): { validate(): void };
}

let cpu: PulumiRecording;
let cuda: PulumiRecording;

beforeAll(async () => {
  [cpu, cuda] = (await Promise.all(['cpu', 'cuda'].map(deploy))) as [PulumiRecording, PulumiRecording];
});

test.each([
  ['kubernetes:core/v1:Namespace', () => import('kubernetes-models/v1').then((models) => models.Namespace)],
  ['kubernetes:core/v1:ServiceAccount', () => import('kubernetes-models/v1').then((models) => models.ServiceAccount)],
  ['kubernetes:core/v1:Service', () => import('kubernetes-models/v1').then((models) => models.Service)],
  ['kubernetes:apps/v1:Deployment', () => import('kubernetes-models/apps/v1').then((models) => models.Deployment)],
  [
    'kubernetes:policy/v1:PodDisruptionBudget',
    () => import('kubernetes-models/policy/v1').then((models) => models.PodDisruptionBudget),
  ],
  [
    'kubernetes:networking.k8s.io/v1:NetworkPolicy',
    () => import('kubernetes-models/networking.k8s.io/v1').then((models) => models.NetworkPolicy),
  ],
  [
    'kubernetes:autoscaling/v2:HorizontalPodAutoscaler',
    () => import('kubernetes-models/autoscaling/v2').then((models) => models.HorizontalPodAutoscaler),
  ],
])('%s of a CPU and of a GPU service fits its published schema', async (type, load) => {
  const Model = (await load()) as unknown as SchemaModel;
  for (const recording of [cpu, cuda]) {
    const { inputs } = findResource(recording, type);
    expect(() => new Model(inputs).validate()).not.toThrow();
  }
});

test('a schema refuses what does not fit it', async () => {
  const { Deployment } = await import('kubernetes-models/apps/v1');
  const { inputs } = findResource(cpu, 'kubernetes:apps/v1:Deployment');
  const broken = { ...inputs, spec: { ...(inputs['spec'] as object), progressDeadlineSeconds: 'soon' } };
  expect(() => new (Deployment as unknown as SchemaModel)(broken).validate()).toThrow('progressDeadlineSeconds');
});

async function deploy(kind: string): Promise<PulumiRecording> {
  return assertSucceeded(
    await runPulumiProgram({
      program: path.join(__dirname, 'programs/on-a-cluster.ts'),
      typeCheck: false,
      config: { namespace: kind, kind },
    }),
  );
}
