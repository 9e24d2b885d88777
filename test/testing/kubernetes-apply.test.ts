import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  applyToCluster,
  assertSucceeded,
  findResource,
  runPulumiProgram,
  type RecordedResource,
} from 'slipway/testing';
import { namespaceOf, startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const program = path.join(__dirname, 'fixtures/deploys-to-cluster.ts');
const reason = whyNoCluster();
/** A pod becomes ready without an image that exists. */
const whyNoPods = whyNoCluster({ fakeNodes: true });
const web = namespaceOf('web');
let cluster: TestCluster | undefined;

beforeAll(async () => {
  if (reason === undefined) cluster = await startCluster();
});
afterAll(() => cluster?.stop());
beforeEach((context) => {
  const why = context.task.name.startsWith('applies') ? whyNoPods : reason;
  if (why !== undefined) context.skip(why);
});

test('applies a program to a real API server and returns the live objects as state', async () => {
  const recording = assertSucceeded(
    await runPulumiProgram({
      program,
      config: { namespace: web },
      typeCheck: false,
      onResource: applyToCluster({ kubeconfig: cluster!.kubeconfig }),
    }),
  );
  expect(recording.stackOutputs['availableReplicas']).toBe(1);
  expect(recording.stackOutputs['clusterIp']).toMatch(/^[0-9a-f.:]+$/);
  expect(findResource(recording, 'kubernetes:apps/v1:Deployment').id).toBe(`${web}/web`);
  expect(findResource(recording, 'kubernetes:core/v1:Service').id).toMatch(new RegExp(`^${web}/web-[0-9a-f]{8}$`));
  await expect(cluster!.kubectl('get', 'deployment', 'web', '-n', web)).resolves.toContain('1/1');
});

test('fails a Deployment that does not become available in time', async () => {
  const deployment = await declared('kubernetes:apps/v1:Deployment', { zone: 'nowhere' });
  const apply = applyToCluster({ kubeconfig: cluster!.kubeconfig, timeoutSeconds: 2 });
  await cluster!.kubectl('create', 'namespace', namespaceOf('late'));
  const elsewhere = { ...deployment.inputs, metadata: { name: 'web', namespace: namespaceOf('late') } };
  await expect(apply({ ...deployment, inputs: elsewhere })).rejects.toThrow('timed out waiting for the condition');
});

test('refuses a field that the API does not know, with the words of the API server', async () => {
  const namespace = await declared('kubernetes:core/v1:Namespace');
  const inputs = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'odd', namespace: 'default' },
    dta: { a: 'b' },
  };
  await expect(applyToCluster({ kubeconfig: cluster!.kubeconfig })({ ...namespace, inputs })).rejects.toThrow(
    'field not declared in schema',
  );
});

test('leaves resources of other packages to others', async () => {
  const namespace = await declared('kubernetes:core/v1:Namespace');
  const apply = applyToCluster({ kubeconfig: cluster!.kubeconfig });
  expect(await apply({ ...namespace, type: 'aws:s3/bucket:Bucket' })).toBeUndefined();
});

async function declared(type: string, config: Record<string, string> = {}): Promise<RecordedResource> {
  return findResource(
    await runPulumiProgram({ program, config: { namespace: web, ...config }, typeCheck: false, preview: true }),
    type,
  );
}
