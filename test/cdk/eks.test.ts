import { type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import {
  Capacity,
  EksGpuNodeGroup,
  EksInferenceService,
  KarpenterGpuPool,
  type EksGpuNodeGroupProps,
  type EksInferenceServiceProps,
  type KarpenterGpuPoolProps,
} from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { describeWithAndWithoutFlags, imageByDigest, newStack, resourcesOf, theOnly } from './support/stacks';
import { digitsInBucket, digitsManifest, importedCluster, objectsOf, propertiesOf } from './support/targets';

let manifest: string;
beforeAll(async () => {
  manifest = await digitsManifest();
});

function newService(stack: Stack, props: Partial<EksInferenceServiceProps> = {}): EksInferenceService {
  return new EksInferenceService(stack, 'Digits', {
    namespace: 'inference',
    image: imageByDigest(stack),
    models: [digitsInBucket(stack, manifest)],
    ...props,
    cluster: props.cluster ?? importedCluster(stack),
  });
}

function newGroup(stack: Stack, props: Partial<EksGpuNodeGroupProps> = {}): EksGpuNodeGroup {
  return new EksGpuNodeGroup(stack, 'L4', {
    cluster: importedCluster(stack),
    capacity: Capacity.onDemand(['g6.xlarge', 'g6e.xlarge']),
    ...props,
  });
}

function newPool(stack: Stack, props: Partial<KarpenterGpuPoolProps> = {}): KarpenterGpuPool {
  return new KarpenterGpuPool(stack, 'L4', {
    capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge']),
    maxGpus: 8,
    subnetTags: { 'karpenter.sh/discovery': 'prod' },
    ...props,
    cluster: props.cluster ?? importedCluster(stack),
  });
}

describeWithAndWithoutFlags('EksInferenceService', (newStack) => {
  test('applies one manifest for each object, and leaves what others made alone', () => {
    const stack = newStack();
    newService(stack, { createNamespace: true });
    const template = Template.fromStack(stack);
    expect(Object.keys(objectsOf(template)).sort()).toEqual([
      'Deployment',
      'HorizontalPodAutoscaler',
      'Namespace',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
    ]);
    for (const manifest of propertiesOf(template, 'Custom::AWSCDK-EKS-KubernetesResource')) {
      expect(manifest).toMatchObject({ ClusterName: 'prod', Overwrite: false });
      expect(manifest.PruneLabel).toBeUndefined();
    }
  });

  test('pods of this service account of this namespace and cluster have the role, and nobody else', () => {
    const stack = newStack();
    newService(stack);
    const template = Template.fromStack(stack);
    const [role] = propertiesOf(template, 'AWS::IAM::Role');
    const statements = role.AssumeRolePolicyDocument.Statement;
    expect(statements.flatMap(({ Action }: any) => Action).sort()).toEqual(['sts:AssumeRole', 'sts:TagSession']);
    for (const statement of statements) {
      expect(statement).toMatchObject({
        Principal: { Service: 'pods.eks.amazonaws.com' },
        Condition: {
          StringEquals: {
            'aws:RequestTag/eks-cluster-name': 'prod',
            'aws:RequestTag/kubernetes-namespace': 'inference',
            'aws:RequestTag/kubernetes-service-account': 'digits',
          },
        },
      });
    }
    const [association] = propertiesOf(template, 'AWS::EKS::PodIdentityAssociation');
    expect(association).toMatchObject({ ClusterName: 'prod', Namespace: 'inference', ServiceAccount: 'digits' });
    const [policy] = propertiesOf(template, 'AWS::IAM::Policy');
    expect(policy.PolicyDocument.Statement).toEqual([
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: 'arn:aws:s3:::team-models/digits/*',
      },
    ]);
  });

  test('pods start once their account, their network policy and their identity are there', () => {
    const stack = newStack();
    newService(stack);
    const template = Template.fromStack(stack);
    const deployment = resourcesOf(template, 'Custom::AWSCDK-EKS-KubernetesResource').find(({ id }) =>
      id.includes('Deployment'),
    );
    expect(deployment!.DependsOn).toEqual(
      expect.arrayContaining([
        theOnly(template, 'AWS::EKS::PodIdentityAssociation').id,
        expect.stringContaining('ServiceAccount'),
        expect.stringContaining('NetworkPolicy'),
      ]),
    );
    const association = theOnly(template, 'AWS::EKS::PodIdentityAssociation');
    expect(association.DependsOn).toEqual([expect.stringContaining('ReadModels')]);
  });

  test('the image is named by its digest', () => {
    const stack = newStack();
    newService(stack);
    const { Deployment } = objectsOf(Template.fromStack(stack));
    expect(Deployment.spec.template.spec.containers[0].image).toMatch(/\/slipway@sha256:[0-9a-f]{64}$/);
  });
});

