import { describe, expect, test } from 'vitest';
import { checkResources, POLICY_RULES, type CheckedResource, type RuleSettings } from 'slipway/pulumi/policy';

const DIGEST = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;
const CLOSED = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
const PROBE = (path: string) => ({ httpGet: { path, port: 'http' } });
const CONTAINER = {
  name: 'server',
  image: DIGEST,
  securityContext: CLOSED,
  startupProbe: PROBE('/startupz'),
  readinessProbe: PROBE('/readyz'),
  livenessProbe: PROBE('/livez'),
};
const GPU = { resources: { requests: { 'nvidia.com/gpu': '1' }, limits: { 'nvidia.com/gpu': '1' } } };
const TOLERATES = { tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] };
const POLICY = resource('kubernetes:networking.k8s.io/v1:NetworkPolicy', {
  metadata: { namespace: 'inference' },
  spec: { podSelector: { matchLabels: { app: 'digits' } }, policyTypes: ['Ingress', 'Egress'] },
});

const TKE_ENDPOINT = 'tencentcloud:index/kubernetesClusterEndpoint:KubernetesClusterEndpoint';

/** Per rule: stacks that keep it, and stacks that break it with what is said of them. */
const CASES: Readonly<Record<string, Case>> = {
  'image-by-digest': {
    keeps: [pods(), pods({}, { initContainers: [{ ...CONTAINER, name: 'fetch' }] })],
    breaks: [
      [pods({ image: 'registry.example.com/slipway:1' }), "container 'server' runs 'registry.example.com/slipway:1'"],
      [
        pods({}, { initContainers: [{ ...CONTAINER, name: 'fetch', image: 'busybox' }] }),
        "container 'fetch' runs 'busybox'",
      ],
    ],
  },
  'trusted-registries': {
    settings: { trustedRegistries: ['registry.example.com'] },
    keeps: [pods()],
    breaks: [[pods({ image: DIGEST.replace('.com', '.com.evil.test') }), 'trusted are registry.example.com']],
  },
  'no-host-access': {
    keeps: [pods()],
    breaks: [
      [pods({}, { hostNetwork: true }), 'hostNetwork is true'],
      [pods({}, { volumes: [{ name: 'docker', hostPath: { path: '/var/run' } }] }), "the node's folder /var/run"],
      [pods({ securityContext: { ...CLOSED, privileged: true } }), "container 'server' is privileged"],
    ],
  },
  'pod-restricted': {
    keeps: [
      pods(),
      pods(
        { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
        { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } },
      ),
    ],
    breaks: [
      [pods({ securityContext: { ...CLOSED, runAsNonRoot: undefined } }), 'lacks runAsNonRoot: true'],
      [
        pods({ securityContext: { ...CLOSED, capabilities: { drop: ['NET_RAW'] } } }),
        "lacks capabilities.drop: ['ALL']",
      ],
      [pods({ securityContext: undefined }), 'lacks runAsNonRoot: true, allowPrivilegeEscalation: false'],
    ],
  },
  'read-only-root': {
    keeps: [pods()],
    breaks: [
      [pods({ securityContext: { ...CLOSED, readOnlyRootFilesystem: false } }), 'may write its root file system'],
    ],
  },
  'no-service-account-token': {
    keeps: [pods({}, { automountServiceAccountToken: false })],
    breaks: [[pods(), 'automountServiceAccountToken: false']],
  },
  'no-plain-secret': {
    keeps: [
      pods({ env: [{ name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: '/var/run/token' }] }),
      pods({ env: [{ name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }] }),
      pods({ env: [{ name: 'MAX_TOKENS', value: '16' }] }),
    ],
    breaks: [
      [pods({ env: [{ name: 'DB_PASSWORD', value: 'hunter2' }] }), 'variable DB_PASSWORD'],
      [pods({ env: [{ name: 'AWS_SECRET_ACCESS_KEY', value: 'abc' }] }), 'variable AWS_SECRET_ACCESS_KEY'],
    ],
  },
  'service-stays-inside': {
    keeps: [[resource('kubernetes:core/v1:Service', { spec: { type: 'ClusterIP' } })]],
    breaks: [[[resource('kubernetes:core/v1:Service', { spec: { type: 'LoadBalancer' } })], 'type is LoadBalancer']],
  },
  'namespace-restricted': {
    keeps: [[namespace('restricted')]],
    breaks: [
      [[namespace('baseline')], "enforces 'baseline'"],
      [[resource('kubernetes:core/v1:Namespace', {})], 'enforces nothing'],
    ],
  },
  'network-policy': {
    keeps: [[...pods(), POLICY]],
    breaks: [
      [pods(), 'no NetworkPolicy of the stack selects its pods'],
      [
        [...pods(), { ...POLICY, props: { ...POLICY.props, metadata: { namespace: 'other' } } }],
        'no NetworkPolicy of the stack selects its pods',
      ],
    ],
  },
  probes: {
    keeps: [pods()],
    breaks: [
      [pods({ readinessProbe: undefined }), 'has no readinessProbe'],
      [pods({ livenessProbe: PROBE('/readyz') }), 'is restarted by the probe /readyz'],
    ],
  },
  'gpu-pool-tainted': {
    keeps: [
      ...nodePools().map((pool) => [pool]),
      [nodeGroup({ instanceTypes: ['m7i.large'], amiType: 'AL2023_x86_64_STANDARD', taints: [] })],
    ],
    breaks: nodePools({ tainted: false }).map((pool): Breaks => [[pool], 'have no taint nvidia.com/gpu']),
  },
  'gpu-pod-tolerates': {
    keeps: [pods(GPU, TOLERATES), pods(GPU, { tolerations: [{ key: 'example.com/gpu', operator: 'Exists' }] }), pods()],
    breaks: [[pods(GPU), 'tolerates no taint']],
  },
  'gpu-request-is-limit': {
    keeps: [pods(GPU), pods({ resources: { limits: { 'nvidia.com/mig-1g.5gb': 1 } } })],
    breaks: [
      [pods({ resources: { requests: { 'nvidia.com/gpu': 1 } } }), 'without a limit'],
      [pods({ resources: { limits: { 'nvidia.com/gpu': '0.5' } } }), 'GPUs come in whole numbers'],
      [
        pods({ resources: { requests: { 'nvidia.com/gpu': 1 }, limits: { 'nvidia.com/gpu': 2 } } }),
        'they must be equal',
      ],
    ],
  },
  'gpu-startup-awaited': {
    keeps: [pods(GPU, {}, { progressDeadlineSeconds: 1800 }), pods()],
    breaks: [
      [pods(GPU), 'progressDeadlineSeconds is 600 by default'],
      [pods(GPU, {}, { progressDeadlineSeconds: 300 }), 'progressDeadlineSeconds is 300'],
      [pods({ ...GPU, startupProbe: undefined }, {}, { progressDeadlineSeconds: 1800 }), 'no startupProbe'],
    ],
  },
  'gpu-pool-exists': {
    keeps: [
      [nodeGroup(), ...pods({}, { nodeSelector: { 'slipway.dev/pool': 'l4' } })],
      pods({}, { nodeSelector: { 'slipway.dev/pool': 'made-elsewhere' } }),
    ],
    breaks: [
      [
        [nodeGroup(), ...pods({}, { nodeSelector: { 'slipway.dev/pool': 'l40' } })],
        "is placed on pool 'l40', the stack has 'l4'",
      ],
    ],
  },
  'autoscaler-owns-replicas': {
    keeps: [[...pods(), autoscaler()], pods({}, {}, { replicas: 2 })],
    breaks: [[[...pods({}, {}, { replicas: 2 }), autoscaler()], 'says replicas: 2 beside an autoscaler']],
  },
  'bucket-not-public': {
    keeps: [
      withCompanion('aws:s3/bucket:Bucket', {}, 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock', {
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      }),
      [resource('gcp:storage/bucket:Bucket', { publicAccessPrevention: 'enforced', uniformBucketLevelAccess: true })],
      [resource('azure-native:storage:StorageAccount', { allowBlobPublicAccess: false, allowSharedKeyAccess: false })],
      withCompanion('alicloud:oss/bucket:Bucket', {}, 'alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock', {
        blockPublicAccess: true,
      }),
      [resource('tencentcloud:index/cosBucket:CosBucket', {})],
    ],
    breaks: [
      [[resource('aws:s3/bucket:Bucket', {})], 'has no BucketPublicAccessBlock'],
      [
        withCompanion('aws:s3/bucket:Bucket', {}, 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock', {
          blockPublicAcls: true,
          blockPublicPolicy: false,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        }),
        'blockPublicPolicy is false; it must be true',
      ],
      [
        [resource('gcp:storage/bucket:Bucket', { uniformBucketLevelAccess: true })],
        'publicAccessPrevention is left out',
      ],
      [
        [resource('azure-native:storage:StorageAccount', { allowBlobPublicAccess: false })],
        'allowSharedKeyAccess is left out',
      ],
      [
        [
          ...withCompanion(
            'alicloud:oss/bucket:Bucket',
            {},
            'alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock',
            {
              blockPublicAccess: true,
            },
          ),
          resource('alicloud:oss/bucket:Bucket', {}, { urn: 'urn:another' }),
        ],
        'has no BucketPublicAccessBlock',
      ],
      [[resource('tencentcloud:index/cosBucket:CosBucket', { acl: 'public-read' })], 'acl is "public-read"'],
    ],
  },
  'bucket-versioned': {
    keeps: [
      withCompanion('aws:s3/bucket:Bucket', {}, 'aws:s3/bucketVersioning:BucketVersioning', {}),
      [resource('gcp:storage/bucket:Bucket', { versioning: { enabled: true } })],
    ],
    breaks: [
      [[resource('aws:s3/bucket:Bucket', {})], 'has no BucketVersioning'],
      [[resource('gcp:storage/bucket:Bucket', {})], 'versioning.enabled is left out'],
      [[resource('azure-native:storage:StorageAccount', {})], 'has no BlobServiceProperties'],
    ],
  },
  'cluster-endpoint-closed': {
    keeps: [
      [resource('aws:eks/cluster:Cluster', { vpcConfig: { endpointPublicAccess: false } })],
      [
        resource('aws:eks/cluster:Cluster', {
          vpcConfig: { endpointPublicAccess: true, publicAccessCidrs: ['203.0.113.0/24'] },
        }),
      ],
      [resource('gcp:container/cluster:Cluster', { masterAuthorizedNetworksConfig: { cidrBlocks: [] } })],
      [
        resource('azure-native:containerservice:ManagedCluster', {
          apiServerAccessProfile: { enablePrivateCluster: true },
        }),
      ],
      [resource('alicloud:cs/managedKubernetes:ManagedKubernetes', { slbInternetEnabled: false })],
      [resource('tencentcloud:index/kubernetesCluster:KubernetesCluster', {})],
      [resource(TKE_ENDPOINT, { clusterInternet: true, clusterInternetSecurityGroup: 'sg-1' })],
      [resource(TKE_ENDPOINT, { clusterInternet: true, managedClusterInternetSecurityPolicies: ['10.0.0.0/8'] })],
    ],
    breaks: [
      [[resource('aws:eks/cluster:Cluster', { vpcConfig: {} })], 'everybody may reach the API server'],
      [
        [
          resource('aws:eks/cluster:Cluster', {
            vpcConfig: { endpointPublicAccess: true, publicAccessCidrs: ['0.0.0.0/0'] },
          }),
        ],
        'vpcConfig.publicAccessCidrs',
      ],
      [[resource('gcp:container/cluster:Cluster', {})], 'masterAuthorizedNetworksConfig'],
      [
        [
          resource('gcp:container/cluster:Cluster', {
            masterAuthorizedNetworksConfig: { cidrBlocks: [{ cidrBlock: '0.0.0.0/0' }] },
          }),
        ],
        'everybody may reach the API server',
      ],
      [[resource('azure-native:containerservice:ManagedCluster', {})], 'apiServerAccessProfile'],
      [[resource('alicloud:cs/managedKubernetes:ManagedKubernetes', {})], 'slbInternetEnabled'],
      [[resource(TKE_ENDPOINT, { clusterInternet: true })], 'set clusterInternet: false'],
      [
        [resource(TKE_ENDPOINT, { clusterInternet: true, managedClusterInternetSecurityPolicies: ['0.0.0.0/0'] })],
        'clusterInternetSecurityGroup',
      ],
    ],
  },
  'bucket-over-tls': {
    keeps: [
      withCompanion('aws:s3/bucket:Bucket', {}, 'aws:s3/bucketPolicy:BucketPolicy', {}),
      [resource('azure-native:storage:StorageAccount', { enableHttpsTrafficOnly: true, minimumTlsVersion: 'TLS1_2' })],
    ],
    breaks: [
      [[resource('aws:s3/bucket:Bucket', {})], 'has no BucketPolicy'],
      [[resource('tencentcloud:index/cosBucket:CosBucket', {})], 'has no CosBucketPolicy'],
      [
        [
          resource('azure-native:storage:StorageAccount', {
            enableHttpsTrafficOnly: true,
            minimumTlsVersion: 'TLS1_0',
          }),
        ],
        'minimumTlsVersion is "TLS1_0"; it must be "TLS1_2" or "TLS1_3"',
      ],
    ],
  },
  'image-repository-closed': {
    keeps: [
      [
        resource('aws:ecr/repository:Repository', {
          imageTagMutability: 'IMMUTABLE',
          imageScanningConfiguration: { scanOnPush: true },
        }),
      ],
      [resource('azure-native:containerregistry:Registry', {})],
    ],
    breaks: [
      [
        [resource('aws:ecr/repository:Repository', { imageScanningConfiguration: { scanOnPush: true } })],
        'imageTagMutability is left out',
      ],
      [[resource('azure-native:containerregistry:Registry', { adminUserEnabled: true })], 'adminUserEnabled is true'],
      [[resource('gcp:artifactregistry/repository:Repository', {})], 'dockerConfig.immutableTags is left out'],
    ],
  },
  'image-registry-network': {
    keeps: [
      [resource('azure-native:containerregistry:Registry', { publicNetworkAccess: 'Disabled' })],
      [
        resource('azure-native:containerregistry:Registry', {
          publicNetworkAccess: 'Enabled',
          networkRuleSet: { defaultAction: 'Deny' },
        }),
      ],
    ],
    breaks: [
      [[resource('azure-native:containerregistry:Registry', {})], 'is open to every network'],
      [
        [
          resource('azure-native:containerregistry:Registry', {
            publicNetworkAccess: 'Enabled',
            networkRuleSet: { defaultAction: 'Allow' },
          }),
        ],
        "or networkRuleSet.defaultAction: 'Deny'",
      ],
    ],
  },
  'machine-metadata-closed': {
    keeps: [[launchTemplate()]],
    breaks: [
      [
        [launchTemplate({ metadataOptions: { httpTokens: 'optional', httpPutResponseHopLimit: 1 } })],
        'httpTokens is "optional"',
      ],
      [[launchTemplate({ metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 2 } })], 'HopLimit is 2'],
      [[resource('gcp:container/nodePool:NodePool', {})], 'workloadMetadataConfig.mode is left out'],
    ],
  },
  'machine-disk-encrypted': {
    keeps: [
      [launchTemplate()],
      [resource('azure-native:containerservice:AgentPool', { enableEncryptionAtHost: true })],
    ],
    breaks: [
      [
        [launchTemplate({ blockDeviceMappings: [{ deviceName: '/dev/xvda', ebs: {} }] })],
        'disk /dev/xvda is not encrypted',
      ],
      [[resource('alicloud:cs/nodePool:NodePool', {})], 'systemDiskEncrypted is left out'],
    ],
  },
  'least-privilege': {
    keeps: [[iam({ Action: ['s3:GetObject'], Resource: 'arn:aws:s3:::models/digits/*' })]],
    breaks: [
      [[iam({ Action: '*', Resource: '*' })], 'allows *; name the actions'],
      [[iam({ Action: 's3:*', Resource: 'arn:aws:s3:::models/*' })], 'allows s3:*'],
      [[iam({ Action: ['s3:GetObject'], Resource: '*' })], 'allows s3:GetObject on *'],
      [
        [
          resource('tencentcloud:index/camPolicy:CamPolicy', {
            document: JSON.stringify({ statement: [{ effect: 'allow', action: ['*'], resource: ['*'] }] }),
          }),
        ],
        'allows *; name the actions',
      ],
    ],
  },
  'gpu-machines-bounded': {
    settings: { maxGpuMachines: 4 },
    keeps: [[nodeGroup({ scalingConfig: { minSize: 0, maxSize: 4 } })]],
    breaks: [
      [[nodeGroup({ scalingConfig: { minSize: 0, maxSize: 5 } })], 'may grow to 5 machines, the bound is 4'],
      [[nodeGroup({ scalingConfig: undefined })], 'may grow without a bound'],
    ],
  },
  'gpu-machines-idle': {
    keeps: [[nodeGroup()]],
    breaks: [[[nodeGroup({ scalingConfig: { minSize: 2, maxSize: 4 } })], 'keeps 2 of g6.xlarge running']],
  },
  'required-tags': {
    settings: { requiredTags: ['team'] },
    keeps: [[nodeGroup({ tags: { team: 'vision' } })], [resource('aws:s3/bucketPolicy:BucketPolicy', {})]],
    breaks: [
      [[nodeGroup()], 'has no tags team'],
      [[resource('gcp:storage/bucket:Bucket', { labels: { owner: 'x' } })], 'has no labels team'],
    ],
  },
};

