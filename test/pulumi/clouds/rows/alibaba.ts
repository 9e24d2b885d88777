import { expect, test } from 'vitest';
import { findDescendants, findResource, findResources, propertyAt, type Properties } from 'slipway/testing';
import { ossClientOptions, ossIdentities } from '../../../../runtime/sources/oss-source';
import { alibabaInvoke, alibabaState } from '../../../support/pulumi-alibaba';
import type { CloudUnderTest } from '../cloud-under-test';
import { only, typesOf } from '../reading';

const NODE_POOL = 'alicloud:cs/nodePool:NodePool';

export const alibaba: CloudUnderTest = {
  cloud: 'alibaba',
  onResource: alibabaState,
  onInvoke: alibabaInvoke,
  lacks: ['untagged clean-up', 'image key', 'closed metadata'],
  package: 'alicloud',
  untaggable: [
    'alicloud:cr/scanRule:ScanRule',
    'alicloud:cs/autoscalingConfig:AutoscalingConfig',
    'alicloud:cs/kubernetesAddon:KubernetesAddon',
    'alicloud:cs/registryEnterpriseNamespace:RegistryEnterpriseNamespace',
    'alicloud:cs/registryEnterpriseRepo:RegistryEnterpriseRepo',
    'alicloud:cs/registryEnterpriseSyncRule:RegistryEnterpriseSyncRule',
    'alicloud:oss/bucketAcl:BucketAcl',
    'alicloud:oss/bucketHttpsConfig:BucketHttpsConfig',
    'alicloud:oss/bucketObject:BucketObject',
    'alicloud:oss/bucketPolicy:BucketPolicy',
    'alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock',
    'alicloud:oss/bucketServerSideEncryption:BucketServerSideEncryption',
    'alicloud:oss/bucketVersioning:BucketVersioning',
    'alicloud:ram/rolePolicyAttachment:RolePolicyAttachment',
  ],
  tagsOf: ({ inputs }) => inputs['tags'] as Properties | undefined,

  nodePool(children) {
    const { inputs, ignoreChanges } = only(children, NODE_POOL);
    const labels = inputs['labels'] as unknown as { key: string; value: string }[];
    return {
      labels: Object.fromEntries(labels.map(({ key, value }) => [key, value])),
      taints: inputs['taints'] as unknown as { key: string; value: string; effect: string }[],
      minSize: propertyAt(inputs, 'scalingConfig.minSize') as number,
      maxSize: propertyAt(inputs, 'scalingConfig.maxSize') as number,
      isSpot: inputs['spotStrategy'] === 'SpotAsPriceGo',
      diskSizeGiB: inputs['systemDiskSize'] as number,
      ignored: ignoreChanges,
      // A pod can ask for a token, too; the service's network policy is what closes it.
      closesMetadata: false,
      encryptsDisks: inputs['systemDiskEncrypted'] === true,
    };
  },
  countProperties: ['desiredSize'],

  repository(children) {
    const { inputs } = only(children, 'alicloud:cs/registryEnterpriseRepo:RegistryEnterpriseRepo');
    const namespace = only(children, 'alicloud:cs/registryEnterpriseNamespace:RegistryEnterpriseNamespace').inputs;
    const scan = only(children, 'alicloud:cr/scanRule:ScanRule').inputs;
    return {
      hasImmutableTags: inputs['tagImmutability'] === true && namespace['autoCreate'] === false,
      scansImages: scan['triggerType'] === 'AUTO' && scan['scanType'] === 'VUL',
      untaggedDays: undefined,
      encryptionKey: undefined,
    };
  },

  mirrors: (children) =>
    typesOf(children, 'alicloud:cs/registryEnterpriseSyncRule:RegistryEnterpriseSyncRule')
      .filter(
        ({ inputs }) =>
          inputs['instanceId'] === 'cri-team' &&
          inputs['repoName'] === 'slipway' &&
          inputs['syncTrigger'] === 'PASSIVE' &&
          inputs['targetInstanceId'] === 'cri-shanghai' &&
          inputs['targetNamespaceName'] === 'images' &&
          inputs['targetRepoName'] === 'slipway',
      )
      .map(({ inputs }) => inputs['targetRegionId'] as string),
  mirrorRegion: 'cn-shanghai',
  mirrorUri: 'east-registry-vpc.cn-shanghai.cr.aliyuncs.com/images/slipway',

  bucket(children) {
    const child = (type: string) => only(children, `alicloud:oss/${type}`).inputs;
    const bucket = child('bucket:Bucket');
    const atRest = child('bucketServerSideEncryption:BucketServerSideEncryption');
    const https = child('bucketHttpsConfig:BucketHttpsConfig');
    const { Statement } = JSON.parse(child('bucketPolicy:BucketPolicy')['policy'] as string);
    const name = child('bucketPolicy:BucketPolicy')['bucket'] as string;
    return {
      isClosedToPublic:
        child('bucketPublicAccessBlock:BucketPublicAccessBlock')['blockPublicAccess'] === true &&
        child('bucketAcl:BucketAcl')['acl'] === 'private',
      isEncrypted: ['AES256', 'KMS'].includes(atRest['sseAlgorithm'] as string),
      encryptionKey: atRest['kmsMasterKeyId'],
      isTlsOnly:
        https['enable'] === true &&
        JSON.stringify(https['tlsVersions']) === '["TLSv1.2","TLSv1.3"]' &&
        Statement.some(
          ({ Effect, Principal, Action, Resource, Condition }: any) =>
            Effect === 'Deny' &&
            Principal[0] === '*' &&
            Action[0] === 'oss:*' &&
            Resource[1] === `acs:oss:*:*:${name}/*` &&
            Condition.Bool['acs:SecureTransport'][0] === 'false',
        ),
      isVersioned: child('bucketVersioning:BucketVersioning')['status'] === 'Enabled',
      noncurrentVersionDays: propertyAt(bucket, 'lifecycleRules[0].noncurrentVersionExpirations[0].days') as number,
      deletesObjects: bucket['forceDestroy'] === true,
    };
  },
  objectKeys: (children) =>
    typesOf(children, 'alicloud:oss/bucketObject:BucketObject').map(({ inputs }) => inputs['key'] as string),

  identity(children) {
    const { Statement } = JSON.parse(
      only(children, 'alicloud:ram/policy:Policy').inputs['policyDocument'] as string,
    ) as { Statement: { Action: string[]; Resource: string[] }[] };
    const ofBucket = Statement.filter(({ Action }) => Action.some((action) => action.startsWith('oss:')));
    const actions = ofBucket.flatMap(({ Action }) => Action);
    const role = only(children, 'alicloud:ram/role:Role').inputs;
    const [trust] = JSON.parse(role['assumeRolePolicyDocument'] as string).Statement;
    const [, namespace, serviceAccount] = SUBJECT.exec(trust.Condition.StringEquals['oidc:sub'])!;
    return {
      prefixes: ofBucket
        .flatMap(({ Resource }) => Resource)
        .map((resource) => resource.replace(/^acs:oss:\*:\*:[^/]*\/(.*)\*$/, '$1')),
      mayList: actions.some((action) => /List|\*/.test(action)),
      mayWrite: actions.some((action) => !/^oss:Get/.test(action)),
      namespace: namespace!,
      serviceAccount: serviceAccount!,
    };
  },
  // STS is asked over HTTPS, like the bucket.
  egress: [],
  bucketUri: (name) => (name === 'existing' ? 'oss://team-models/' : `oss://${name}-1a2b3c/`),

  firstMachines: NODE_POOL,
  cluster(children) {
    const { inputs } = only(children, 'alicloud:cs/managedKubernetes:ManagedKubernetes');
    const addons = inputs['addons'] as unknown as { name: string; config?: string; disabled?: boolean }[];
    const network = addons.find(({ name }) => name === 'terway-eniip')!;
    const webhook = typesOf(children, 'alicloud:cs/kubernetesAddon:KubernetesAddon').map((addon) => addon.inputs);
    const ingress = addons.find(({ name }) => name === 'nginx-ingress-controller');
    return {
      hasPrivateEndpoint: true,
      hasPublicEndpoint: inputs['slbInternetEnabled'] !== false || ingress?.disabled !== true,
      encryptsSecrets: inputs['encryptionProviderKey'] !== undefined && inputs['disableEncryption'] === false,
      hasWorkloadIdentity:
        inputs['enableRrsa'] === true && webhook.some(({ name }) => name === 'ack-pod-identity-webhook'),
      logsControlPlane:
        (inputs['controlPlaneLogComponents'] as string[]).includes('apiserver') &&
        propertyAt(inputs, 'auditLogConfig.enabled') === true,
      isProtectedFromDeletion: inputs['deletionProtection'] === true,
      enforcesNetworkPolicies: JSON.parse(network.config!).NetworkPolicy === 'true',
    };
  },

  furtherTests(recordings) {
    const up = () => recordings().up;

    test('machines ask for metadata by token, are repaired, and have the driver and the key that they were given', () => {
      const machines = findResource(up(), NODE_POOL, 'driven').inputs;
      expect(machines).toMatchObject({
        imageType: 'AliyunLinux3',
        systemDiskCategory: 'cloud_essd',
        systemDiskKmsKey: 'key-hzz-abc',
        instanceMetadataOptions: { httpTokens: 'required' },
        management: { enable: true, autoRepair: true, maxUnavailable: 1 },
        spotStrategy: 'NoSpot',
        keyName: 'operators',
        scalingConfig: { enable: true, type: 'gpu' },
      });
      expect(machines['labels']).toContainEqual({ key: 'ack.aliyun.com/nvidia-driver-version', value: '580.126.09' });
      for (const pool of findResources(up(), NODE_POOL)) {
        expect(propertyAt(pool.inputs, 'instanceMetadataOptions.httpTokens')).toBe('required');
        expect(pool.inputs['systemDiskEncrypted']).toBe(true);
      }
    });

    test('the autoscaler is configured with a cluster, from zero, and never by a group', () => {
      const configs = findResources(up(), 'alicloud:cs/autoscalingConfig:AutoscalingConfig');
      expect(configs.map(({ name }) => name).sort()).toEqual(['guarded', 'platform']);
      for (const { inputs, parent } of configs) {
        expect(parent).toContain('slipway:alibaba:Cluster');
        expect(inputs).toMatchObject({ scaleUpFromZero: true, skipNodesWithLocalStorage: false });
      }
    });

    test('no key of a cluster gets into the state: the kubeconfig asks for one', () => {
      const cluster = findResource(up(), 'alicloud:cs/managedKubernetes:ManagedKubernetes', 'platform');
      expect(cluster.inputs['skipSetCertificateAuthority']).toBe(true);
      expect(JSON.stringify(up().stackOutputs['kubeconfig'])).toContain('ack-ram-tool');
      const { resources, outputs, stackOutputs } = up();
      expect(JSON.stringify([resources, outputs, stackOutputs])).not.toContain('a2V5');
    });

    test('a role trusts tokens of one service account of one cluster, signed for STS', () => {
      const trust = findResource(up(), 'alicloud:ram/role:Role', 'one').inputs['assumeRolePolicyDocument'] as string;
      expect(JSON.parse(trust).Statement).toEqual([
        {
          Effect: 'Allow',
          Action: 'sts:AssumeRole',
          Principal: { Federated: ['acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1'] },
          Condition: {
            StringEquals: {
              'oidc:aud': 'sts.aliyuncs.com',
              'oidc:iss': 'https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c1',
              'oidc:sub': 'system:serviceaccount:inference:one',
            },
          },
        },
      ]);
    });

    test("readers of a bucket with the author's key may decrypt by it, and objects are encrypted by it", () => {
      const document = findResource(up(), 'alicloud:ram/policy:Policy', 'one').inputs['policyDocument'] as string;
      expect(JSON.parse(document).Statement[1]).toEqual({
        Effect: 'Allow',
        Action: ['kms:Decrypt'],
        Resource: ['acs:kms:*:*:key/key-hzz-abc'],
      });
      expect(
        findResource(up(), 'alicloud:oss/bucketObject:BucketObject', 'one-digits-3-model.onnx').inputs,
      ).toMatchObject({ serverSideEncryption: 'KMS', kmsKeyId: 'key-hzz-abc' });
    });

    test('the webhook finds role and namespace, and pods have nothing without their token', () => {
      const account = findResource(up(), 'kubernetes:core/v1:ServiceAccount', 'one').inputs;
      expect(propertyAt(account, 'metadata.annotations')).toMatchObject({
        'pod-identity.alibabacloud.com/role-name': expect.stringMatching(/^one-[0-9a-f]{8}$/),
      });
      expect(
        propertyAt(findResource(up(), 'kubernetes:core/v1:Namespace', 'one').inputs, 'metadata.labels'),
      ).toMatchObject({
        'pod-identity.alibabacloud.com/injection': 'on',
      });
      expect(up().stackOutputs['nearBinding']).toMatchObject({
        environment: { ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true' },
      });
    });

    test('models of the region of the cluster are fetched by the internal network, others by the public one', () => {
      expect(up().stackOutputs['nearBinding']).toMatchObject({
        serviceAccountAnnotations: { 'pod-identity.alibabacloud.com/role-name': 'readers' },
        environment: {
          OSS_REGION: 'cn-hangzhou',
          OSS_ENDPOINT: 'https://s3.oss-cn-hangzhou-internal.aliyuncs.com',
          ALIBABA_CLOUD_STS_REGION: 'cn-hangzhou',
          ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED: 'true',
        },
      });
      expect(up().stackOutputs['farBinding']).toMatchObject({
        environment: { OSS_REGION: 'cn-beijing', OSS_ENDPOINT: 'https://s3.oss-cn-beijing.aliyuncs.com' },
      });
      const { environment } = up().stackOutputs['nearBinding'] as unknown as { environment: Record<string, string> };
      expect(ossClientOptions(environment).endpoint).toBe('https://s3.oss-cn-hangzhou-internal.aliyuncs.com');
      expect(ossIdentities(environment, false)).toEqual([]);
      const { urn } = findResource(up(), 'slipway:alibaba:WorkloadIdentity', 'near');
      expect(findDescendants(up(), urn)).toEqual([]);
    });

    test('an instance is bought where somebody asks for one, and never given back', () => {
      const instances = findResources(up(), 'alicloud:cr/registryEnterpriseInstance:RegistryEnterpriseInstance');
      expect(instances).toHaveLength(1);
      expect(instances[0]).toMatchObject({
        name: 'bought',
        retainOnDelete: true,
        inputs: { instanceType: 'Advanced', paymentType: 'Subscription', period: 12, renewalStatus: 'AutoRenewal' },
      });
      expect(up().stackOutputs).toMatchObject({
        boughtUri: 'team-registry-vpc.cn-hangzhou.cr.aliyuncs.com/bought-dev/slipway',
        boughtPublicUri: 'team-registry.cn-hangzhou.cr.aliyuncs.com/bought-dev/slipway',
      });
    });

    test('what only this cloud asks for is refused in one line, too', () => {
      expect(up().stackOutputs['further']).toEqual({
        'bad-disk-2': 'NUMBER_INVALID diskSizeGiB: a disk of this cloud has 2048 at most, got 4096',
        'bad-registry': 'REGISTRY_CHOICE instanceId: give one of instanceId, subscription and existing, got none',
        'bad-registries':
          'REGISTRY_CHOICE instanceId: give one of instanceId, subscription and existing, got instanceId and subscription',
        'bad-months': 'NUMBER_INVALID subscription.months: must be one of 1, 2, 3, 6, 12, got 5',
        'bad-nodes': 'NUMBER_INVALID systemNodes: must be a number from 2 to 100, got 1',
      });
    });
  },
};

const SUBJECT = /^system:serviceaccount:([^:]+):([^:]+)$/;