test('refuses a cluster to which the CDK can apply nothing, and says how to get what it needs', () => {
  const stack = newStack();
  expect(() => newService(stack, { cluster: importedCluster(stack, false) })).toThrow(
    /KUBECTL_PROVIDER_MISSING.*kubectlLayer/,
  );
  const other = newStack();
  expect(() => newPool(other, { cluster: importedCluster(other, false) })).toThrow('KUBECTL_PROVIDER_MISSING');
});

test('refuses a GPU service whose scaling signal has no source', () => {
  expect(() => newService(newStack(), { instanceTypes: ['g6.xlarge'] })).toThrow('SCALING_METRIC_UNNAMED');
});

describeWithAndWithoutFlags('EksGpuNodeGroup', (newStack) => {
  test.each(['g6.xlarge', 'g6e.xlarge', 'g5.xlarge', 'g4dn.xlarge', 'p5.48xlarge', 'p4d.24xlarge'])(
    '%s boots AL2023 with NVIDIA’s driver',
    (type) => {
      const stack = newStack();
      newGroup(stack, { capacity: Capacity.onDemand([type]) });
      expect(theOnly(Template.fromStack(stack), 'AWS::EKS::Nodegroup').Properties).toMatchObject({
        AmiType: 'AL2023_x86_64_NVIDIA',
        InstanceTypes: [type],
      });
    },
  );

  test('a group begins empty, belongs to the autoscaler, repairs its machines and keeps other pods off', () => {
    const stack = newStack();
    const { placement } = newGroup(stack, { capacity: Capacity.spotFirst(['g6.xlarge']), maxSize: 6 });
    const group = theOnly(Template.fromStack(stack), 'AWS::EKS::Nodegroup').Properties;
    expect(group).toMatchObject({
      CapacityType: 'SPOT',
      ForceUpdateEnabled: false,
      NodeRepairConfig: { Enabled: true },
      ScalingConfig: { MinSize: 0, MaxSize: 6 },
      Labels: { 'slipway.dev/pool': 'l4', 'k8s.amazonaws.com/accelerator': 'nvidia-l4' },
      Taints: [{ Key: 'nvidia.com/gpu', Value: 'present', Effect: 'NO_SCHEDULE' }],
      Tags: expect.objectContaining({ 'k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu': '1' }),
    });
    expect(group.ScalingConfig.DesiredSize).toBeUndefined();
    expect(placement.nodeSelector).toEqual({ 'slipway.dev/pool': 'l4' });
  });

  test('machines speak the second metadata version, to nobody one hop away, and encrypt their disks', () => {
    const stack = newStack();
    newGroup(stack);
    const { LaunchTemplateData } = theOnly(Template.fromStack(stack), 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.MetadataOptions).toEqual({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
    expect(LaunchTemplateData.BlockDeviceMappings[0].Ebs).toMatchObject({ Encrypted: true, VolumeType: 'gp3' });
  });

  test('a capacity block is bought by the launch template, which names its type', () => {
    const stack = newStack();
    newGroup(stack, { capacity: Capacity.capacityBlock('p5.48xlarge', { reservationId: 'cr-0123456789abcdef0' }) });
    const template = Template.fromStack(stack);
    expect(theOnly(template, 'AWS::EC2::LaunchTemplate').Properties.LaunchTemplateData).toMatchObject({
      InstanceType: 'p5.48xlarge',
      InstanceMarketOptions: { MarketType: 'capacity-block' },
      CapacityReservationSpecification: {
        CapacityReservationTarget: { CapacityReservationId: 'cr-0123456789abcdef0' },
      },
    });
    const group = theOnly(template, 'AWS::EKS::Nodegroup').Properties;
    expect(group.CapacityType).toBe('CAPACITY_BLOCK');
    expect(group.InstanceTypes).toBeUndefined();
  });
});

test.each([
  ['types that differ in GPUs', { capacity: Capacity.onDemand(['g6.xlarge', 'g6.12xlarge']) }, 'GPU_COUNT'],
  [
    'a base in a group of spot machines',
    { capacity: Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 1 }) },
    'CAPACITY_CHOICE',
  ],
  ['machines that ECS starts', { capacity: Capacity.managedInstances(['g6.xlarge']) }, 'CAPACITY_CHOICE'],
  ['fewer machines at most than at least', { minSize: 3, maxSize: 2 }, 'REPLICA_RANGE'],
] satisfies [string, Partial<EksGpuNodeGroupProps>, string][])('a node group refuses %s', (_what, props, code) => {
  expect(() => newGroup(newStack(), props)).toThrow(code);
});

