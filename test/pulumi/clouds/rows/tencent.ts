import { expect, test } from 'vitest';
import { findDescendants, findResource, findResources, isSecret, propertyAt, type Properties } from 'slipway/testing';
import { cosClientOptions } from '../../../../runtime/sources/cos-source';
import { shortHash } from '../../../../runtime/spec/short-hash';
import { tencentInvoke, tencentState } from '../../../support/pulumi-tencent';
import type { CloudUnderTest } from '../cloud-under-test';
import { only, typesOf } from '../reading';

const CLUSTER = 'tencentcloud:index/kubernetesCluster:KubernetesCluster';
const NODE_POOL = 'tencentcloud:index/kubernetesNodePool:KubernetesNodePool';

export const tencent: CloudUnderTest = {
  cloud: 'tencent',
  onResource: tencentState,
  onInvoke: tencentInvoke,
  lacks: ['untagged clean-up', 'image key', 'public access block', 'closed metadata'],
  package: 'tencentcloud',
  untaggable: [
    'tencentcloud:index/camPolicy:CamPolicy',
    'tencentcloud:index/camRolePolicyAttachment:CamRolePolicyAttachment',
    'tencentcloud:index/cosBucketObject:CosBucketObject',
    'tencentcloud:index/cosBucketPolicy:CosBucketPolicy',
    'tencentcloud:index/kubernetesAddon:KubernetesAddon',
    'tencentcloud:index/kubernetesAuthAttachment:KubernetesAuthAttachment',
    'tencentcloud:index/kubernetesClusterEndpoint:KubernetesClusterEndpoint',
    'tencentcloud:index/kubernetesEncryptionProtection:KubernetesEncryptionProtection',
    'tencentcloud:index/tcrNamespace:TcrNamespace',
    'tencentcloud:index/tcrReplication:TcrReplication',
    'tencentcloud:index/tcrRepository:TcrRepository',
  ],
  tagsOf: ({ inputs }) => inputs['tags'] as Properties | undefined,

  nodePool(children) {
    const { inputs, ignoreChanges } = only(children, NODE_POOL);
    const [disk] = propertyAt(inputs, 'autoScalingConfig.dataDisks') as unknown as [Properties];
    const [mounted] = propertyAt(inputs, 'nodeConfig.dataDisks') as unknown as [Properties];
    return {
      labels: inputs['labels'] as Record<string, string>,
      taints: inputs['taints'] as unknown as { key: string; value: string; effect: string }[],
      minSize: inputs['minSize'] as number,
      maxSize: inputs['maxSize'] as number,
      isSpot: propertyAt(inputs, 'autoScalingConfig.instanceChargeType') === 'SPOTPAID',
      diskSizeGiB: disk['diskSize'] as number,
      ignored: ignoreChanges,
      // Machines answer every pod; the service's network policy is what closes it.
      closesMetadata: false,
      // The disk that containers and models lie on; the system's cannot be.
      encryptsDisks:
        disk['encrypt'] === true && mounted['mountTarget'] === propertyAt(inputs, 'nodeConfig.dockerGraphPath'),
    };
  },
  countProperties: ['desiredCapacity'],

  repository(children) {
    const namespace = only(children, 'tencentcloud:index/tcrNamespace:TcrNamespace').inputs;
    const { rule } = only(children, 'tencentcloud:index/tcrImmutableTagRule:TcrImmutableTagRule').inputs as any;
    return {
      hasImmutableTags:
        rule.repositoryPattern === '**' &&
        rule.repositoryDecoration === 'repoMatches' &&
        rule.tagPattern === '**' &&
        rule.tagDecoration === 'matches' &&
        rule.disabled === false,
      scansImages: namespace['isAutoScan'] === true && namespace['isPublic'] === false,
      untaggedDays: undefined,
      encryptionKey: undefined,
    };
  },

  mirrors: (children) =>
    typesOf(children, 'tencentcloud:index/tcrReplication:TcrReplication')
      .filter(
        ({ inputs }) => inputs['sourceRegistryId'] === 'tcr-team' && inputs['destinationRegistryId'] === 'tcr-east',
      )
      .filter(({ inputs }) => {
        const rule = inputs['rule'] as unknown as Properties;
        const filters = [{ type: 'name', value: 'mirrored-dev/slipway' }];
        return (
          rule['destNamespace'] === 'images' &&
          rule['override'] === false &&
          rule['deletion'] === false &&
          JSON.stringify(rule['filters']) === JSON.stringify(filters)
        );
      })
      .map(({ inputs }) => `number ${inputs['destinationRegionId'] as number}`),
  // Shanghai, as TCR counts regions.
  mirrorRegion: 'number 4',
  mirrorUri: 'east.tencentcloudcr.com/images/slipway',

  bucket(children) {
    const bucket = only(children, 'tencentcloud:index/cosBucket:CosBucket').inputs;
    const policy = only(children, 'tencentcloud:index/cosBucketPolicy:CosBucketPolicy').inputs;
    const { Statement } = JSON.parse(policy['policy'] as string);
    return {
      isClosedToPublic: false,
      isEncrypted: ['AES256', 'KMS'].includes(bucket['encryptionAlgorithm'] as string),
      encryptionKey: bucket['kmsId'],
      isTlsOnly: Statement.some(
        ({ Effect, Principal, Action, Resource, Condition }: any) =>
          Effect === 'deny' &&
          Principal.qcs[0] === 'qcs::cam::anyone:anyone' &&
          Action[0] === 'name/cos:*' &&
          Resource[0] === `qcs::cos:ap-guangzhou:uid/1250000000:${bucket['bucket'] as string}/*` &&
          Condition.bool['qcs:secure_transport'] === 'false',
      ),
      isVersioned: bucket['versioningEnable'] === true,
      noncurrentVersionDays: propertyAt(bucket, 'lifecycleRules[0].nonCurrentExpiration.nonCurrentDays') as number,
      deletesObjects: bucket['forceClean'] === true,
    };
  },
  objectKeys: (children) =>
    typesOf(children, 'tencentcloud:index/cosBucketObject:CosBucketObject').map(
      ({ inputs }) => inputs['key'] as string,
    ),

  identity(children) {
    const policy = only(children, 'tencentcloud:index/camPolicy:CamPolicy').inputs['document'] as string;
    const { statement } = JSON.parse(policy) as { statement: { action: string[]; resource: string[] }[] };
    const actions = statement.flatMap(({ action }) => action);
    const role = only(children, 'tencentcloud:index/camRole:CamRole').inputs;
    const [trust] = JSON.parse(role['document'] as string).statement;
    const [, namespace, serviceAccount] = SUBJECT.exec(trust.condition.string_equal['oidc:sub'][0])!;
    return {
      prefixes: statement
        .flatMap(({ resource }) => resource)
        .map((resource) => resource.replace(/^qcs::cos:[^:]*:uid\/\d+:[^/]*\/(.*)\*$/, '$1')),
      mayList: actions.some((action) => /GetBucket|\*/.test(action)),
      mayWrite: actions.some((action) => !/^name\/cos:(Get|Head)Object$/.test(action)),
      namespace: namespace!,
      serviceAccount: serviceAccount!,
    };
  },
  // STS is asked over HTTPS, like the bucket.
  egress: [],
  bucketUri: (name) =>
    name === 'existing'
      ? 'cos://team-models-1250000000/'
      : `cos://${name}-${shortHash(`project/dev/${name}`)}-1250000000/`,

  firstMachines: NODE_POOL,
  cluster(children) {
    const of = (kind: string) => {
      const type = `tencentcloud:index/${kind.charAt(0).toLowerCase()}${kind.slice(1)}:${kind}`;
      return only(children, type).inputs;
    };
    const cluster = of('KubernetesCluster');
    const endpoint = of('KubernetesClusterEndpoint');
    const identities = of('KubernetesAuthAttachment');
    const key = propertyAt(of('KubernetesEncryptionProtection'), 'kmsConfiguration') as unknown as Properties;
    return {
      hasPrivateEndpoint: endpoint['clusterIntranet'] === true && endpoint['clusterIntranetSubnetId'] === 'subnet-a',
      hasPublicEndpoint: endpoint['clusterInternet'] !== false || cluster['clusterInternet'] === true,
      encryptsSecrets: key['keyId'] === 'key-abc' && key['kmsRegion'] === 'ap-guangzhou',
      hasWorkloadIdentity:
        identities['useTkeDefault'] === true &&
        identities['autoCreateOidcConfig'] === true &&
        identities['autoInstallPodIdentityWebhookAddon'] === true &&
        JSON.stringify(identities['autoCreateClientIds']) === '["sts.cloud.tencent.com"]',
      logsControlPlane:
        propertyAt(cluster, 'clusterAudit.enabled') === true &&
        propertyAt(cluster, 'eventPersistence.enabled') === true,
      isProtectedFromDeletion: cluster['deletionProtection'] === true,
      enforcesNetworkPolicies: of('KubernetesAddon')['addonName'] === 'networkpolicy',
    };
  },

  furtherTests(recordings) {
    const up = () => recordings().up;

    test('every resource is one of the package that Pulumi makes of the Terraform provider', () => {
      const ours = up().resources.filter(({ type }) => /^(pulumi:providers:)?tencentcloud/.test(type));
      expect(ours.length).toBeGreaterThan(20);
      expect([...new Set(ours.map(({ packageRef }) => packageRef))]).toEqual([
        'terraform-provider@1.4.0 tencentcloud@1.83.25 ' +
          '{"remote":{"url":"registry.opentofu.org/tencentcloudstack/tencentcloud","version":"1.83.25"}}',
      ]);
      expect(
        ours.filter(({ type }) => !/^(pulumi:providers:tencentcloud|tencentcloud:index\/([a-z]\w+):\w+)$/.test(type)),
      ).toEqual([]);
    });

    test('spot machines have a price, others none; machines and their disks go with the pool', () => {
      const spot = findResource(up(), NODE_POOL, 'one').inputs;
      expect(spot['autoScalingConfig']).toMatchObject({
        instanceChargeType: 'SPOTPAID',
        spotInstanceType: 'one-time',
        spotMaxPrice: '8.50',
        publicIpAssigned: false,
        dataDisks: [{ encrypt: true, deleteWithInstance: true }],
      });
      expect(spot['deleteKeepInstance']).toBe(false);
      const regular = findResource(up(), NODE_POOL, 'late').inputs['autoScalingConfig'];
      expect(regular).toMatchObject({ instanceChargeType: 'POSTPAID_BY_HOUR' });
      expect(regular).not.toHaveProperty('spotMaxPrice');
    });

    test('MIG and the driver are asked of the pool, and GPUs may have another name', () => {
      expect(propertyAt(findResource(up(), NODE_POOL, 'parts').inputs, 'nodeConfig.gpuArgs')).toEqual({
        migEnable: true,
        driver: { version: '535.161.08' },
      });
      expect(up().stackOutputs['partsPlacement']).toMatchObject({
        gpuResourceName: 'nvidia.com/mig-1g.5gb',
        sharesPerGpu: 7,
      });
      expect(up().stackOutputs['namedPlacement']).toMatchObject({ gpuResourceName: 'tke.cloud.tencent.com/qgpu-core' });
      expect(
        propertyAt(findResource(up(), NODE_POOL, 'named').inputs, 'autoScalingConfig.backupInstanceTypes'),
      ).toEqual(['GN7.2XLARGE32']);
    });

    test("a role asks for tokens of one service account, of the cluster's own issuer", () => {
      const document = findResource(up(), 'tencentcloud:index/camRole:CamRole', 'one').inputs['document'] as string;
      expect(JSON.parse(document).statement).toEqual([
        {
          effect: 'allow',
          action: ['name/sts:AssumeRoleWithWebIdentity'],
          principal: { federated: ['qcs::cam::uin/100000000001:oidc-provider/cls-1'] },
          condition: {
            string_equal: {
              'oidc:iss': ['https://ap-guangzhou-oidc.tke.tencentcs.com/id/1a2b3c'],
              'oidc:aud': ['sts.cloud.tencent.com'],
              'oidc:sub': ['system:serviceaccount:inference:one'],
            },
          },
        },
      ]);
    });

    test('the webhook finds role, audience and term, of a role that is there already too', () => {
      expect(up().stackOutputs['roleBinding']).toMatchObject({
        serviceAccountAnnotations: {
          'tke.cloud.tencent.com/role-arn': 'qcs::cam::uin/100000000001:roleName/readers',
          'tke.cloud.tencent.com/audience': 'sts.cloud.tencent.com',
          'tke.cloud.tencent.com/token-expiration': '86400',
        },
        environment: { COS_REGION: 'ap-guangzhou' },
      });
      expect(cosClientOptions({ COS_REGION: 'ap-guangzhou' }).endpoint).toBe('https://cos.ap-guangzhou.myqcloud.com');
      const { urn } = findResource(up(), 'slipway:tencent:WorkloadIdentity', 'role-is-there');
      expect(findDescendants(up(), urn)).toEqual([]);
    });

    test('buckets are private, in several zones', () => {
      for (const { inputs } of findResources(up(), 'tencentcloud:index/cosBucket:CosBucket')) {
        expect(inputs).toMatchObject({ acl: 'private', multiAz: true });
      }
    });

    test('every machine of a cluster is closed as those of groups are, and there before anything is made of it', () => {
      const pools = findResources(up(), NODE_POOL);
      const system = pools.filter(({ parent }) => parent.includes('slipway:tencent:Cluster'));
      expect(system.map(({ name }) => name).sort()).toEqual(['elsewhere-system', 'guarded-system', 'platform-system']);
      for (const { inputs } of pools) {
        expect(propertyAt(inputs, 'autoScalingConfig')).toMatchObject({
          publicIpAssigned: false,
          orderlySecurityGroupIds: ['sg-1'],
          dataDisks: [{ encrypt: true, deleteWithInstance: true }],
        });
        expect(propertyAt(inputs, 'nodeConfig')).toMatchObject({
          dockerGraphPath: '/var/lib/containerd',
          dataDisks: [{ mountTarget: '/var/lib/containerd', autoFormatAndMount: true }],
        });
      }
      for (const { inputs } of system) {
        expect(inputs).toMatchObject({ enableAutoScale: false, waitNodeReady: true, deleteKeepInstance: false });
        expect(inputs['desiredCapacity']).toBe(inputs['minSize']);
      }
    });

    test('a cluster has the network, the version and the machines of its author', () => {
      expect(findResource(up(), CLUSTER, 'elsewhere').inputs).toMatchObject({
        clusterName: 'elsewhere-dev',
        clusterVersion: '1.32.2',
        vpcId: 'vpc-1',
        networkType: 'VPC-CNI',
        eniSubnetIds: ['subnet-pods'],
        serviceCidr: '10.200.0.0/24',
        clusterMaxServiceNum: 256,
        deletionProtection: false,
      });
      expect(findResource(up(), NODE_POOL, 'elsewhere-system').inputs).toMatchObject({
        subnetIds: ['subnet-a', 'subnet-b'],
        desiredCapacity: 3,
        autoScalingConfig: { instanceType: 'S6.LARGE16' },
      });
      const platform = findResource(up(), CLUSTER, 'platform').inputs;
      expect(platform).toMatchObject({ serviceCidr: '172.21.0.0/20', clusterMaxServiceNum: 4096 });
      expect(platform).not.toHaveProperty('clusterVersion');
      expect(platform).toMatchObject({ eniSubnetIds: ['subnet-a', 'subnet-b'], containerRuntime: 'containerd' });
    });

    test('a cluster without a key has secrets encrypted all the same, by a key that TKE makes', () => {
      const protection = 'tencentcloud:index/kubernetesEncryptionProtection:KubernetesEncryptionProtection';
      expect(findResource(up(), protection, 'elsewhere').inputs).toEqual({
        clusterId: 'cls-elsewhere',
        kmsConfiguration: { kmsRegion: 'ap-guangzhou' },
      });
    });

    test('machines of groups are given back: replicas have scratch space, and the autoscaler does not mind', () => {
      for (const { inputs } of findResources(up(), CLUSTER)) {
        expect(inputs['nodePoolGlobalConfigs']).toMatchObject([
          { isScaleInEnabled: true, skipNodesWithLocalStorage: false, skipNodesWithSystemPods: true },
        ]);
        expect(inputs['autoUpgradeClusterLevel']).toBe(true);
      }
    });

    test('a cluster says whose it is and who issues its tokens, and the key that TKE gives is nowhere in plain sight', () => {
      expect(up().stackOutputs['elsewhereFacts']).toEqual({
        id: 'cls-elsewhere',
        region: 'ap-guangzhou',
        vpcId: 'vpc-1',
        subnetIds: ['subnet-a', 'subnet-b'],
        securityGroupIds: ['sg-1'],
        ownerUin: '100000000001',
        oidcIssuerUrl: 'https://ap-guangzhou-oidc.tke.tencentcs.com/id/elsewhere',
      });
      for (const kind of ['Cluster', 'ClusterEndpoint']) {
        const type = `tencentcloud:index/kubernetes${kind}:Kubernetes${kind}`;
        for (const { additionalSecretOutputs } of findResources(up(), type)) {
          expect(additionalSecretOutputs).toEqual(['kubeConfig', 'kubeConfigIntranet', 'password']);
        }
      }
      expect(isSecret(up().stackOutputs['kubeconfig'])).toBe(true);
    });

    test('what only this cloud asks for is refused in one line, too', () => {
      expect(up().stackOutputs['further']).toEqual({
        'bad-spot':
          "NUMBER_INVALID spotMaxPrice: goes with spot: true, which Tencent Cloud takes with a price alone, as in '8.50'; got none",
        'bad-price':
          "NUMBER_INVALID spotMaxPrice: goes with spot: true, which Tencent Cloud takes with a price alone, as in '8.50'; got 'cheap'",
        'bad-account': "NAME_INVALID appId: must be the number of the account, as in '1250000000', got 'team'",
        'bad-registry': 'REGISTRY_CHOICE registry: give registry or existing, got none',
        'bad-far': expect.stringMatching(
          /^IMAGE_REGION replicateTo\[0\]\.region: got 'ap-atlantis', known: ap-guangzhou, /,
        ),
        'bad-nodes': 'NUMBER_INVALID systemNodes: must be a number from 2 to 100, got 1',
        'bad-services':
          "NUMBER_INVALID serviceCidr: must be a network from /17 to /27, as in '172.21.0.0/20', got '172.21.0.0/28'",
      });
    });
  },
};

const SUBJECT = /^system:serviceaccount:([^:]+):([^:]+)$/;