type Breaks = readonly [stack: readonly CheckedResource[], message: string];
interface Case {
  readonly settings?: Partial<RuleSettings>;
  readonly keeps: readonly (readonly CheckedResource[])[];
  readonly breaks: readonly Breaks[];
}

test('every rule is tried here, both ways', () => {
  expect(Object.keys(CASES).sort()).toEqual(POLICY_RULES.map(({ id }) => id).sort());
});

describe.each(Object.entries(CASES))('%s', (rule, { settings, keeps, breaks }) => {
  const messages = (stack: readonly CheckedResource[]): string[] =>
    checkResources(stack, settings)
      .findings.filter((finding) => finding.rule === rule)
      .map(({ message }) => message);

  test.each(keeps.map((stack, i) => [i, stack] as const))('is kept by stack %i', (_, stack) => {
    expect(messages(stack)).toEqual([]);
  });

  test.each(breaks.map(([stack, message]) => [message, stack] as const))('says %s', (message, stack) => {
    expect(messages(stack)).toEqual([expect.stringContaining(message)]);
  });
});

test('a value that is known only after deployment leaves the rules that read it undecided, and no other', () => {
  const unknown = Symbol('unknown');
  const { findings, undecided } = checkResources(
    pods({ image: unknown, securityContext: { ...CLOSED, privileged: true } }),
    {},
    (value) => value === unknown,
  );
  expect(undecided.map(({ rule }) => rule)).toEqual(['image-by-digest']);
  expect(findings.map(({ rule }) => rule)).toContain('no-host-access');
});

