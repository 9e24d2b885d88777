import * as pulumi from '@pulumi/pulumi';
import * as azure from '../../../pulumi/azure';
import * as gcp from '../../../pulumi/gcp';
import { refusalOf } from '../../support/pulumi-refusal';

/** The same rights twice: `further` puts one more before each of them. */
const further = new pulumi.Config().requireBoolean('further');
const resourceGroupName = 'inference';
const version = { version: 1 };
const namespace = 'inference';

const literal = (name: string): azure.ClusterFacts => ({
  resourceGroupName,
  name,
  oidcIssuerUrl: 'https://oidc.example.com/',
  kubeletPrincipalId: `${name}-kubelet`,
});
const platform = new azure.Cluster('platform', { resourceGroupName, adminGroupIds: ['a-group'] });
const pulledBy = [...(further ? [{ ...literal('blue'), label: 'blue' }] : []), platform.facts, literal('old')];
new azure.ImageRepository('images', { resourceGroupName, pulledBy });

const onAzure = ['first', 'second'].map((name) => new azure.ModelBucket(name, { resourceGroupName }));
const cluster = literal('old');
const azureReads = [
  ...(further ? [onAzure[0]!.model('digits', version)] : []),
  onAzure[1]!.model('digits', version),
  // A copy says the same: it is no other bucket.
  { name: 'resnet50', bucket: { ...onAzure[1]!.facts } },
];
new azure.WorkloadIdentity('on-azure', { cluster, namespace, reads: azureReads });

const onGcp = ['first', 'second'].map((name) => new gcp.ModelBucket(name, { location: 'europe-west4' }));
const gcpReads = [
  ...(further ? [onGcp[0]!.model('digits', version)] : []),
  onGcp[1]!.model('digits', version),
  { name: 'digits', bucket: { name: 'a-bucket' } },
];
new gcp.WorkloadIdentity('on-gcp', { cluster: { name: 'c', location: 'europe-west4' }, namespace, reads: gcpReads });

const made: Record<string, () => unknown> = {
  'two clusters without labels': () =>
    new azure.ImageRepository('a', { resourceGroupName, pulledBy: [literal('blue'), literal('old')] }),
  'two clusters with one label': () =>
    new azure.ImageRepository('b', {
      resourceGroupName,
      pulledBy: [
        { ...literal('blue'), label: 'x' },
        { ...literal('old'), label: 'x' },
      ],
    }),
  'two buckets without labels': () =>
    new gcp.WorkloadIdentity('c', {
      cluster: { name: 'c', location: 'europe-west4' },
      namespace,
      reads: [
        { name: 'digits', bucket: { name: 'a' } },
        { name: 'digits', bucket: { name: 'b' } },
      ],
    }),
};

export const refusals = Object.fromEntries(Object.entries(made).map(([name, make]) => [name, refusalOf(make)]));
