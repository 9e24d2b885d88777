import { valueAt, type CheckedResource, type Complaint, type Rule } from '../rule';

const S3_BUCKET = 'aws:s3/bucket:Bucket';
const OSS_BUCKET = 'alicloud:oss/bucket:Bucket';
const COS_BUCKET = 'tencentcloud:index/cosBucket:CosBucket';
const STORAGE_ACCOUNT = 'azure-native:storage:StorageAccount';
const REGISTRY = 'azure-native:containerregistry:Registry';

const encryptedDisks = demanding({
  'azure-native:containerservice:AgentPool': { enableEncryptionAtHost: [true] },
  'alicloud:cs/nodePool:NodePool': { systemDiskEncrypted: [true] },
});

interface DeviceMapping {
  readonly deviceName?: string;
  readonly ebs?: { readonly encrypted?: string | boolean };
}

/** Buckets, image repositories, machines and permissions of the clouds. */
export const CLOUD_RULES: readonly Rule[] = [
  {
    id: 'bucket-not-public',
    group: 'security',
    level: 'mandatory',
    severity: 'critical',
    description: 'No bucket can be opened to everybody.',
    check: demanding({
      'gcp:storage/bucket:Bucket': { publicAccessPrevention: ['enforced'], uniformBucketLevelAccess: [true] },
      [STORAGE_ACCOUNT]: { allowBlobPublicAccess: [false], allowSharedKeyAccess: [false] },
      'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock': {
        blockPublicAcls: [true],
        blockPublicPolicy: [true],
        ignorePublicAcls: [true],
        restrictPublicBuckets: [true],
      },
      'alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock': { blockPublicAccess: [true] },
      [COS_BUCKET]: { acl: ['private', undefined] },
    }),
    *checkStack(resources) {
      yield* lacking(resources, S3_BUCKET, 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock');
      yield* lacking(resources, OSS_BUCKET, 'alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock');
    },
  },
  {
    id: 'bucket-versioned',
    group: 'security',
    level: 'advisory',
    severity: 'medium',
    description: 'Buckets keep what is overwritten or deleted for some time.',
    check: demanding({
      'gcp:storage/bucket:Bucket': { 'versioning.enabled': [true] },
      [COS_BUCKET]: { versioningEnable: [true] },
    }),
    *checkStack(resources) {
      yield* lacking(resources, S3_BUCKET, 'aws:s3/bucketVersioning:BucketVersioning');
      yield* lacking(resources, OSS_BUCKET, 'alicloud:oss/bucketVersioning:BucketVersioning');
      yield* lacking(resources, STORAGE_ACCOUNT, 'azure-native:storage:BlobServiceProperties');
    },
  },
  {
    id: 'bucket-over-tls',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description: 'Buckets are reached over TLS alone.',
    check: demanding({
      [STORAGE_ACCOUNT]: { enableHttpsTrafficOnly: [true], minimumTlsVersion: ['TLS1_2', 'TLS1_3'] },
    }),
    *checkStack(resources) {
      yield* lacking(resources, S3_BUCKET, 'aws:s3/bucketPolicy:BucketPolicy');
      yield* lacking(resources, OSS_BUCKET, 'alicloud:oss/bucketPolicy:BucketPolicy');
      yield* lacking(resources, COS_BUCKET, 'tencentcloud:index/cosBucketPolicy:CosBucketPolicy');
    },
  },
  {
    id: 'image-repository-closed',
    group: 'security',
    level: 'mandatory',
    severity: 'medium',
    description: 'Image repositories are private; a tag stays what it is and images are scanned, where the cloud can.',
    check: demanding({
      'aws:ecr/repository:Repository': {
        imageTagMutability: ['IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION'],
        'imageScanningConfiguration.scanOnPush': [true],
      },
      'gcp:artifactregistry/repository:Repository': { 'dockerConfig.immutableTags': [true] },
      [REGISTRY]: {
        adminUserEnabled: [false, undefined],
        anonymousPullEnabled: [false, undefined],
      },
      'alicloud:cs/registryEnterpriseRepo:RegistryEnterpriseRepo': { tagImmutability: [true], repoType: ['PRIVATE'] },
    }),
  },
  {
    id: 'image-registry-network',
    group: 'security',
    level: 'advisory',
    severity: 'medium',
    description: 'Image registries are closed to networks that nobody named, where the cloud can.',
    *check({ type, props }) {
      if (type !== REGISTRY || props['publicNetworkAccess'] === 'Disabled') return;
      if (valueAt(props, 'networkRuleSet.defaultAction') === 'Deny') return;
      yield "is open to every network, guarded by Entra alone; set publicNetworkAccess: 'Disabled' and add a private endpoint, or networkRuleSet.defaultAction: 'Deny', both of which take a Premium registry";
    },
  },
  {
    id: 'machine-metadata-closed',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description: 'Pods cannot ask for the credentials of their machine.',
    check: demanding({
      'aws:ec2/launchTemplate:LaunchTemplate': {
        'metadataOptions.httpTokens': ['required'],
        'metadataOptions.httpPutResponseHopLimit': [1],
      },
      'gcp:container/nodePool:NodePool': { 'nodeConfig.workloadMetadataConfig.mode': ['GKE_METADATA'] },
      'alicloud:cs/nodePool:NodePool': { 'instanceMetadataOptions.httpTokens': ['required'] },
    }),
  },
  {
    id: 'machine-disk-encrypted',
    group: 'security',
    level: 'mandatory',
    severity: 'medium',
    description: 'Disks of machines are encrypted, where the cloud does not do so by itself.',
    *check(resource) {
      yield* encryptedDisks(resource);
      if (resource.type !== 'aws:ec2/launchTemplate:LaunchTemplate') return;
      const { blockDeviceMappings = [] } = resource.props as { blockDeviceMappings?: readonly DeviceMapping[] };
      for (const { deviceName, ebs } of blockDeviceMappings) {
        if (ebs !== undefined && String(ebs.encrypted) !== 'true') {
          yield `disk ${deviceName} is not encrypted; set ebs.encrypted: 'true'`;
        }
      }
    },
  },
  {
    id: 'least-privilege',
    group: 'security',
    level: 'mandatory',
    severity: 'critical',
    description: 'No policy allows every action, or reading on every bucket.',
    *check({ type, props }) {
      if (!POLICY_DOCUMENTS.has(type)) return;
      const text = props[POLICY_DOCUMENTS.get(type)!];
      for (const { Effect, Action, Resource } of statementsOf(text)) {
        if (Effect !== 'Allow') continue;
        const actions = listOf(Action);
        const wide = actions.find((action) => action === '*' || /^(s3|oss|cos|name\/cos):\*$/.test(action));
        if (wide !== undefined) yield `allows ${wide}; name the actions`;
        const everywhere = listOf(Resource).find((name) => name === '*' || /^arn:[^:]*:s3:::\*/.test(name));
        if (everywhere !== undefined && actions.some((action) => /^(s3|oss|cos|kms):/.test(action))) {
          yield `allows ${actions.join(', ')} on ${everywhere}; name the bucket and the prefix`;
        }
      }
    },
  },
];

const POLICY_DOCUMENTS: ReadonlyMap<string, string> = new Map([
  ['aws:iam/rolePolicy:RolePolicy', 'policy'],
  ['aws:iam/policy:Policy', 'policy'],
  ['alicloud:ram/policy:Policy', 'policyDocument'],
  ['tencentcloud:index/camPolicy:CamPolicy', 'document'],
]);

interface Statement {
  readonly Effect?: string;
  readonly Action?: string | readonly string[];
  readonly Resource?: string | readonly string[];
}

function statementsOf(document: unknown): readonly Statement[] {
  if (typeof document !== 'string') return [];
  // AWS and Alibaba write capitals, Tencent small letters.
  const { Statement, statement } = JSON.parse(document) as { Statement?: Statement[]; statement?: Lowered[] };
  return [
    ...(Statement ?? []),
    ...(statement ?? []).map(({ effect, action, resource }) => ({
      Effect: effect?.replace(/^a/, 'A'),
      Action: action,
      Resource: resource,
    })),
  ];
}

interface Lowered {
  readonly effect?: string;
  readonly action?: string | readonly string[];
  readonly resource?: string | readonly string[];
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** Per type of a resource, what its inputs must say: path → any of these values. */
type Demands = Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>;

/** A check that names, in one sentence, every setting of a known type that is not as it must be. */
function demanding(demands: Demands) {
  return function* ({ type, props }: CheckedResource): Iterable<string> {
    if (!Object.hasOwn(demands, type)) return;
    for (const [path, allowed] of Object.entries(demands[type]!)) {
      const found = valueAt(props, path);
      if (!allowed.includes(found)) {
        yield `${path} is ${found === undefined ? 'left out' : JSON.stringify(found)}; it must be ${allowed
          .map((value) => JSON.stringify(value))
          .filter((text) => text !== undefined)
          .join(' or ')}`;
      }
    }
  };
}

/** What is said of a bucket by a resource of its own: one that waits for the bucket. */
function* lacking(resources: readonly CheckedResource[], type: string, companion: string): Iterable<Complaint> {
  const companions = resources.filter((resource) => resource.type === companion);
  for (const { urn } of resources.filter((resource) => resource.type === type)) {
    if (!companions.some(({ dependencies }) => dependencies.includes(urn))) {
      yield { urn, message: `has no ${companion.split(':').at(-1)}; add one for it` };
    }
  }
}