function resource(type: string, props: object, extra: Partial<CheckedResource> = {}): CheckedResource {
  const name = extra.name ?? 'it';
  return {
    type,
    name,
    urn: `urn:${type}::${name}`,
    props: props as Record<string, unknown>,
    dependencies: [],
    ...extra,
  };
}

function pods(container: object = {}, pod: object = {}, spec: object = {}): readonly CheckedResource[] {
  return [
    resource('kubernetes:apps/v1:Deployment', {
      metadata: { name: 'digits', namespace: 'inference' },
      spec: {
        ...spec,
        template: {
          metadata: { labels: { app: 'digits' } },
          spec: { ...pod, containers: [{ ...CONTAINER, ...container }] },
        },
      },
    }),
  ];
}

function namespace(level: string): CheckedResource {
  return resource('kubernetes:core/v1:Namespace', {
    metadata: { labels: { 'pod-security.kubernetes.io/enforce': level } },
  });
}

function autoscaler(): CheckedResource {
  return resource('kubernetes:autoscaling/v2:HorizontalPodAutoscaler', {
    metadata: { name: 'digits', namespace: 'inference' },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'digits' } },
  });
}

function nodeGroup(props: object = {}): CheckedResource {
  return resource('aws:eks/nodeGroup:NodeGroup', {
    amiType: 'AL2023_x86_64_NVIDIA',
    instanceTypes: ['g6.xlarge'],
    taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NO_SCHEDULE' }],
    labels: { 'slipway.dev/pool': 'l4' },
    scalingConfig: { minSize: 0, maxSize: 4 },
    ...props,
  });
}

