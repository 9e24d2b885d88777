import { Namespace } from '@pulumi/kubernetes/core/v1';
import { WorkloadIdentity } from '../../../pulumi/gcp';

/** Two buckets that are called the same, as only an update can see. */
const late = new Namespace('late');
const cluster = { name: 'c', location: 'europe-west4' };
const reads = ['a', 'b'].map((name) => ({
  name: 'digits',
  bucket: { name: late.id.apply(() => name), label: 'models' },
}));
new WorkloadIdentity('reader', { cluster, namespace: 'inference', reads });
