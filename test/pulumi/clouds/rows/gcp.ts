import { expect, test } from 'vitest';
import { findResource, propertyAt, type Properties } from 'slipway/testing';
import { GCP_INSTANCES } from '../../../../runtime/spec/instance-catalog/gcp';
import { acceleratorOf } from '../../../../pulumi/gcp/accelerators';
import { gcpInvoke, gcpState } from '../../../support/pulumi-gcp';
import type { CloudUnderTest } from '../cloud-under-test';
import { only, typesOf } from '../reading';

const NODE_POOL = 'gcp:container/nodePool:NodePool';

export const gcp: CloudUnderTest = {
  cloud: 'gcp',
  onResource: gcpState,
  onInvoke: gcpInvoke,
  // Plain HTTP is refused by an organization policy for a whole project, not by a bucket.
  lacks: ['TLS switch'],
  package: 'gcp',
  untaggable: [
    'gcp:projects/iAMMember:IAMMember',
    'gcp:serviceaccount/account:Account',
    'gcp:storage/bucketIAMMember:BucketIAMMember',
    'gcp:storage/bucketObject:BucketObject',
  ],
  tagsOf: ({ inputs }) =>
    (inputs['labels'] ?? inputs['resourceLabels'] ?? propertyAt(inputs, 'nodeConfig.resourceLabels')) as
      Properties | undefined,

  nodePool(children) {
    const { inputs, ignoreChanges } = only(children, NODE_POOL);
    const config = inputs['nodeConfig'] as Properties;
    return {
      labels: config['labels'] as Record<string, string>,
      taints: (config['taints'] as unknown as { key: string; value: string; effect: string }[]).map((taint) => ({
        ...taint,
        effect: taint.effect === 'NO_SCHEDULE' ? 'NoSchedule' : taint.effect,
      })),
      minSize: propertyAt(inputs, 'autoscaling.totalMinNodeCount') as number,
      maxSize: propertyAt(inputs, 'autoscaling.totalMaxNodeCount') as number,
      isSpot: config['spot'] === true,
      diskSizeGiB: config['diskSizeGb'] as number,
      ignored: ignoreChanges,
      closesMetadata: propertyAt(config, 'workloadMetadataConfig.mode') === 'GKE_METADATA',
      // Compute Engine has no disk that is not encrypted.
      encryptsDisks: true,
    };
  },
  countProperties: ['initialNodeCount', 'nodeCount'],

  repository(children) {
    const { inputs } = only(children, 'gcp:artifactregistry/repository:Repository');
    const policies = inputs['cleanupPolicies'] as unknown as Properties[];
    const untagged = policies.find(
      (policy) => policy['action'] === 'DELETE' && propertyAt(policy, 'condition.tagState') === 'UNTAGGED',
    );
    const olderThan = untagged && (propertyAt(untagged, 'condition.olderThan') as string);
    return {
      hasImmutableTags: propertyAt(inputs, 'dockerConfig.immutableTags') === true,
      scansImages: propertyAt(inputs, 'vulnerabilityScanningConfig.enablementConfig') === 'INHERITED',
      untaggedDays:
        olderThan === undefined || inputs['cleanupPolicyDryRun'] !== false
          ? undefined
          : parseInt(olderThan, 10) / 86_400,
      encryptionKey: inputs['kmsKeyName'],
    };
  },

  mirrors: (children) =>
    typesOf(children, 'gcp:artifactregistry/repository:Repository')
      .filter(
        ({ inputs }) =>
          inputs['mode'] === 'REMOTE_REPOSITORY' &&
          propertyAt(inputs, 'remoteRepositoryConfig.commonRepository.uri') ===
            'projects/team-vision/locations/europe-west4/repositories/mirrored-dev',
      )
      .map(({ inputs }) => inputs['location'] as string),
  mirrorRegion: 'asia-east1',
  mirrorUri: 'asia-east1-docker.pkg.dev/team-vision/mirrored-dev/slipway',

  bucket(children) {
    const { inputs } = only(children, 'gcp:storage/bucket:Bucket');
    const rules = inputs['lifecycleRules'] as unknown as Properties[];
    const cleanUp = rules.find((rule) => propertyAt(rule, 'condition.withState') === 'ARCHIVED')!;
    return {
      isClosedToPublic: inputs['publicAccessPrevention'] === 'enforced' && inputs['uniformBucketLevelAccess'] === true,
      // Cloud Storage has no object that is not encrypted.
      isEncrypted: true,
      encryptionKey: propertyAt(inputs, 'encryption.defaultKmsKeyName'),
      isTlsOnly: false,
      isVersioned: propertyAt(inputs, 'versioning.enabled') === true,
      noncurrentVersionDays: propertyAt(cleanUp, 'condition.daysSinceNoncurrentTime') as number,
      deletesObjects: inputs['forceDestroy'] === true,
    };
  },
  objectKeys: (children) =>
    typesOf(children, 'gcp:storage/bucketObject:BucketObject').map(({ inputs }) => inputs['name'] as string),

  identity(children) {
    const members = typesOf(children, 'gcp:storage/bucketIAMMember:BucketIAMMember').map(({ inputs }) => inputs);
    const conditions = members.map((member) => CONDITION.exec(propertyAt(member, 'condition.expression') as string));
    const [principal, ...others] = new Set(members.map(({ member }) => member as string));
    const subject = PRINCIPAL.exec(principal!)!;
    if (others.length > 0) throw new Error(`expected one principal, got ${principal} and ${others.join(', ')}`);
    return {
      prefixes: conditions.map((condition) => condition?.groups?.['prefix'] ?? ''),
      // Lists are asked of the bucket, so a condition on objects alone lets none of them.
      mayList: conditions.some((condition) => condition === null),
      mayWrite: members.some(({ role }) => role !== 'roles/storage.objectViewer'),
      namespace: subject.groups!['namespace']!,
      serviceAccount: subject.groups!['account']!,
    };
  },
  egress: ['169.254.169.254/32:80', '169.254.169.252/32:988'],
  bucketUri: (name) => (name === 'existing' ? 'gs://team-models/' : `gs://${name}-1a2b3c/`),

  firstMachines: NODE_POOL,
  cluster(children) {
    const { inputs } = only(children, 'gcp:container/cluster:Cluster');
    const system = only(children, NODE_POOL).inputs;
    return {
      hasPrivateEndpoint: propertyAt(inputs, 'privateClusterConfig.enablePrivateNodes') === true,
      hasPublicEndpoint: propertyAt(inputs, 'privateClusterConfig.enablePrivateEndpoint') !== true,
      encryptsSecrets: propertyAt(inputs, 'databaseEncryption.state') === 'ENCRYPTED',
      hasWorkloadIdentity:
        propertyAt(inputs, 'workloadIdentityConfig.workloadPool') !== undefined &&
        propertyAt(system, 'nodeConfig.workloadMetadataConfig.mode') === 'GKE_METADATA',
      logsControlPlane: (propertyAt(inputs, 'loggingConfig.enableComponents') as string[]).includes('APISERVER'),
      isProtectedFromDeletion: inputs['deletionProtection'] === true,
      enforcesNetworkPolicies: inputs['datapathProvider'] === 'ADVANCED_DATAPATH',
    };
  },

  furtherTests(recordings) {
    const up = () => recordings().up;

    test('every machine type of the catalogue has a GPU that Compute Engine knows', () => {
      for (const type of Object.keys(GCP_INSTANCES)) expect(acceleratorOf(type)).toMatch(/^nvidia-[a-z0-9-]+$/);
    });

    test('machines have a driver, a verified start and an account with no right but those of a node', () => {
      const { inputs } = findResource(up(), NODE_POOL, 'one');
      expect(propertyAt(inputs, 'nodeConfig.guestAccelerators[0]')).toEqual({
        type: 'nvidia-l4',
        count: 1,
        gpuDriverInstallationConfig: { gpuDriverVersion: 'DEFAULT' },
      });
      expect(propertyAt(inputs, 'nodeConfig.shieldedInstanceConfig')).toEqual({
        enableSecureBoot: true,
        enableIntegrityMonitoring: true,
      });
      expect(propertyAt(inputs, 'nodeConfig.serviceAccount')).toBe('one-1a2b3c@team-vision.iam.gserviceaccount.com');
      const rights = up().resources.filter(
        ({ name, type }) => type.includes('IAMMember') && /^one-(node|pull)$/.test(name),
      );
      expect(rights.map(({ inputs: { role } }) => role)).toEqual([
        'roles/container.defaultNodeServiceAccount',
        'roles/artifactregistry.reader',
      ]);
    });

    test('time slices and parts of a GPU are asked of the pool, and the placement says how many', () => {
      const shared = findResource(up(), NODE_POOL, 'guarded').inputs;
      expect(propertyAt(shared, 'nodeConfig.guestAccelerators[0].gpuSharingConfig')).toEqual({
        gpuSharingStrategy: 'TIME_SHARING',
        maxSharedClientsPerGpu: 4,
      });
      const parts = findResource(up(), NODE_POOL, 'parts').inputs;
      expect(propertyAt(parts, 'nodeConfig.guestAccelerators[0]')).toMatchObject({
        type: 'nvidia-tesla-a100',
        gpuPartitionSize: '1g.5gb',
      });
      expect(parts['nodeLocations']).toEqual(['europe-west4-b']);
      expect(up().stackOutputs['partsPlacement']).toMatchObject({
        gpuResourceName: 'nvidia.com/gpu',
        sharesPerGpu: 7,
        gpuMemoryMiB: 4529,
        maxGpus: 1,
      });
    });

    test("pods are known by the project's number and its pool's id, of a project that was looked up too", () => {
      const member = (name: string) =>
        findResource(up(), 'gcp:storage/bucketIAMMember:BucketIAMMember', name).inputs['member'];
      const pool = 'projects/123456789012/locations/global/workloadIdentityPools/team-vision.svc.id.goog';
      expect(member('one-read/one/digits')).toBe(`principal://iam.googleapis.com/${pool}/subject/ns/inference/sa/one`);
      expect(member('late-read/late/digits')).toBe(`principal://iam.googleapis.com/${pool}/subject/ns/late-id/sa/web`);
    });

    test('a model of two buckets is read from both', () => {
      const member = (name: string) => findResource(up(), 'gcp:storage/bucketIAMMember:BucketIAMMember', name).inputs;
      expect(member('moving-read/models/digits')['bucket']).toBe('team-models');
      expect(member('moving-read/moved/digits')['bucket']).toBe('other-models');
    });

    test('a group begins with no more machines than it must have, though Google counts the first ones in each zone', () => {
      const first = (name: string) => findResource(up(), NODE_POOL, name).inputs['initialNodeCount'];
      expect(first('in-two-zones')).toBe(1);
      expect(first('in-a-zone')).toBe(2);
      expect(first('in-a-region')).toBe(0);
    });

    test('the port of the kubelet that asks nobody who they are is closed on every machine', () => {
      const pools = up().resources.filter(({ type }) => type === NODE_POOL);
      const open = pools.filter(
        ({ inputs }) => propertyAt(inputs, 'nodeConfig.kubeletConfig.insecureKubeletReadonlyPortEnabled') !== 'FALSE',
      );
      expect(open.map(({ name }) => name)).toEqual([]);
    });

    test('an account of Google that is there already is named to the pods, and gets no further right', () => {
      expect(up().stackOutputs['impersonatingBinding']).toMatchObject({
        serviceAccountAnnotations: { 'iam.gke.io/gcp-service-account': 'readers@team-vision.iam.gserviceaccount.com' },
      });
      expect(up().resources.filter(({ name, custom }) => custom && name.startsWith('impersonating'))).toEqual([]);
    });
  },
};

const CONDITION =
  /^resource\.type == "storage\.googleapis\.com\/Object" && resource\.name\.startsWith\("projects\/_\/buckets\/[^/]+\/objects\/(?<prefix>[^"]+)"\)$/;
const PRINCIPAL = /\/subject\/ns\/(?<namespace>[^/]+)\/sa\/(?<account>[^/]+)$/;
