import type { DeclaredResource, OnInvoke, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

const PROJECT = 'team-vision';
const PROJECT_NUMBER = '123456789012';

/** What Google's provider computes for the resources that our components create. */
export function gcpState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Answers the lookups that our components make. */
export const gcpInvoke: OnInvoke = ({ token, args }) =>
  token === 'gcp:organizations/getProject:getProject'
    ? { projectId: args['projectId'] ?? PROJECT, number: PROJECT_NUMBER }
    : undefined;

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'gcp:storage/bucket:Bucket': (name) => ({ id: `${name}-1a2b3c`, state: { name: `${name}-1a2b3c` } }),
  'gcp:artifactregistry/repository:Repository': (name, { project }) => ({
    id: `projects/${PROJECT}/locations/europe-west4/repositories/${name}`,
    state: { project: project ?? PROJECT },
  }),
  'gcp:serviceaccount/account:Account': (name, { project }) => ({
    id: `projects/${PROJECT}/serviceAccounts/${name}`,
    state: { email: `${name}-1a2b3c@${project as string}.iam.gserviceaccount.com` },
  }),
  'gcp:container/cluster:Cluster': (name, { location }) => ({
    id: `projects/${PROJECT}/locations/${location as string}/clusters/${name}-1a2b3c`,
    state: {
      name: `${name}-1a2b3c`,
      endpoint: '10.0.0.2',
      masterAuth: { clusterCaCertificate: 'Y2VydGlmaWNhdGU=' },
    },
  }),
  'gcp:container/nodePool:NodePool': (name) => ({ id: `${name}-1a2b3c`, state: { name: `${name}-1a2b3c` } }),
};
