import { ImageRepository, ModelBucket, WorkloadIdentity } from '../../../pulumi/aws';

const encryptionKey = 'arn:aws-cn:kms:cn-north-1:123456789012:key/abc';

const cluster = { name: 'platform', subnetIds: ['subnet-a'] };
const models = new ModelBucket('models', { encryptionKey, keepOnDelete: false });
new ImageRepository('images', { encryptionKey, keepOnDelete: false });
const reads = ['digits', 'resnet50'].map((name) => models.model(name, { version: 1 }));
new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads });
