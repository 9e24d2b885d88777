import * as pulumi from '@pulumi/pulumi';
import * as index from '../../../pulumi';
import * as alibaba from '../../../pulumi/alibaba';
import * as aws from '../../../pulumi/aws';
import * as azure from '../../../pulumi/azure';
import * as gcp from '../../../pulumi/gcp';
import * as image from '../../../pulumi/image';
import * as tencent from '../../../pulumi/tencent';
import { argumentsOf, COMPONENTS, withValueAt, type ArgumentSpec } from '../../support/pulumi-arguments';

type Component = new (name: string, args: object) => pulumi.ComponentResource;
type Fields = Record<string, unknown>;

const MODULES: Readonly<Record<string, object>> = { index, aws, gcp, azure, alibaba, tencent, image };
const digest = `sha256:${'ab'.repeat(32)}`;
const tags = { team: 'vision' };
const model = { name: 'digits', version: 1, repositoryUri: 's3://team-models' };
const route = { gateway: { name: 'public', namespace: 'gateways' }, hostnames: ['digits.example.com'] };
const network = { vpcId: 'vpc-1', subnetIds: ['subnet-a'], securityGroupIds: ['sg-1'] };

/** Facts of a cluster of each cloud, and of a bucket that is read. */
const CLUSTERS: Readonly<Record<string, Fields>> = {
  aws: { name: 'platform', subnetIds: ['subnet-a'] },
  gcp: { name: 'platform', location: 'europe-west4', project: 'team', projectNumber: '123456789012' },
  azure: { resourceGroupName: 'inference', name: 'platform', oidcIssuerUrl: 'https://oidc.example.com/' },
  alibaba: {
    id: 'c1',
    vswitchIds: ['vsw-a'],
    oidcIssuerUrl: 'https://oidc.example.com/',
    oidcProviderArn: 'acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1',
  },
  tencent: {
    id: 'cls-1',
    region: 'ap-guangzhou',
    ownerUin: '100000000001',
    oidcIssuerUrl: 'https://oidc.example.com/',
    ...network,
  },
};
const BUCKETS: Readonly<Record<string, Fields>> = {
  aws: { arn: 'arn:aws:s3:::team-models', region: 'eu-west-1' },
  gcp: { name: 'team-models' },
  azure: {
    containerId:
      '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c',
  },
  alibaba: { name: 'team-models', region: 'cn-hangzhou' },
  tencent: { name: 'team-models-1250000000', region: 'ap-guangzhou', appId: '1250000000' },
};
const GPUS: Readonly<Record<string, string>> = {
  aws: 'g6.xlarge',
  gcp: 'g2-standard-8',
  azure: 'Standard_NC4as_T4_v3',
  alibaba: 'ecs.gn7i-c8g1.2xlarge',
  tencent: 'PNV4.7XLARGE116',
};

