import type { DeclaredResource, OnInvoke, Properties, ResourceState } from 'slipway/testing';

// Not the commercial partition: an ARN written by hand would show.
const PARTITION = 'aws-cn';
const REGION = 'cn-north-1';
const ACCOUNT = '123456789012';

/** What the AWS provider computes for the resources that our components create. */
export function awsState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Answers the lookups that our components make. */
export const awsInvoke: OnInvoke = ({ token }) => LOOKUPS[token];

const LOOKUPS: Readonly<Record<string, Properties>> = {
  'aws:index/getCallerIdentity:getCallerIdentity': { accountId: ACCOUNT },
  'aws:index/getPartition:getPartition': { partition: PARTITION },
  'aws:index/getRegion:getRegion': { region: REGION },
  'aws:ecr/getAuthorizationToken:getAuthorizationToken': {
    proxyEndpoint: `https://${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com.cn`,
    userName: 'AWS',
    password: 'token-of-some-hours',
  },
};

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'aws:s3/bucket:Bucket': (name) => ({
    id: `${name}-1a2b3c`,
    state: { bucket: `${name}-1a2b3c`, arn: arn('s3', '', '', `${name}-1a2b3c`), region: REGION },
  }),
  'aws:ecr/repository:Repository': (logicalName, inputs) => {
    const name = (inputs['name'] as string | undefined) ?? logicalName;
    const region = (inputs['region'] as string | undefined) ?? REGION;
    return { id: name, state: { name, repositoryUrl: `${ACCOUNT}.dkr.ecr.${region}.amazonaws.com.cn/${name}` } };
  },
  'aws:iam/role:Role': (name) => ({ id: name, state: { name, arn: arn('iam', '', ACCOUNT, `role/${name}`) } }),
  'aws:ec2/launchTemplate:LaunchTemplate': (name) => ({ id: `lt-${name}`, state: { latestVersion: 1 } }),
  'aws:kms/key:Key': (name) => ({ id: name, state: { arn: arn('kms', REGION, ACCOUNT, `key/${name}`) } }),
  'aws:eks/cluster:Cluster': (_, { name }) => ({
    id: name as string,
    state: {
      arn: arn('eks', REGION, ACCOUNT, `cluster/${name as string}`),
      createdAt: '2026-11-22T12:00:00Z',
      endpoint: 'https://abc.gr7.cn-north-1.eks.amazonaws.com.cn',
      certificateAuthority: { data: 'Y2VydGlmaWNhdGU=' },
    },
  }),
  'aws:eks/nodeGroup:NodeGroup': (name, { clusterName }) => ({
    id: `${clusterName as string}:${name}`,
    state: { nodeGroupName: name, resources: [{ autoscalingGroups: [{ name: `eks-${name}` }] }] },
  }),
};

function arn(service: string, region: string, account: string, resource: string): string {
  return `arn:${PARTITION}:${service}:${region}:${account}:${resource}`;
}
