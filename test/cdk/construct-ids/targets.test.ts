import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import {
  BatchInferenceJob,
  Capacity,
  EksGpuNodeGroup,
  EksInferenceService,
  GpuJobQueue,
  KarpenterGpuPool,
  MultiNodeTrainingJob,
  SageMakerComponentEndpoint,
  SageMakerEndpoint,
} from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { imageByDigest, newStack } from '../support/stacks';
import { digitsInBucket, digitsManifest, importedCluster, newVpc } from '../support/targets';

test('endpoints of SageMaker and their components', async () => {
  const stack = newStack();
  const model = digitsInBucket(stack, await digitsManifest());
  const image = imageByDigest(stack);
  const vpc = newVpc(stack);
  const bucket = s3.Bucket.fromBucketName(stack, 'Requests', 'team-requests');
  const endpoint = new SageMakerEndpoint(stack, 'Digits', {
    ...{ model, image, vpc, instanceType: 'ml.g6.xlarge', minReplicas: 0 },
    asyncInference: { inputs: { bucket, prefix: 'in/' }, results: { bucket, prefix: 'out/' } },
  });
  expect(idsOf(endpoint).toSorted()).toEqual(
    [
      ...['Role', 'ReadModels<digest>', 'Models', 'SecurityGroup', 'Model', 'AnswerLater', 'Config', 'Alarms'],
      ...['Endpoint', 'ScalingRole', 'ScalableTarget', 'WakeAction', 'Wake'],
    ].toSorted(),
  );
  const shared = new SageMakerComponentEndpoint(stack, 'Shared', { instanceType: 'ml.g6.12xlarge' });
  const component = shared.addComponent('Digits', { model, image });
  expect(idsOf(shared)).toEqual(['Role', 'Config', 'Endpoint', 'Digits']);
  expect(idsOf(component).toSorted()).toEqual(
    [
      ...['Role', 'ReadModels<digest>', 'Models', 'Model', 'Alarms', 'Component'],
      ...['ScalingRole', 'ScalableTarget', 'WakeAction', 'Wake'],
    ].toSorted(),
  );
});

test('services and machines of EKS', async () => {
  const stack = newStack();
  const cluster = importedCluster(stack);
  const service = new EksInferenceService(stack, 'Digits', {
    cluster,
    namespace: 'inference',
    createNamespace: true,
    models: [digitsInBucket(stack, await digitsManifest())],
    image: imageByDigest(stack),
  });
  expect(idsOf(service)).toEqual([
    ...['Role', 'ReadModels<digest>', 'Models', 'PodIdentity', 'Namespace', 'ServiceAccount', 'NetworkPolicy'],
    ...['Deployment', 'Service', 'PodDisruptionBudget', 'Autoscaler'],
  ]);
  const capacity = Capacity.onDemand(['g6.xlarge']);
  expect(idsOf(new EksGpuNodeGroup(stack, 'Group', { cluster, capacity }))).toEqual(['LaunchTemplate', 'NodeGroup']);
  const pool = new KarpenterGpuPool(stack, 'Pool', { cluster, capacity, maxGpus: 4, subnetTags: { a: 'b' } });
  expect(idsOf(pool)).toEqual(['NodeRole', 'AccessEntry', 'NodeClass', 'NodePool']);
});

test('queues and jobs of Batch', async () => {
  const stack = newStack();
  const capacity = Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 1 });
  const vpc = newVpc(stack);
  const queue = new GpuJobQueue(stack, 'Queue', { vpc, capacity });
  expect(idsOf(queue)).toEqual(['SecurityGroup', 'InstanceRole', 'LaunchTemplate', 'Spot', 'OnDemand', 'Queue']);
  const bucket = s3.Bucket.fromBucketName(stack, 'Requests', 'team-requests');
  const job = new BatchInferenceJob(stack, 'Score', {
    queue,
    model: digitsInBucket(stack, await digitsManifest()),
    image: imageByDigest(stack),
    inputs: { bucket, prefix: 'in/' },
    results: { bucket, prefix: 'out/' },
  });
  expect(idsOf(job)).toEqual([
    ...['Logs', 'ExecutionRole', 'JobRole', 'ReadModels<digest>', 'Models', 'Objects', 'Container', 'JobDefinition'],
  ]);
  const training = new MultiNodeTrainingJob(stack, 'Train', {
    queue: new GpuJobQueue(stack, 'Reserved', { vpc, capacity: Capacity.onDemand(['g6.xlarge']) }),
    image: ecs.ContainerImage.fromRegistry('registry.example.com/train'),
    command: ['train'],
    nodes: 2,
  });
  expect(idsOf(training)).toEqual([
    ...['Logs', 'ExecutionRole', 'JobRole', 'LinuxParameters', 'Container', 'JobDefinition'],
  ]);
});