/** What a component needs besides the argument under test. */
function argsBeside([first, ...rest]: readonly string[], module: string, kind: string): Fields {
  const cluster = CLUSTERS[module];
  switch (kind) {
    case 'InferenceService': {
      const { repositoryUri: _, ...elsewhere } = model;
      const served = (version: number): Fields[] =>
        rest.includes('image') || rest.includes('volume') ? [{ ...elsewhere, version }] : [{ ...model, version }];
      const csi = rest.includes('csi') ? { volume: { csi: { driver: 'models.csi.example.com' } } } : {};
      return {
        namespace: 'inference',
        image: `registry.example.com/slipway@${digest}`,
        models: first === 'models' ? [{ ...served(1)[0], ...csi }] : [model],
        executionProvider: 'cpu',
        memoryMiB: 2048,
        startupBudgetSeconds: 120,
        minReplicas: first === 'wake' ? 0 : 1,
        maxReplicas: 2,
        ...(first === 'wake' ? { wake: { queue: { scaler: 'kafka', metadata: { topic: 'digits' } } } } : {}),
        ...(first === 'canary'
          ? {
              route,
              canary: {
                weightPercent: 10,
                models: rest[0] === 'models' ? [{ ...served(2)[0], ...csi }] : [{ ...model, version: 2 }],
              },
            }
          : {}),
        ...(first === 'shadow'
          ? {
              route,
              shadow: {
                percent: 10,
                models: rest[0] === 'models' ? [{ ...served(2)[0], ...csi }] : [{ ...model, version: 2 }],
              },
            }
          : {}),
      };
    }
    case 'ImagePrewarm':
      return { namespace: 'inference', serverImages: [`registry.example.com/slipway@${digest}`] };
    case 'ModelJob':
      return {
        namespace: 'inference',
        image: `registry.example.com/slipway@${digest}`,
        pipeline: 'model: digits\nsteps: [inspect]\n',
      };
    case 'ModelStore':
      return {
        namespace: 'inference',
        image: `registry.example.com/slipway@${digest}`,
        ...(first === 'existingClaim' ? {} : { sizeGiB: 1 }),
      };
    case 'PlatformAddons':
      return first === 'mirror'
        ? { keda: {}, mirror: { charts: 'oci://registry.example.com/charts', username: 'robot' } }
        : { karpenter: { clusterName: 'platform' } };
    case 'RuntimeImage':
      return {
        repositoryUri: 'registry.example.com/slipway',
        ...(first === 'registries'
          ? { registries: [{ address: 'registry.example.com', username: 'robot', password: 'a' }] }
          : {}),
      };
    case 'Cluster':
      return { ...CLUSTER_ARGS[module], tags };
    case 'GpuInstanceGroup':
      return { cluster, instanceTypes: [GPUS[module]], maxSize: 1, tags };
    case 'WorkloadIdentity':
      return { cluster, namespace: 'inference', reads: [{ name: 'digits', bucket: BUCKETS[module] }], tags };
    case 'ImageRepository':
      return {
        ...(first === 'existing' ? {} : REPOSITORY_ARGS[module]),
        ...(first === 'pulledBy' ? { pulledBy: [{ ...cluster, kubeletPrincipalId: 'principal' }] } : {}),
        ...(first === 'privateDnsZoneId' ? { subnetId: '/subscriptions/s/virtualNetworks/hub/subnets/gpus' } : {}),
        ...(first === 'replicateTo' ? { replicateTo: [MIRRORS[module]] } : {}),
        tags,
      };
    default:
      return { ...BUCKET_ARGS[module], tags, ...(first === 'existing' ? EXISTING_BUCKETS[module] : {}) };
  }
}

const CLUSTER_ARGS: Readonly<Record<string, Fields>> = {
  aws: { subnetIds: ['subnet-a', 'subnet-b'] },
  gcp: { location: 'europe-west4', network: 'shared', subnetwork: 'inference' },
  azure: { resourceGroupName: 'inference', adminGroupIds: ['99999999-8888-7777-6666-555555555555'] },
  alibaba: { vswitchIds: ['vsw-a', 'vsw-b'], encryptionKey: 'key-hzz-abc' },
  tencent: { region: 'ap-guangzhou', ...network, encryptionKey: 'key-abc' },
};
const REPOSITORY_ARGS: Readonly<Record<string, Fields>> = {
  aws: {},
  gcp: { location: 'europe-west4' },
  azure: { resourceGroupName: 'inference' },
  alibaba: { instanceId: 'cri-team' },
  tencent: { registry: { id: 'tcr-team', domain: 'team.tencentcloudcr.com' } },
};
const MIRRORS: Readonly<Record<string, Fields>> = {
  alibaba: { region: 'cn-shanghai', instanceId: 'cri-east', uri: 'east.example.com/images/slipway' },
  tencent: { region: 'ap-shanghai', registryId: 'tcr-east', uri: 'east.tencentcloudcr.com/images/slipway' },
};
const BUCKET_ARGS: Readonly<Record<string, Fields>> = {
  aws: {},
  gcp: { location: 'europe-west4' },
  azure: { resourceGroupName: 'inference' },
  alibaba: {},
  tencent: { region: 'ap-guangzhou', appId: '1250000000' },
};
const EXISTING_BUCKETS: Readonly<Record<string, Fields>> = {
  aws: { existing: { name: 'team-models' } },
  gcp: { existing: { name: 'team-models' } },
  azure: { existing: { accountName: 'teammodels', containerName: 'published' } },
  alibaba: { existing: { name: 'team-models' } },
  tencent: { existing: { name: 'team-models-1250000000' } },
};

