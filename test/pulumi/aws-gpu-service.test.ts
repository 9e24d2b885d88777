import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  containsUnknown,
  findDescendants,
  findResource,
  findResources,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type Properties,
  type PulumiRecording,
  type RecordedResource,
} from 'slipway/testing';
import { awsInvoke, awsState } from '../support/pulumi-aws';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const program = {
  program: path.join(__dirname, 'programs/aws-gpu-service.ts'),
  typeCheck: false,
  onResource: awsState,
  onInvoke: awsInvoke,
};
let preview: PulumiRecording;
let up: PulumiRecording;

beforeAll(async () => {
  preview = assertSucceeded(await runPulumiProgram({ ...program, preview: true }));
  up = assertSucceeded(await runPulumiProgram(program));
});

describe('preview and up', () => {
  test('register the same resources, and none inside apply', () => {
    expect(() => assertSameResources(preview, up)).not.toThrow();
  });

  test('bucket, image repository, role and endpoint are truly unknown at preview', () => {
    expect(preview.stackOutputs).toEqual({ bucket: UNKNOWN, repository: UNKNOWN, roleArn: UNKNOWN, url: UNKNOWN });
    const deployment = findResource(preview, 'kubernetes:apps/v1:Deployment');
    expect(propertyAt(deployment.inputs, 'spec.template.spec.containers[0].image')).toEqual(UNKNOWN);
    expect(environment(deployment)['SLIPWAY_MODELS']).toEqual(UNKNOWN);
  });

  test('the endpoint, the bucket and the image repository are known after up', () => {
    expect(up.stackOutputs).toEqual({
      bucket: 's3://models-1a2b3c',
      repository: '123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/images',
      roleArn: 'arn:aws-cn:iam::123456789012:role/digits',
      url: 'http://digits.inference.svc:8080',
    });
  });

  test('no ARN names a partition that was not looked up', () => {
    expect(JSON.stringify(up.resources)).toContain('arn:aws-cn:');
    expect(JSON.stringify(up.resources)).not.toContain('arn:aws:');
  });

  test('type tokens are public API', () => {
    expect([...new Set(up.resources.map(({ type }) => type))].filter((type) => type.startsWith('slipway:')).sort())
      .toMatchInlineSnapshot(`
      [
        "slipway:aws:GpuInstanceGroup",
        "slipway:aws:ImageRepository",
        "slipway:aws:ModelBucket",
        "slipway:aws:WorkloadIdentity",
        "slipway:index:InferenceService",
      ]
    `);
  });
});

describe('every component', () => {
  test.each([
    ['slipway:aws:GpuInstanceGroup', 't4', 11],
    ['slipway:aws:ImageRepository', 'images', 2],
    ['slipway:aws:ModelBucket', 'models', 7],
    ['slipway:aws:WorkloadIdentity', 'digits', 3],
    ['slipway:index:InferenceService', 'digits', 10],
  ])('%s has its children under itself, named after itself', (type, name, count) => {
    const children = findDescendants(up, findResource(up, type).urn);
    expect(children).toHaveLength(count);
    for (const child of children) expect(child.name).toMatch(new RegExp(`^${name}(-|$)`));
  });

  test('nothing but components stands at the top of the stack', () => {
    const stack = findResource(up, 'pulumi:pulumi:Stack').urn;
    expect(up.resources.filter(({ parent, custom }) => custom && parent === stack)).toEqual([]);
  });
});

describe('the model bucket', () => {
  const child = (type: string) => findResource(up, `aws:s3/${type}`);

  test('is closed to the public, whoever asks', () => {
    expect(child('bucketPublicAccessBlock:BucketPublicAccessBlock').inputs).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(propertyAt(child('bucketOwnershipControls:BucketOwnershipControls').inputs, 'rule.objectOwnership')).toBe(
      'BucketOwnerEnforced',
    );
  });

  test('is encrypted and versioned', () => {
    const encryption = child('bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration');
    expect(propertyAt(encryption.inputs, 'rules[0].applyServerSideEncryptionByDefault.sseAlgorithm')).toBe('AES256');
    expect(propertyAt(child('bucketVersioning:BucketVersioning').inputs, 'versioningConfiguration.status')).toBe(
      'Enabled',
    );
  });

  test('refuses plain HTTP and TLS below 1.2', () => {
    const { Statement } = policyOf(child('bucketPolicy:BucketPolicy'));
    const resources = ['arn:aws-cn:s3:::models-1a2b3c', 'arn:aws-cn:s3:::models-1a2b3c/*'];
    expect(Statement).toMatchObject([
      { Effect: 'Deny', Principal: '*', Resource: resources, Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
      {
        Effect: 'Deny',
        Principal: '*',
        Resource: resources,
        Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } },
      },
    ]);
  });

  test('is kept with all that protects it when the component goes', () => {
    const children = findDescendants(up, findResource(up, 'slipway:aws:ModelBucket').urn);
    expect(children.filter(({ retainOnDelete }) => !retainOnDelete)).toEqual([]);
    expect(child('bucket:Bucket').inputs['forceDestroy']).toBe(false);
  });
});