describeWithAndWithoutFlags('KarpenterGpuPool', (newStack) => {
  test('the pool takes the named types, spot first, up to so many GPUs, and leaves machines with replicas alone', () => {
    const stack = newStack();
    newPool(stack);
    const { NodePool } = objectsOf(Template.fromStack(stack));
    expect(NodePool.spec.limits).toEqual({ 'nvidia.com/gpu': '8' });
    expect(NodePool.spec.disruption).toMatchObject({ consolidationPolicy: 'WhenEmpty' });
    const { requirements, taints } = NodePool.spec.template.spec;
    expect(requirements).toContainEqual({
      key: 'node.kubernetes.io/instance-type',
      operator: 'In',
      values: ['g6.xlarge', 'g5.xlarge'],
    });
    expect(requirements).toContainEqual({
      key: 'karpenter.sh/capacity-type',
      operator: 'In',
      values: ['spot', 'on-demand'],
    });
    expect(taints).toEqual([{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }]);
    expect(NodePool.spec.template.metadata.labels['slipway.dev/pool']).toBe('l4');
  });

  test('machines are closed like those of a node group, and keep models on their own disks', () => {
    const stack = newStack();
    newPool(stack);
    const { EC2NodeClass } = objectsOf(Template.fromStack(stack));
    expect(EC2NodeClass.spec).toMatchObject({
      metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1 },
      instanceStorePolicy: 'RAID0',
      subnetSelectorTerms: [{ tags: { 'karpenter.sh/discovery': 'prod' } }],
      securityGroupSelectorTerms: [{ id: 'sg-0123456789abcdef0' }],
    });
    expect(EC2NodeClass.spec.blockDeviceMappings[0].ebs.encrypted).toBe(true);
  });

  test('the cluster knows the role of the machines', () => {
    const stack = newStack();
    newPool(stack);
    const template = Template.fromStack(stack);
    const role = resourcesOf(template, 'AWS::IAM::Role').find(({ id }) => id.includes('NodeRole'));
    expect(theOnly(template, 'AWS::EKS::AccessEntry').Properties).toMatchObject({
      PrincipalArn: { 'Fn::GetAtt': [role!.id, 'Arn'] },
      Type: 'EC2_LINUX',
    });
  });
});

test.each([
  ['a reservation', { capacity: Capacity.reservation(['g6.xlarge'], 'cr-0123456789abcdef0') }, 'CAPACITY_CHOICE'],
  ['a base', { capacity: Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 1 }) }, 'CAPACITY_CHOICE'],
  ['fewer GPUs than one machine has', { capacity: Capacity.onDemand(['g6.12xlarge']), maxGpus: 3 }, 'NUMBER_INVALID'],
] satisfies [string, Partial<KarpenterGpuPoolProps>, string][])('a Karpenter pool refuses %s', (_what, props, code) => {
  expect(() => newPool(newStack(), props)).toThrow(code);
});