/** A value of the form that the argument asks for, with a number in it that stands nowhere else. */
function valueFor({ path, type }: ArgumentSpec, module: string, number: string): unknown {
  const name = path.at(-1)!;
  if (type === 'array') return [`subnet-${number}`];
  if (/^(image|pauseImage)$/.test(name) || path[0]?.endsWith('Images') === true)
    return `registry.example.com/m${number}@${digest}`;
  if (name === 'repositoryUri') return module === 'image' ? `registry.example.com/m${number}` : `s3://m${number}`;
  if (path[0] === 'existing' && path.length === 1) return `registry.example.com/m${number}/slipway`;
  if (name === 'uri') return `registry.example.com/m${number}/slipway`;
  if (name === 'oidcIssuerUrl') return `https://oidc.example.com/m${number}/`;
  if (name === 'encryptionKey' && module === 'azure')
    return `/subscriptions/s/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/team/keys/m${number}`;
  if (name === 'containerId') return `${BUCKETS['azure']!['containerId'] as string}${number}`;
  if (module === 'tencent' && name === 'name') return `m${number}-1250000000`;
  if (/Arn$|^arn$/.test(name) && module === 'aws') return `arn:aws:iam::123456789012:role/m${number}`;
  if (/Arn$/.test(name)) return `acs:ram::1234567890123456:oidc-provider/m${number}`;
  if (/^(appId|ownerUin|projectNumber)$/.test(name)) return number;
  if (name === 'existingServiceAccount' || name === 'nodeServiceAccount')
    return `m${number}@team.iam.gserviceaccount.com`;
  return `m${number}`;
}

/** Lays what is given over what is there, through lists and maps. */
function over(there: unknown, given: unknown): unknown {
  if (pulumi.Output.isInstance(given) || typeof given !== 'object' || given === null) return given;
  if (Array.isArray(given)) return given.map((one, i) => over(Array.isArray(there) ? there[i] : undefined, one));
  const base = typeof there === 'object' && there !== null ? there : {};
  const merged = Object.entries(given).map(([key, one]) => [key, over((base as Fields)[key], one)]);
  return { ...base, ...Object.fromEntries(merged) };
}

const only = new pulumi.Config().get('only');
const made: { token: string; argument: string; number: string }[] = [];
const refused: string[] = [];
for (const token of COMPONENTS.filter((one) => only === undefined || one.startsWith(only))) {
  const [, module, kind] = token.split(':') as [string, string, string];
  const Made = (MODULES[module] as Readonly<Record<string, Component>>)[kind]!;
  for (const spec of argumentsOf(token).filter(({ isPlain }) => !isPlain)) {
    const number = `77700${1000 + made.length}777`;
    const argument = spec.path.join('.');
    made.push({ token, argument, number });
    const value = pulumi.secret(valueFor(spec, module, number));
    const args = over(argsBeside(spec.path, module, kind), withValueAt(spec.path, value)) as Fields;
    try {
      // Agent pools of AKS are named after it, in twelve letters.
      new Made(`one${made.length}`, args);
    } catch (error) {
      refused.push(`${token} ${argument}: ${(error as Error).message}`);
    }
  }
}

export { made, refused };
