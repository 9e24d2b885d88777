import path from 'node:path';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService } from '../../../pulumi';
import type { CloudFixture, CloudTypes } from './cloud-fixture';
import { refusalOf } from '../../support/pulumi-refusal';

const IMAGE_DIGEST = `sha256:${'ab'.repeat(32)}`;
const DIGITS = path.resolve(__dirname, '../../../models/digits/model.onnx');
const TAGS = { team: 'vision', stage: 'test' };

/**
 * The program that the contract runs once in preview and once in up: two of each component, the same again with unknown
 * inputs, protected with a provider of its own, from what is already there, and every mistake.
 */
export function deployContract<T extends CloudTypes>(cloud: CloudFixture<T>): Record<string, unknown> {
  const names = new pulumi.Config().getObject<string[]>('names');
  if (names !== undefined) return { uris: names.map((name) => oneOfEach(cloud, name)) };
  const { Cluster } = cloud.components;
  const cluster = Cluster && new Cluster('platform', cloud.clusterArgs!);
  const urls = ['one', 'two'].map((name) => twoOfEach(cloud, name));
  lateInputs(cloud);
  guarded(cloud);
  fromWhatIsThere(cloud);
  return { urls, mirror: mirrored(cloud), kubeconfig: cluster?.kubeconfig, mistakes: mistakes(cloud) };
}