describe('the image repository', () => {
  test('has immutable tags, scans every push and is kept', () => {
    const repository = findResource(up, 'aws:ecr/repository:Repository');
    expect(repository.inputs).toMatchObject({
      imageTagMutability: 'IMMUTABLE',
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfigurations: [{ encryptionType: 'AES256' }],
      forceDelete: false,
    });
    expect(repository.retainOnDelete).toBe(true);
  });

  test('expires what no tag names, and nothing else', () => {
    const { rules } = JSON.parse(
      findResource(up, 'aws:ecr/lifecyclePolicy:LifecyclePolicy').inputs['policy'] as string,
    );
    expect(rules).toMatchObject([
      { selection: { tagStatus: 'untagged', countNumber: 14 }, action: { type: 'expire' } },
    ]);
    expect(rules).toHaveLength(1);
  });
});

describe('the identity', () => {
  test('may read objects of its own models and nothing else', () => {
    expect(policyOf(findResource(up, 'aws:iam/rolePolicy:RolePolicy')).Statement).toEqual([
      {
        Sid: 'ReadModels',
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: ['arn:aws-cn:s3:::models-1a2b3c/digits/*'],
      },
    ]);
  });

  test('is trusted to EKS for the pods of one service account of one cluster', () => {
    const role = findResources(up, 'aws:iam/role:Role').find(({ name }) => name === 'digits')!;
    expect(JSON.parse(role.inputs['assumeRolePolicy'] as string).Statement).toEqual([
      {
        Effect: 'Allow',
        Principal: { Service: 'pods.eks.amazonaws.com' },
        Action: ['sts:AssumeRole', 'sts:TagSession'],
        Condition: {
          StringEquals: {
            'aws:RequestTag/eks-cluster-name': 'platform',
            'aws:RequestTag/kubernetes-namespace': 'inference',
            'aws:RequestTag/kubernetes-service-account': 'digits',
          },
        },
      },
    ]);
    expect(findResource(up, 'aws:eks/podIdentityAssociation:PodIdentityAssociation').inputs).toMatchObject({
      clusterName: 'platform',
      namespace: 'inference',
      serviceAccount: 'digits',
      roleArn: 'arn:aws-cn:iam::123456789012:role/digits',
    });
  });

  test('is in place before the first pod', () => {
    const association = findResource(up, 'aws:eks/podIdentityAssociation:PodIdentityAssociation');
    expect(association.dependencies).toContain(findResource(up, 'aws:iam/rolePolicy:RolePolicy').urn);
    const deployment = findResource(up, 'kubernetes:apps/v1:Deployment');
    expect(deployment.dependencies).toContain(association.urn);
    expect(environment(deployment)['AWS_REGION']).toBe('cn-north-1');
  });

  test('is reachable through the network policy', () => {
    const egress = propertyAt(findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy').inputs, 'spec.egress');
    expect(egress).toContainEqual({
      to: [{ ipBlock: { cidr: '169.254.170.23/32' } }],
      ports: [{ protocol: 'TCP', port: 80 }],
    });
  });
});

describe('the GPU instance group', () => {
  const group = () => findResource(up, 'aws:eks/nodeGroup:NodeGroup');

  test('closes instance metadata to pods and encrypts its disks', () => {
    const template = findResource(up, 'aws:ec2/launchTemplate:LaunchTemplate');
    expect(template.inputs['metadataOptions']).toMatchObject({ httpTokens: 'required', httpPutResponseHopLimit: 1 });
    expect(propertyAt(template.inputs, 'blockDeviceMappings[0].ebs')).toMatchObject({
      encrypted: 'true',
      volumeType: 'gp3',
    });
  });

  test("starts from zero, and its size is the autoscaler's from then on", () => {
    expect(group().inputs).toMatchObject({
      amiType: 'AL2023_x86_64_NVIDIA',
      capacityType: 'SPOT',
      instanceTypes: ['g4dn.xlarge', 'g4dn.2xlarge'],
      scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 0 },
      nodeRepairConfig: { enabled: true },
      launchTemplate: { id: 'lt-t4', version: '1' },
    });
    expect(group().ignoreChanges).toEqual(['scalingConfig.desiredSize']);
  });

  test('is tainted, and its own placement tolerates the taint', () => {
    expect(group().inputs['taints']).toEqual([{ key: 'nvidia.com/gpu', value: 'present', effect: 'NO_SCHEDULE' }]);
    const pod = propertyAt(
      findResource(up, 'kubernetes:apps/v1:Deployment').inputs,
      'spec.template.spec',
    ) as Properties;
    expect(pod['tolerations']).toEqual([
      { key: 'nvidia.com/gpu', operator: 'Equal', value: 'present', effect: 'NoSchedule' },
    ]);
    expect(pod['nodeSelector']).toEqual({ 'slipway.dev/pool': 't4' });
    expect(group().inputs['labels']).toMatchObject({ 'slipway.dev/pool': 't4' });
  });

  test('tells the cluster autoscaler what an empty group would give', () => {
    const tags = findResources(up, 'aws:autoscaling/tag:Tag');
    expect(tags.every(({ inputs }) => inputs['autoscalingGroupName'] === 'eks-t4')).toBe(true);
    const hints = Object.fromEntries(
      tags.map(({ inputs }) => [propertyAt(inputs, 'tag.key'), propertyAt(inputs, 'tag.value')]),
    );
    const prefix = 'k8s.io/cluster-autoscaler/node-template';
    expect(hints).toEqual({
      [`${prefix}/resources/nvidia.com/gpu`]: '1',
      [`${prefix}/resources/ephemeral-storage`]: '200Gi',
      [`${prefix}/label/slipway.dev/pool`]: 't4',
      [`${prefix}/label/k8s.amazonaws.com/accelerator`]: 'nvidia-t4',
      [`${prefix}/taint/nvidia.com/gpu`]: 'present:NoSchedule',
    });
  });

  test('names the managed policies of its machines in the partition at hand', () => {
    expect(
      findResources(up, 'aws:iam/rolePolicyAttachment:RolePolicyAttachment').map(({ inputs }) => inputs['policyArn']),
    ).toEqual([
      'arn:aws-cn:iam::aws:policy/AmazonEKSWorkerNodePolicy',
      'arn:aws-cn:iam::aws:policy/AmazonEKS_CNI_Policy',
      'arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly',
    ]);
  });
});

