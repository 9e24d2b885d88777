import type { OnInvoke, OnResource, ProviderSettings, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

const ACCOUNT = '123456789012';
const IRELAND = 'eu-west-1';

/**
 * What the AWS provider computes for the resources that our components create, and the lookups that they make. The region is
 * what a resource says of its own, else the provider's.
 * @param region where the provider was told none @default 'eu-west-1'
 */
export function playAws(region = IRELAND): { readonly onResource: OnResource; readonly onInvoke: OnInvoke } {
  const placeOf = (said: Properties, provider: ProviderSettings = {}): PlayedAws =>
    placeIn((said['region'] ?? provider['region'] ?? region) as string);
  return {
    onResource: ({ type, name, inputs }, provider): ResourceState =>
      COMPUTED[type]?.(name, inputs, placeOf(inputs, provider)) ?? {},
    onInvoke: ({ token, args }, provider) => LOOKUPS[token]?.(placeOf(args, provider)),
  };
}

/** Where an account of AWS is played. */
interface PlayedAws {
  readonly partition: string;
  readonly region: string;
  /** Of the addresses of its services. */
  readonly domain: string;
}

function placeIn(region: string): PlayedAws {
  if (region.startsWith('cn-')) return { partition: 'aws-cn', region, domain: 'amazonaws.com.cn' };
  return { partition: region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws', region, domain: 'amazonaws.com' };
}

const LOOKUPS: Readonly<Record<string, (place: PlayedAws) => Properties>> = {
  'aws:index/getCallerIdentity:getCallerIdentity': () => ({ accountId: ACCOUNT }),
  'aws:index/getPartition:getPartition': ({ partition }) => ({ partition }),
  'aws:index/getRegion:getRegion': ({ region }) => ({ region }),
  'aws:ecr/getAuthorizationToken:getAuthorizationToken': ({ region, domain }) => ({
    proxyEndpoint: `https://${ACCOUNT}.dkr.ecr.${region}.${domain}`,
    userName: 'AWS',
    password: 'token-of-some-hours',
  }),
};

type Computed = Readonly<Record<string, (name: string, inputs: Properties, place: PlayedAws) => ResourceState>>;

const COMPUTED: Computed = {
  'aws:s3/bucket:Bucket': (name, _, place) => ({
    id: `${name}-1a2b3c`,
    state: {
      bucket: `${name}-1a2b3c`,
      arn: arn({ ...place, region: '' }, 's3', `${name}-1a2b3c`, ''),
      region: place.region,
    },
  }),
  'aws:ecr/repository:Repository': (logicalName, inputs, { region, domain }) => {
    const name = (inputs['name'] as string | undefined) ?? logicalName;
    return { id: name, state: { name, repositoryUrl: `${ACCOUNT}.dkr.ecr.${region}.${domain}/${name}` } };
  },
  'aws:iam/role:Role': (name, _, place) => ({
    id: name,
    state: { name, arn: arn({ ...place, region: '' }, 'iam', `role/${name}`) },
  }),
  'aws:ec2/launchTemplate:LaunchTemplate': (name) => ({ id: `lt-${name}`, state: { latestVersion: 1 } }),
  'aws:kms/key:Key': (name, _, place) => ({ id: name, state: { arn: arn(place, 'kms', `key/${name}`) } }),
  'aws:eks/cluster:Cluster': (_, { name }, place) => ({
    id: name as string,
    state: {
      arn: arn(place, 'eks', `cluster/${name as string}`),
      createdAt: '2026-11-22T12:00:00Z',
      endpoint: `https://abc.gr7.${place.region}.eks.${place.domain}`,
      certificateAuthority: { data: 'Y2VydGlmaWNhdGU=' },
    },
  }),
  'aws:eks/nodeGroup:NodeGroup': (name, { clusterName }) => ({
    id: `${clusterName as string}:${name}`,
    state: { nodeGroupName: name, resources: [{ autoscalingGroups: [{ name: `eks-${name}` }] }] },
  }),
};

/** Of a global service the region is ''. */
function arn({ partition, region }: PlayedAws, service: string, resource: string, account = ACCOUNT): string {
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}
