import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  containsSecret,
  containsUnknown,
  findDescendants,
  findResource,
  isSecret,
  propertyAt,
  reveal,
  runPulumiProgram,
  type Properties,
  type PulumiRecording,
  type RecordedResource,
} from 'slipway/testing';
import { typesOf } from './reading';
import { alibaba } from './rows/alibaba';
import { aws } from './rows/aws';
import { gcp } from './rows/gcp';
import { azure } from './rows/azure';
import { tencent } from './rows/tencent';
import type { Lacking } from './cloud-under-test';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const COMPONENTS = ['Cluster', 'GpuInstanceGroup', 'ImageRepository', 'ModelBucket', 'WorkloadIdentity'];
const KEY = /abc/;
const DIGITS_SHA256 = createHash('sha256')
  .update(readFileSync(path.resolve(__dirname, '../../../models/digits/model.onnx')))
  .digest('hex');

describe.each([aws, gcp, azure, alibaba, tencent])('on $cloud', (row) => {
  const components = row.cluster === undefined ? COMPONENTS.filter((type) => type !== 'Cluster') : COMPONENTS;
  let preview: PulumiRecording;
  let up: PulumiRecording;

  beforeAll(async () => {
    const program = {
      program: path.join(__dirname, `programs/${row.cloud}.ts`),
      typeCheck: false,
      onResource: row.onResource,
      onInvoke: row.onInvoke,
    };
    preview = assertSucceeded(await runPulumiProgram({ ...program, preview: true }));
    up = assertSucceeded(await runPulumiProgram(program));
  });

  const component = (type: string, name: string) => findResource(up, `slipway:${row.cloud}:${type}`, name);
  const childrenOf = (type: string, name: string) => findDescendants(up, component(type, name).urn);
  const unless = (lacking: Lacking, value: boolean) => value || row.lacks.includes(lacking);

  describe('every component', () => {
    test('previews what up makes, with inputs that only an update knows, and makes nothing inside apply', () => {
      expect(() => assertSameResources(preview, up)).not.toThrow();
      const late = preview.resources.filter(({ name, type }) => name === 'late' && type.startsWith(`${row.package}:`));
      expect(late.some(({ inputs }) => containsUnknown(inputs))).toBe(true);
      expect(up.resources.filter(({ inputs }) => containsUnknown(inputs))).toEqual([]);
    });

    test('keeps its type token, and the names and types of its children', async () => {
      const names = up.resources
        .filter(({ type }) => !type.startsWith('kubernetes:') || type.includes('provider'))
        .map((resource) => `${parentOf(resource)} > ${resource.type} ${resource.name}`)
        .sort();
      await expect(`${names.join('\n')}\n`).toMatchFileSnapshot(`../__snapshots__/contract-${row.cloud}.resources.txt`);
    });

    const parentOf = ({ parent }: RecordedResource) => {
      const above = up.resources.find(({ urn }) => urn === parent);
      return above === undefined ? '' : `${above.type} ${above.name}`;
    };

    test.each(components)('%s has its children under itself, named after itself', (type) => {
      const components = up.resources.filter((resource) => resource.type === `slipway:${row.cloud}:${type}`);
      expect(components.length).toBeGreaterThanOrEqual(2);
      for (const { name, urn } of components) {
        for (const child of findDescendants(up, urn)) expect(child.name).toMatch(new RegExp(`^${name}(-|$)`));
      }
    });

    test('says its outputs, once', () => {
      const silent = up.resources.filter(
        ({ type, name, urn }) =>
          type.startsWith('slipway:') && !name.startsWith('bad-') && Object.keys(up.outputs[urn] ?? {}).length === 0,
      );
      expect(silent.map(({ urn }) => urn)).toEqual([]);
    });

    test.each(components)('%s hands its provider and its protection to every child', (type) => {
      const children = childrenOf(type, 'guarded');
      expect(children.length).toBeGreaterThan(0);
      expect(children.filter(({ protect }) => !protect).map(({ urn }) => urn)).toEqual([]);
      const own = children.filter((child) => child.type.startsWith(`${row.package}:`));
      expect(own.filter(({ provider }) => !provider.includes(`:${row.package}::elsewhere::`))).toEqual([]);
    });

    test.each(components)('%s goes by an earlier name, and with what it is said to go with', (type) => {
      const { aliases, deletedWith } = component(type, 'guarded');
      expect(aliases).toMatchObject([{ name: 'earlier' }]);
      expect(deletedWith).toMatch(/::elsewhere$/);
    });

    test('puts the tags of its author on everything that can have some', () => {
      const expected = { team: 'vision', stage: 'test' };
      const made = ['GpuInstanceGroup', 'ImageRepository', 'ModelBucket', 'WorkloadIdentity']
        .flatMap((type) => childrenOf(type, 'one'))
        .concat(row.cluster === undefined ? [] : childrenOf('Cluster', 'platform'))
        .filter(({ type }) => type.startsWith(`${row.package}:`) && !row.untaggable.includes(type));
      expect(made.length).toBeGreaterThan(0);
      const untagged = made.filter((resource) => !includes(row.tagsOf(resource), expected));
      expect(untagged.map(({ type, name }) => `${type} ${name}`)).toEqual([]);
    });

    test('needs no key, token or password', () => {
      const secrets = up.resources.filter(
        ({ type, inputs }) => type.startsWith(`${row.package}:`) && containsSecret(inputs),
      );
      expect(secrets.map(({ urn }) => urn)).toEqual([]);
    });
  });

  if (row.cluster !== undefined) {
    describe('a cluster', () => {
      test('is closed: private endpoint, encrypted secrets, identities for pods, logs, network policies, protection', () => {
        expect(row.cluster!(childrenOf('Cluster', 'platform'))).toEqual({
          hasPrivateEndpoint: true,
          hasPublicEndpoint: false,
          encryptsSecrets: true,
          hasWorkloadIdentity: true,
          logsControlPlane: true,
          isProtectedFromDeletion: true,
          enforcesNetworkPolicies: true,
        });
      });

      test('keeps its kubeconfig secret, in the provider, in its own outputs and in those of the stack', () => {
        const { urn } = component('Cluster', 'platform');
        const provider = findResource(up, 'pulumi:providers:kubernetes', 'platform');
        for (const kubeconfig of [
          provider.inputs['kubeconfig'],
          up.outputs[urn]!['kubeconfig'],
          up.stackOutputs['kubeconfig'],
        ]) {
          expect(isSecret(kubeconfig)).toBe(true);
          expect(JSON.parse(reveal(kubeconfig!) as string)).toMatchObject({ kind: 'Config', apiVersion: 'v1' });
        }
        expect(provider.inputs['clusterIdentifier']).toBeTruthy();
      });

      test('has machines before anything is put on it', () => {
        const made = childrenOf('Cluster', 'guarded');
        const first = row.firstMachines === undefined ? made : typesOf(made, row.firstMachines);
        const system = first.map(({ urn }) => urn);
        const group = childrenOf('GpuInstanceGroup', 'guarded');
        const waited = group.flatMap(({ dependencies }) => dependencies).filter((urn) => system.includes(urn));
        expect(waited.length).toBeGreaterThan(0);
      });
    });
  }

  describe('a GPU instance group', () => {
    test('has the taint that its placement tolerates, and the label that it selects', () => {
      for (const name of ['one', 'two']) {
        const { labels, taints } = row.nodePool(childrenOf('GpuInstanceGroup', name));
        const pod = podOf(name);
        expect(pod['nodeSelector']).toEqual({ 'slipway.dev/pool': name });
        expect(labels).toMatchObject(pod['nodeSelector'] as object);
        expect(taints).toEqual([
          { key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' },
          ...(row.spotTaints ?? []),
        ]);
        expect(pod['tolerations']).toEqual(taints.map((taint) => ({ ...taint, operator: 'Equal' })));
      }
    });

    test('has the machines that it was asked for, and leaves their number to the autoscaler', () => {
      const one = row.nodePool(childrenOf('GpuInstanceGroup', 'one'));
      expect(one).toMatchObject({ minSize: 1, maxSize: 4, isSpot: true, diskSizeGiB: 300 });
      const late = row.nodePool(childrenOf('GpuInstanceGroup', 'late'));
      expect(late).toMatchObject({ minSize: 0, maxSize: 1, isSpot: false, diskSizeGiB: 200 });
      expect(row.countProperties.length).toBeGreaterThan(0);
      for (const pool of [one, late]) expect(pool.ignored).toEqual(expect.arrayContaining([...row.countProperties]));
    });

    test('keeps pods from the credentials of the machine, and encrypts its disks', () => {
      const { closesMetadata, encryptsDisks } = row.nodePool(childrenOf('GpuInstanceGroup', 'late'));
      expect(unless('closed metadata', closesMetadata)).toBe(true);
      expect(encryptsDisks).toBe(true);
    });

    test('joins another pool by its label', () => {
      const { labels } = row.nodePool(childrenOf('GpuInstanceGroup', 'guarded'));
      expect(labels).toMatchObject({ 'slipway.dev/pool': 'shared-pool' });
    });
  });

  describe('an image repository', () => {
    test('does not let tags move, scans what is pushed, and clears up what no tag names', () => {
      const repository = row.repository(childrenOf('ImageRepository', 'one'));
      expect(unless('immutable tags', repository.hasImmutableTags)).toBe(true);
      expect(unless('image scan', repository.scansImages)).toBe(true);
      const isCleared = row.repository(childrenOf('ImageRepository', 'late')).untaggedDays === 14;
      expect(unless('untagged clean-up', isCleared && repository.untaggedDays === 7)).toBe(true);
      expect(unless('image key', KEY.test(String(repository.encryptionKey)))).toBe(true);
    });

    test('is kept when the component goes, unless it need not be', () => {
      expect(childrenOf('ImageRepository', 'one').filter(({ retainOnDelete }) => !retainOnDelete)).toEqual([]);
      expect(childrenOf('ImageRepository', 'guarded').filter(({ retainOnDelete }) => retainOnDelete)).toEqual([]);
    });

    test('is copied to the regions that its author names, with its tags, and kept there', () => {
      const children = childrenOf('ImageRepository', 'mirrored');
      expect(row.mirrors(children)).toEqual([row.mirrorRegion]);
      expect(children.filter(({ retainOnDelete }) => !retainOnDelete)).toEqual([]);
      expect(row.mirrors(childrenOf('ImageRepository', 'one'))).toEqual([]);
      const untagged = children
        .filter(({ type }) => !row.untaggable.includes(type))
        .filter((resource) => !includes(row.tagsOf(resource), { team: 'vision', stage: 'test' }));
      expect(untagged.map(({ type, name }) => `${type} ${name}`)).toEqual([]);
    });

    test('gives the image of another region by the same digest', () => {
      expect(up.stackOutputs['mirror']).toBe(`${row.mirrorUri}@sha256:${'ab'.repeat(32)}`);
    });

    test('that is there already is used as it is', () => {
      expect(childrenOf('ImageRepository', 'existing')).toEqual([]);
      expect(imageOf('existing')).toMatch(/\/slipway@sha256:(ab){32}$/);
    });
  });

  describe('a model bucket', () => {
    test.each(['one', 'late', 'guarded'])(
      '%s is private, encrypted, versioned and reachable over TLS alone',
      (name) => {
        const bucket = row.bucket(childrenOf('ModelBucket', name));
        expect(unless('public access block', bucket.isClosedToPublic)).toBe(true);
        expect(unless('TLS switch', bucket.isTlsOnly)).toBe(true);
        expect(bucket).toMatchObject({ isEncrypted: true, isVersioned: true });
      },
    );

    test('is encrypted by the key of its author, and forgets old versions when they say', () => {
      const one = row.bucket(childrenOf('ModelBucket', 'one'));
      expect(one.encryptionKey).toMatch(KEY);
      expect(one.noncurrentVersionDays).toBe(30);
      expect(row.bucket(childrenOf('ModelBucket', 'late')).noncurrentVersionDays).toBe(90);
    });

    test('is kept with all that protects it and all that lies in it, unless it need not be', () => {
      expect(childrenOf('ModelBucket', 'one').filter(({ retainOnDelete }) => !retainOnDelete)).toEqual([]);
      expect(row.bucket(childrenOf('ModelBucket', 'one')).deletesObjects).toBe(false);
      expect(childrenOf('ModelBucket', 'guarded').filter(({ retainOnDelete }) => retainOnDelete)).toEqual([]);
      expect(row.bucket(childrenOf('ModelBucket', 'guarded')).deletesObjects).toBe(true);
    });

    test('publishes a model file by its digest, and replicas serve these bytes once they are there', () => {
      const key = `digits/sha256-${DIGITS_SHA256}/model.onnx`;
      for (const name of ['one', 'existing']) {
        const children = childrenOf('ModelBucket', name);
        expect(row.objectKeys(children)).toEqual([key]);
        expect(modelsOf(name)[0].files).toMatchObject([
          { path: 'model.onnx', uri: `${row.bucketUri(name)}${key}`, sha256: DIGITS_SHA256 },
        ]);
        const object = children.find(({ inputs }) => JSON.stringify(inputs).includes(key))!;
        expect(deploymentOf(name).dependencies).toContain(object.urn);
      }
    });

    test('that is there already is not changed', () => {
      const made = childrenOf('ModelBucket', 'existing');
      expect(row.objectKeys(made)).toHaveLength(made.length);
    });
  });

  describe('a workload identity', () => {
    test('reads the models it names, and neither lists nor writes', () => {
      expect(row.identity(childrenOf('WorkloadIdentity', 'one'))).toEqual({
        prefixes: ['digits/', 'resnet50/'],
        mayList: false,
        mayWrite: false,
        namespace: 'inference',
        serviceAccount: 'one',
      });
      expect(row.identity(childrenOf('WorkloadIdentity', 'existing')).prefixes).toEqual(['digits/']);
    });

    test('is bound to one service account of a namespace that only the update knows', () => {
      const { namespace, serviceAccount } = row.identity(childrenOf('WorkloadIdentity', 'late'));
      expect({ namespace, serviceAccount }).toEqual({ namespace: 'late-id', serviceAccount: 'web' });
    });

    test('lets its pods reach exactly the endpoint that gives them their credentials', () => {
      const policy = findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'one');
      const egress = propertyAt(policy.inputs, 'spec.egress') as any[];
      const linkLocal = egress
        .flatMap(({ to = [], ports }) =>
          to.flatMap(({ ipBlock }: any) =>
            ipBlock === undefined ? [] : ports.map(({ port }: any) => `${ipBlock.cidr}:${port}`),
          ),
        )
        .filter((target: string) => !target.endsWith(':53'));
      expect(linkLocal.sort()).toEqual([...row.egress].sort());
    });

    test('is in place before the first pod', () => {
      const rights = childrenOf('WorkloadIdentity', 'one').map(({ urn }) => urn);
      expect(rights.length).toBeGreaterThan(0);
      expect(deploymentOf('one').dependencies.filter((urn) => rights.includes(urn)).length).toBeGreaterThan(0);
    });
  });

  test('a service on the group, with the image, the model and the identity, is all that pods need', () => {
    const pod = podOf('one');
    const [container] = pod['containers'] as unknown as [{ resources: { limits: Record<string, unknown> } }];
    expect(container.resources.limits).toMatchObject({ 'nvidia.com/gpu': '1' });
    expect(imageOf('one')).toMatch(/@sha256:(ab){32}$/);
    expect(up.stackOutputs['urls']).toEqual(['http://one.inference.svc:8080', 'http://two.inference.svc:8080']);
  });

  test('a mistake is refused in one line before any child is declared', async () => {
    const mistakes = up.stackOutputs['mistakes'] as Record<string, string>;
    const lines = Object.entries(mistakes).map(([name, message]) => `${name}: ${message}`);
    for (const line of lines) expect(line.split('\n')).toHaveLength(1);
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`../__snapshots__/contract-${row.cloud}.refusals.txt`);
    const left = up.resources.filter(({ name, custom }) => custom && name.startsWith('bad-'));
    expect(left.map(({ urn }) => urn)).toEqual([]);
  });

  row.furtherTests?.(() => ({ preview, up }));

  const deploymentOf = (service: string) => findResource(up, 'kubernetes:apps/v1:Deployment', service);
  const podOf = (service: string) =>
    propertyAt(deploymentOf(service).inputs, 'spec.template.spec') as unknown as Properties;
  const imageOf = (service: string) => propertyAt(podOf(service), 'containers[0].image');
  const modelsOf = (service: string) => {
    const env = propertyAt(podOf(service), 'containers[0].env') as unknown as { name: string; value: string }[];
    return JSON.parse(env.find(({ name }) => name === 'SLIPWAY_MODELS')!.value);
  };
});

function includes(tags: Readonly<Record<string, unknown>> | undefined, expected: Record<string, string>): boolean {
  return tags !== undefined && Object.entries(expected).every(([key, value]) => tags[key] === value);
}