describe('the service', () => {
  test('is waited for as long as a machine and a start may take', () => {
    const deployment = findResource(up, 'kubernetes:apps/v1:Deployment');
    const deadline = propertyAt(deployment.inputs, 'spec.progressDeadlineSeconds') as number;
    const awaited = { create: `${2 * deadline}s`, update: `${2 * deadline}s` };
    expect(deployment.customTimeouts).toMatchObject(awaited);
    expect(findResource(up, 'kubernetes:core/v1:Service').customTimeouts).toMatchObject(awaited);
    expect(deadline).toBeGreaterThan(600);
  });

  test('is given the time to drain when it goes, beside the ten minutes that the provider takes', () => {
    const deployment = findResource(up, 'kubernetes:apps/v1:Deployment');
    const drain = propertyAt(deployment.inputs, 'spec.template.spec.terminationGracePeriodSeconds') as number;
    expect(deployment.customTimeouts.delete).toBe(`${600 + drain}s`);
  });

  test('leaves the number of replicas to the autoscaler', () => {
    expect(findResource(up, 'kubernetes:apps/v1:Deployment').inputs['spec']).not.toHaveProperty('replicas');
    expect(propertyAt(findResource(up, 'kubernetes:keda.sh/v1alpha1:ScaledObject').inputs, 'spec')).toMatchObject({
      minReplicaCount: 1,
      maxReplicaCount: 4,
    });
  });

  test('says exactly which model to serve', () => {
    const models = JSON.parse(
      environment(findResource(up, 'kubernetes:apps/v1:Deployment'))['SLIPWAY_MODELS'] as string,
    );
    expect(models).toEqual([{ name: 'digits', version: 3, maxBatchSize: 32, folder: 's3://models-1a2b3c/digits/3/' }]);
  });

  test('runs in a namespace that enforces Pod Security restricted', () => {
    expect(propertyAt(findResource(up, 'kubernetes:core/v1:Namespace').inputs, 'metadata')).toMatchObject({
      name: 'inference',
      labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    });
  });

  test('nothing of an up is left unknown', () => {
    expect(up.resources.filter(({ inputs }) => containsUnknown(inputs))).toEqual([]);
  });
});

function policyOf(resource: RecordedResource): { Statement: unknown } {
  return JSON.parse(resource.inputs['policy'] as string);
}

function environment(deployment: RecordedResource): Properties {
  const env = propertyAt(deployment.inputs, 'spec.template.spec.containers[0].env') as unknown as readonly {
    name: string;
    value: Properties[string];
  }[];
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}