/** GPU machines of each cloud. */
function nodePools({ tainted = true } = {}): readonly CheckedResource[] {
  const taints = tainted ? [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] : [];
  return [
    nodeGroup({ taints }),
    resource('gcp:container/nodePool:NodePool', { nodeConfig: { machineType: 'g2-standard-8', taints } }),
    resource('azure-native:containerservice:AgentPool', {
      vmSize: 'Standard_NC4as_T4_v3',
      nodeTaints: tainted ? ['nvidia.com/gpu=present:NoSchedule'] : [],
    }),
    resource('alicloud:cs/nodePool:NodePool', { instanceTypes: ['ecs.gn7i-c8g1.2xlarge'], taints }),
    resource('tencentcloud:index/kubernetesNodePool:KubernetesNodePool', {
      autoScalingConfig: { instanceType: 'GN7.2XLARGE32' },
      taints,
    }),
  ];
}

function launchTemplate(props: object = {}): CheckedResource {
  return resource('aws:ec2/launchTemplate:LaunchTemplate', {
    metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1 },
    blockDeviceMappings: [{ deviceName: '/dev/xvda', ebs: { encrypted: 'true' } }],
    ...props,
  });
}

function withCompanion(type: string, props: object, companion: string, said: object): readonly CheckedResource[] {
  const owner = resource(type, props);
  return [owner, resource(companion, said, { name: 'companion', dependencies: [owner.urn] })];
}

function iam(statement: object): CheckedResource {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
  return resource('aws:iam/rolePolicy:RolePolicy', { policy });
}
