import { ImageRepository, ModelBucket, WorkloadIdentity } from '../../../pulumi/aws';

const kmsKeyArn = 'arn:aws-cn:kms:cn-north-1:123456789012:key/abc';

const models = new ModelBucket('models', { kmsKeyArn, keepOnDelete: false });
new ImageRepository('images', { kmsKeyArn, keepOnDelete: false });
const reads = ['digits', 'resnet50'].map((name) => models.model(name, { version: 1 }));
new WorkloadIdentity('digits', { clusterName: 'platform', namespace: 'inference', reads });
