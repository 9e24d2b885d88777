import * as aws from '@pulumi/aws';
import * as alibaba from '../../../pulumi/alibaba';
import { ImageRepository, ModelBucket, WorkloadIdentity } from '../../../pulumi/aws';

/** One bucket where the stack is, one by a provider of its own, and an image copied to a third region. */
const tokyo = new aws.Provider('tokyo', { region: 'ap-northeast-1' });
const images = new ImageRepository('images', { replicateTo: ['us-east-1'] });
const here = new ModelBucket('here');
const there = new ModelBucket('there', {}, { providers: [tokyo] });
const role = new WorkloadIdentity('reader', {
  cluster: { name: 'c' },
  namespace: 'inference',
  reads: [here.model('digits', { version: 1 })],
});
const instanceId = 'cri-team';

export const regions = { here: here.facts.region, there: there.facts.region };
export const [uri, roleArn] = [images.uri, role.roleArn];
export const inChina = new alibaba.ImageRepository('images', { instanceId }).uri;
