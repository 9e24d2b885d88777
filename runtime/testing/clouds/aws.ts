import type { OnInvoke, OnResource, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

/** Where an account of AWS is played. */
export interface PlayedAws {
  readonly partition: string;
  readonly region: string;
  /** Of the addresses of its services. */
  readonly domain: string;
}

const ACCOUNT = '123456789012';
const EUROPE: PlayedAws = { partition: 'aws', region: 'eu-west-1', domain: 'amazonaws.com' };

/**
 * What the AWS provider computes for the resources that our components create, and the lookups that they make.
 * @param place @default - Europe (Ireland)
 */
export function playAws(place: PlayedAws = EUROPE): { readonly onResource: OnResource; readonly onInvoke: OnInvoke } {
  const computed = computedIn(place);
  const lookups = lookupsIn(place);
  return {
    onResource: ({ type, name, inputs }): ResourceState => computed[type]?.(name, inputs) ?? {},
    onInvoke: ({ token }) => lookups[token],
  };
}

function lookupsIn({ partition, region, domain }: PlayedAws): Readonly<Record<string, Properties>> {
  return {
    'aws:index/getCallerIdentity:getCallerIdentity': { accountId: ACCOUNT },
    'aws:index/getPartition:getPartition': { partition },
    'aws:index/getRegion:getRegion': { region },
    'aws:ecr/getAuthorizationToken:getAuthorizationToken': {
      proxyEndpoint: `https://${ACCOUNT}.dkr.ecr.${region}.${domain}`,
      userName: 'AWS',
      password: 'token-of-some-hours',
    },
  };
}

type Computed = Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>>;

function computedIn({ partition, region: here, domain }: PlayedAws): Computed {
  const arn = (service: string, region: string, account: string, resource: string): string =>
    `arn:${partition}:${service}:${region}:${account}:${resource}`;
  return {
    'aws:s3/bucket:Bucket': (name) => ({
      id: `${name}-1a2b3c`,
      state: { bucket: `${name}-1a2b3c`, arn: arn('s3', '', '', `${name}-1a2b3c`), region: here },
    }),
    'aws:ecr/repository:Repository': (logicalName, inputs) => {
      const name = (inputs['name'] as string | undefined) ?? logicalName;
      const region = (inputs['region'] as string | undefined) ?? here;
      return { id: name, state: { name, repositoryUrl: `${ACCOUNT}.dkr.ecr.${region}.${domain}/${name}` } };
    },
    'aws:iam/role:Role': (name) => ({ id: name, state: { name, arn: arn('iam', '', ACCOUNT, `role/${name}`) } }),
    'aws:ec2/launchTemplate:LaunchTemplate': (name) => ({ id: `lt-${name}`, state: { latestVersion: 1 } }),
    'aws:kms/key:Key': (name) => ({ id: name, state: { arn: arn('kms', here, ACCOUNT, `key/${name}`) } }),
    'aws:eks/cluster:Cluster': (_, { name }) => ({
      id: name as string,
      state: {
        arn: arn('eks', here, ACCOUNT, `cluster/${name as string}`),
        createdAt: '2026-11-22T12:00:00Z',
        endpoint: `https://abc.gr7.${here}.eks.${domain}`,
        certificateAuthority: { data: 'Y2VydGlmaWNhdGU=' },
      },
    }),
    'aws:eks/nodeGroup:NodeGroup': (name, { clusterName }) => ({
      id: `${clusterName as string}:${name}`,
      state: { nodeGroupName: name, resources: [{ autoscalingGroups: [{ name: `eks-${name}` }] }] },
    }),
  };
}
