import { expect, test } from 'vitest';
import { findDescendants, findResource, findResources, propertyAt, type Properties } from 'slipway/testing';
import { awsInvoke, awsState } from '../../../support/pulumi-aws';
import type { CloudUnderTest } from '../cloud-under-test';
import { only, typesOf } from '../reading';

export const aws: CloudUnderTest = {
  cloud: 'aws',
  onResource: awsState,
  onInvoke: awsInvoke,
  lacks: [],
  package: 'aws',
  untaggable: [
    'aws:autoscaling/tag:Tag',
    'aws:ecr/lifecyclePolicy:LifecyclePolicy',
    'aws:eks/accessPolicyAssociation:AccessPolicyAssociation',
    'aws:iam/rolePolicy:RolePolicy',
    'aws:iam/rolePolicyAttachment:RolePolicyAttachment',
    'aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration',
    'aws:s3/bucketOwnershipControls:BucketOwnershipControls',
    'aws:s3/bucketPolicy:BucketPolicy',
    'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock',
    'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
    'aws:s3/bucketVersioning:BucketVersioning',
    // An object takes ten tags, the author may have fifty.
    'aws:s3/bucketObjectv2:BucketObjectv2',
  ],
  tagsOf: ({ inputs }) => inputs['tags'] as Properties | undefined,

  nodePool(children) {
    const { inputs, ignoreChanges } = only(children, 'aws:eks/nodeGroup:NodeGroup');
    const template = only(children, 'aws:ec2/launchTemplate:LaunchTemplate').inputs;
    return {
      labels: inputs['labels'] as Record<string, string>,
      taints: (inputs['taints'] as unknown as { key: string; value: string; effect: string }[]).map((taint) => ({
        ...taint,
        effect: EFFECTS[taint.effect]!,
      })),
      minSize: propertyAt(inputs, 'scalingConfig.minSize') as number,
      maxSize: propertyAt(inputs, 'scalingConfig.maxSize') as number,
      isSpot: inputs['capacityType'] === 'SPOT',
      diskSizeGiB: propertyAt(template, 'blockDeviceMappings[0].ebs.volumeSize') as number,
      ignored: ignoreChanges,
      closesMetadata:
        propertyAt(template, 'metadataOptions.httpTokens') === 'required' &&
        propertyAt(template, 'metadataOptions.httpPutResponseHopLimit') === 1,
      encryptsDisks: propertyAt(template, 'blockDeviceMappings[0].ebs.encrypted') === 'true',
    };
  },
  countProperties: ['scalingConfig.desiredSize'],

  repository(children) {
    const { inputs } = only(children, 'aws:ecr/repository:Repository');
    const { rules } = JSON.parse(only(children, 'aws:ecr/lifecyclePolicy:LifecyclePolicy').inputs['policy'] as string);
    const untagged = rules.find(
      (rule: any) => rule.selection.tagStatus === 'untagged' && rule.action.type === 'expire',
    );
    return {
      hasImmutableTags: inputs['imageTagMutability'] === 'IMMUTABLE',
      scansImages: propertyAt(inputs, 'imageScanningConfiguration.scanOnPush') === true,
      untaggedDays: untagged?.selection.countNumber,
      encryptionKey: propertyAt(inputs, 'encryptionConfigurations[0].kmsKey'),
    };
  },

  mirrors: (children) =>
    typesOf(children, 'aws:ecr/repository:Repository')
      .filter(
        ({ inputs }) =>
          inputs['name'] === 'mirrored' &&
          inputs['imageTagMutability'] === 'IMMUTABLE' &&
          propertyAt(inputs, 'imageScanningConfiguration.scanOnPush') === true,
      )
      .filter(({ inputs }) =>
        typesOf(children, 'aws:ecr/lifecyclePolicy:LifecyclePolicy').some(
          (policy) => policy.inputs['region'] === inputs['region'],
        ),
      )
      .map(({ inputs }) => inputs['region'] as string),
  mirrorRegion: 'cn-northwest-1',
  mirrorUri: '123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn/mirrored',

  bucket(children) {
    const child = (type: string) => only(children, `aws:s3/${type}`).inputs;
    const block = child('bucketPublicAccessBlock:BucketPublicAccessBlock');
    const encryption = child('bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration');
    const atRest = propertyAt(encryption, 'rules[0].applyServerSideEncryptionByDefault') as Properties;
    const lifecycle = child('bucketLifecycleConfiguration:BucketLifecycleConfiguration');
    const { Statement } = JSON.parse(child('bucketPolicy:BucketPolicy')['policy'] as string);
    return {
      isClosedToPublic:
        ['blockPublicAcls', 'blockPublicPolicy', 'ignorePublicAcls', 'restrictPublicBuckets'].every(
          (switched) => block[switched] === true,
        ) &&
        propertyAt(child('bucketOwnershipControls:BucketOwnershipControls'), 'rule.objectOwnership') ===
          'BucketOwnerEnforced',
      isEncrypted: ['AES256', 'aws:kms'].includes(atRest['sseAlgorithm'] as string),
      encryptionKey: atRest['kmsMasterKeyId'],
      isTlsOnly: Statement.some(
        ({ Effect, Principal, Action, Condition }: any) =>
          Effect === 'Deny' &&
          Principal === '*' &&
          Action === 's3:*' &&
          Condition.Bool?.['aws:SecureTransport'] === 'false',
      ),
      isVersioned:
        propertyAt(child('bucketVersioning:BucketVersioning'), 'versioningConfiguration.status') === 'Enabled',
      noncurrentVersionDays: propertyAt(lifecycle, 'rules[0].noncurrentVersionExpiration.noncurrentDays') as number,
      deletesObjects: child('bucket:Bucket')['forceDestroy'] === true,
    };
  },
  objectKeys: (children) =>
    typesOf(children, 'aws:s3/bucketObjectv2:BucketObjectv2').map(({ inputs }) => inputs['key'] as string),

  identity(children) {
    const policies = typesOf(children, 'aws:iam/rolePolicy:RolePolicy').map(({ inputs }) => inputs['policy'] as string);
    const statements: any[] = policies.flatMap((policy) => JSON.parse(policy).Statement);
    const ofBucket = statements.filter(({ Action }) => [Action].flat().some((action) => action.startsWith('s3:')));
    const actions = ofBucket.flatMap(({ Action }) => Action as string[]);
    const association = only(children, 'aws:eks/podIdentityAssociation:PodIdentityAssociation').inputs;
    const role = only(children, 'aws:iam/role:Role').inputs;
    const [trust] = JSON.parse(role['assumeRolePolicy'] as string).Statement;
    const trusted = trust.Condition.StringEquals;
    return {
      prefixes: ofBucket
        .flatMap(({ Resource }) => Resource as string[])
        .map((arn) => arn.replace(/^[^/]*\/(.*)\*$/, '$1')),
      mayList: actions.some((action) => /List|\*/.test(action)),
      mayWrite: actions.some((action) => !/^s3:Get/.test(action)),
      namespace: same(association['namespace'] as string, trusted['aws:RequestTag/kubernetes-namespace']),
      serviceAccount: same(
        association['serviceAccount'] as string,
        trusted['aws:RequestTag/kubernetes-service-account'],
      ),
    };
  },
  egress: ['169.254.170.23/32:80'],
  bucketUri: (name) => (name === 'existing' ? 's3://team-models/' : `s3://${name}-1a2b3c/`),

  firstMachines: 'aws:eks/nodeGroup:NodeGroup',
  cluster(children) {
    const { inputs } = only(children, 'aws:eks/cluster:Cluster');
    const addons = typesOf(children, 'aws:eks/addon:Addon').map((addon) => addon.inputs);
    const cni = addons.find(({ addonName }) => addonName === 'vpc-cni')!;
    return {
      hasPrivateEndpoint: propertyAt(inputs, 'vpcConfig.endpointPrivateAccess') === true,
      hasPublicEndpoint: propertyAt(inputs, 'vpcConfig.endpointPublicAccess') !== false,
      encryptsSecrets: (propertyAt(inputs, 'encryptionConfig.resources') as string[]).includes('secrets'),
      hasWorkloadIdentity: addons.some(({ addonName }) => addonName === 'eks-pod-identity-agent'),
      logsControlPlane: (inputs['enabledClusterLogTypes'] as string[]).includes('audit'),
      isProtectedFromDeletion: inputs['deletionProtection'] === true,
      enforcesNetworkPolicies: JSON.parse(cni['configurationValues'] as string).enableNetworkPolicy === 'true',
    };
  },

  furtherTests(recordings) {
    const up = () => recordings().up;
    const trustOf = (role: string) =>
      JSON.parse(findResource(up(), 'aws:iam/role:Role', role).inputs['assumeRolePolicy'] as string).Statement;

    test('every role of a cluster stays within the permissions boundary', () => {
      const { urn } = findResource(up(), 'slipway:aws:Cluster', 'platform');
      const roles = findDescendants(up(), urn).filter(({ type }) => type === 'aws:iam/role:Role');
      expect(roles.map(({ inputs }) => inputs['permissionsBoundary'])).toEqual([BOUNDARY, BOUNDARY]);
    });

    test('a cluster that is made anew, under its old name, is another one for what is put on it', () => {
      const { createdAt } = findResource(up(), 'aws:eks/cluster:Cluster', 'platform').state;
      const { clusterIdentifier } = findResource(up(), 'pulumi:providers:kubernetes', 'platform').inputs;
      expect(clusterIdentifier).toMatch(/^arn:aws-cn:eks:.*:cluster\/platform-dev /);
      expect(clusterIdentifier).toContain(createdAt);
    });

    test('administrators are told apart by their roles: one more or one less is no change to another', () => {
      const entries = (cluster: string) =>
        findDescendants(up(), findResource(up(), 'slipway:aws:Cluster', cluster).urn)
          .filter(({ type }) => type === 'aws:eks/accessEntry:AccessEntry')
          .map(({ name, inputs }) => [name.replace(cluster, ''), inputs['principalArn']]);
      expect(entries('platform')).toHaveLength(1);
      expect(entries('administered')).toHaveLength(2);
      expect(entries('administered')).toContainEqual(entries('platform')[0]);
    });

    test('machines and disks carry the tags, not the group alone', () => {
      const template = findResource(up(), 'aws:ec2/launchTemplate:LaunchTemplate', 'one').inputs;
      const specifications = template['tagSpecifications'] as unknown as { resourceType: string; tags: unknown }[];
      expect(specifications.map(({ resourceType }) => resourceType)).toEqual([
        'instance',
        'volume',
        'network-interface',
      ]);
      for (const { tags } of specifications) expect(tags).toEqual({ team: 'vision', stage: 'test' });
    });

    test('logs of the control plane are kept as long as somebody reads them, and no longer', () => {
      expect(findResource(up(), 'aws:cloudwatch/logGroup:LogGroup', 'platform').inputs).toMatchObject({
        name: '/aws/eks/platform-dev/cluster',
        retentionInDays: 90,
      });
    });

    test("secrets are encrypted by the author's key or by one of its own, which is rotated and outlives the cluster", () => {
      const key = findResource(up(), 'aws:kms/key:Key', 'platform');
      expect(key).toMatchObject({ retainOnDelete: true, inputs: { enableKeyRotation: true } });
      const cluster = findResource(up(), 'aws:eks/cluster:Cluster', 'platform').inputs;
      expect(propertyAt(cluster, 'encryptionConfig.provider.keyArn')).toBe(key.state['arn']);
    });

    test('the network plugin and the agent are there before the first machine', () => {
      const system = findResource(up(), 'aws:eks/nodeGroup:NodeGroup', 'platform-system');
      for (const addon of ['vpc-cni', 'kube-proxy', 'eks-pod-identity-agent']) {
        expect(system.dependencies).toContain(findResource(up(), 'aws:eks/addon:Addon', `platform-${addon}`).urn);
      }
    });

    test('with an OIDC provider the role is for tokens of one service account, and pods are told of it', () => {
      const issuer = 'oidc.eks.cn-north-1.amazonaws.com.cn/id/ABC';
      expect(trustOf('irsa')).toEqual([
        {
          Effect: 'Allow',
          Principal: { Federated: `arn:aws-cn:iam::123456789012:oidc-provider/${issuer}` },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: {
              [`${issuer}:sub`]: 'system:serviceaccount:inference:irsa',
              [`${issuer}:aud`]: 'sts.amazonaws.com',
            },
          },
        },
      ]);
      expect(up().stackOutputs['irsaBinding']).toMatchObject({
        serviceAccountName: 'irsa',
        serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws-cn:iam::123456789012:role/irsa' },
        egress: [],
        environment: { AWS_REGION: 'cn-northwest-1' },
      });
    });

    test('a role that is there already is associated, and not changed', () => {
      const { urn } = findResource(up(), 'slipway:aws:WorkloadIdentity', 'role-is-there');
      const [association, ...others] = findDescendants(up(), urn);
      expect(others).toEqual([]);
      expect(association!.inputs).toMatchObject({ roleArn: 'arn:aws-cn:iam::123456789012:role/readers' });
    });

    test('ECR copies what is pushed to the regions of the one setting of the registry, of the account alone', () => {
      const rulesOf = (name: string) =>
        propertyAt(
          findResource(up(), 'aws:ecr/replicationConfiguration:ReplicationConfiguration', name).inputs,
          'replicationConfiguration.rules',
        );
      expect(rulesOf('everything')).toEqual([
        { destinations: [{ region: 'cn-northwest-1', registryId: '123456789012' }] },
      ]);
      expect(rulesOf('ours')).toEqual([
        {
          destinations: ['eu-central-1', 'us-east-1'].map((region) => ({ region, registryId: '123456789012' })),
          repositoryFilters: [{ filter: 'slipway', filterType: 'PREFIX_MATCH' }],
        },
      ]);
      const ours = findResource(up(), 'aws:ecr/replicationConfiguration:ReplicationConfiguration', 'ours');
      expect(ours).toMatchObject({ protect: true, parent: expect.stringContaining('slipway:aws:ImageRegistry') });
      expect(ours.provider).toContain('::registry::');
    });

    test('no repository makes the one setting of the registry by itself', () => {
      const children = findDescendants(up(), findResource(up(), 'slipway:aws:ImageRepository', 'mirrored').urn);
      expect(typesOf(children, 'aws:ecr/replicationConfiguration:ReplicationConfiguration')).toEqual([]);
    });

    test('what copies cannot be is refused in one line, too', () => {
      expect(up().stackOutputs['further']).toEqual({
        'bad-registry': 'IMAGE_REGION replicateTo: must name at least one region, got none',
        'bad-region': "NAME_INVALID replicateTo[0]: must be a region in the cloud's own words, got 'Frankfurt'",
        'bad-key':
          'ENCRYPTION_KEY_INVALID encryptionKey: encrypts in its own region alone, not in those of replicateTo; leave it out, or make a repository with a key in each region',
      });
    });

    test('the cluster autoscaler is told of every share of a GPU', () => {
      const hint = findResources(up(), 'aws:autoscaling/tag:Tag').find(({ name }) => name === 'guarded-gpu')!;
      expect(hint.inputs['tag']).toMatchObject({
        key: 'k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu',
        value: '4',
      });
    });
  },
};

const BOUNDARY = 'arn:aws-cn:iam::123456789012:policy/boundary';
const EFFECTS: Readonly<Record<string, string>> = { NO_SCHEDULE: 'NoSchedule', NO_EXECUTE: 'NoExecute' };

function same(one: string, other: string): string {
  if (one !== other) throw new Error(`the association names '${one}', and the role trusts '${other}'`);
  return one;
}