/** Every component by one name, and nothing but what it must be told. */
function oneOfEach<T extends CloudTypes>(cloud: CloudFixture<T>, name: string): pulumi.Output<string>[] {
  const { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const { existingCluster, place, instanceType, mirror } = cloud;
  if (Cluster) new Cluster(name, cloud.clusterArgs!);
  const images = new ImageRepository(name, { ...place, replicateTo: [mirror.to] });
  const models = new ModelBucket(name, { ...place });
  // A label of Kubernetes, which is what places pods, has 63 characters.
  const group = { cluster: existingCluster, instanceTypes: [instanceType], maxSize: 1, pool: name.slice(-40) };
  new GpuInstanceGroup(name, { ...group, ...cloud.groupName?.(name) });
  const reads = [models.model('digits', { version: 1 })];
  new WorkloadIdentity(name, { cluster: existingCluster, namespace: 'inference', serviceAccountName: 'digits', reads });
  return [images.uri, models.uri];
}

/** Copied to another region, and pulled there. */
function mirrored<T extends CloudTypes>({ components, place, mirror }: CloudFixture<T>): pulumi.Output<string> {
  const images = new components.ImageRepository('mirrored', { ...place, replicateTo: [mirror.to], tags: TAGS });
  return images.imageByDigest(IMAGE_DIGEST, { region: mirror.region });
}

/** Every argument that a cloud has in common with the others, set. */
function twoOfEach<T extends CloudTypes>(cloud: CloudFixture<T>, name: string): pulumi.Output<string> {
  const { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const { existingCluster, place, encryptionKey } = cloud;
  const imageSettings = cloud.hasImageSettings === false ? {} : { encryptionKey, untaggedDays: 7 };
  const images = new ImageRepository(name, { ...place, ...imageSettings, tags: TAGS });
  const models = new ModelBucket(name, { ...place, encryptionKey, noncurrentVersionDays: 30, tags: TAGS });
  const gpus = new GpuInstanceGroup(name, {
    cluster: existingCluster,
    instanceTypes: [cloud.instanceType],
    minSize: 1,
    maxSize: 4,
    spot: true,
    diskSizeGiB: 300,
    tags: TAGS,
  });
  const published = models.modelFromFile('digits', DIGITS, { version: 3 });
  const identity = new WorkloadIdentity(name, {
    cluster: existingCluster,
    namespace: 'inference',
    reads: [published, models.model('resnet50', { version: 1 })],
    tags: TAGS,
  });
  const service = new InferenceService(name, {
    namespace: 'inference',
    createNamespace: name === 'one',
    image: images.imageByDigest(IMAGE_DIGEST),
    models: [published],
    placement: gpus.placement,
    identity: identity.binding,
    executionProvider: 'cuda',
    instanceTypes: [cloud.instanceType],
    minReplicas: 1,
    maxReplicas: 3,
    metricsFrom: 'keda',
  });
  return service.url;
}

/** Nothing but defaults, on a cluster and in a namespace that nobody knows before the update. */
function lateInputs<T extends CloudTypes>(cloud: CloudFixture<T>): void {
  const { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const namespace = new k8s.core.v1.Namespace('late');
  const cluster = cloud.lateCluster((value) => namespace.id.apply(() => value));
  new ImageRepository('late', { ...cloud.place });
  const models = new ModelBucket('late', { ...cloud.place });
  new GpuInstanceGroup('late', { cluster, instanceTypes: [cloud.instanceType], maxSize: 1 });
  const reads = [models.model('digits', { version: 1 })];
  new WorkloadIdentity('late', { cluster, namespace: namespace.id, serviceAccountName: 'web', reads });
}

/** Protected, deployed by an explicit provider, renamed, and gone with everything in it. */
function guarded<T extends CloudTypes>(cloud: CloudFixture<T>): void {
  const { Cluster, GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const provider = cloud.provider('elsewhere');
  const opts = { protect: true, providers: [provider], aliases: [{ name: 'earlier' }], deletedWith: provider };
  const cluster = Cluster && new Cluster('guarded', cloud.clusterArgs!, opts);
  const facts = cluster?.facts ?? cloud.existingCluster;
  new ImageRepository('guarded', { ...cloud.place, keepOnDelete: false }, opts);
  const models = new ModelBucket('guarded', { ...cloud.place, keepOnDelete: false }, opts);
  const group = { cluster: facts, instanceTypes: [cloud.instanceType], maxSize: 2, pool: 'shared-pool' };
  new GpuInstanceGroup('guarded', { ...group, sharing: { strategy: 'timeSlicing', podsPerGpu: 4 } }, opts);
  const reads = [models.modelFromFile('digits', DIGITS)];
  new WorkloadIdentity('guarded', { cluster: facts, namespace: 'inference', reads }, opts);
}

/** Makes no registry and no bucket. */
function fromWhatIsThere<T extends CloudTypes>(cloud: CloudFixture<T>): void {
  const { ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const images = new ImageRepository('existing', { ...cloud.place, existing: cloud.existingRepository });
  const models = new ModelBucket('existing', { ...cloud.place, existing: cloud.existingBucket });
  const published = models.modelFromFile('digits', DIGITS);
  const cluster = cloud.existingCluster;
  const identity = new WorkloadIdentity('existing', { cluster, namespace: 'inference', reads: [published] });
  new InferenceService('existing', {
    namespace: 'inference',
    image: images.imageByDigest(IMAGE_DIGEST),
    models: [published],
    identity: identity.binding,
  });
}

/** What each mistake is answered with. None of them may leave a child behind. */
function mistakes<T extends CloudTypes>(cloud: CloudFixture<T>): Record<string, string> {
  const { GpuInstanceGroup, ImageRepository, ModelBucket, WorkloadIdentity } = cloud.components;
  const { existingCluster, place, instanceType } = cloud;
  const group = (name: string, args: object) =>
    new GpuInstanceGroup(name, { cluster: existingCluster, instanceTypes: [instanceType], maxSize: 2, ...args });
  const made: Record<string, () => unknown> = {
    'bad-type': () => group('bad-type', { instanceTypes: ['z9.huge'] }),
    'bad-types': () => group('bad-types', { instanceTypes: [...cloud.impossibleInstanceTypes] }),
    'bad-no-type': () => group('bad-no-type', { instanceTypes: [] }),
    'bad-disk': () => group('bad-disk', { diskSizeGiB: 8 }),
    'bad-sizes': () => group('bad-sizes', { minSize: 3 }),
    'bad-sharing': () => group('bad-sharing', { sharing: { strategy: 'timeSlicing', podsPerGpu: 1 } }),
    'bad-reads': () =>
      new WorkloadIdentity('bad-reads', { cluster: existingCluster, namespace: 'inference', reads: [] }),
    ...(cloud.hasImageSettings === false
      ? {}
      : { 'bad-untagged': () => new ImageRepository('bad-untagged', { ...place, untaggedDays: 0 }) }),
    ...badMirrors(cloud),
    'bad-noncurrent': () => new ModelBucket('bad-noncurrent', { ...place, noncurrentVersionDays: -1 }),
  };
  return Object.fromEntries(Object.entries(made).map(([name, make]) => [name, refusalOf(make)]));
}

function badMirrors<T extends CloudTypes>(cloud: CloudFixture<T>): Record<string, () => unknown> {
  const { place, mirror, existingRepository: existing } = cloud;
  const { ImageRepository } = cloud.components;
  const elsewhere = () => new ImageRepository('bad-place', { ...place, existing });
  return {
    'bad-place': () => elsewhere().imageByDigest(IMAGE_DIGEST, { region: mirror.region }),
    'bad-mirrors': () => new ImageRepository('bad-mirrors', { ...place, replicateTo: [mirror.to, mirror.to] }),
    'bad-mirror': () => new ImageRepository('bad-mirror', { ...place, replicateTo: [mirror.to], existing }),
  };
}
