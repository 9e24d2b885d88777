/**
 * Arguments that an update may be the first to know, by component: paths, `*` for whatever stands in a list or a map. All
 * others decide what there is to make. A test holds this against the schema, where the first are inputs and the others plain.
 */
export const LATE_ARGS: Readonly<Record<string, readonly string[]>> = {
  'slipway:index:InferenceService': [
    'namespace',
    'image',
    'clusterName',
    ...servedModels('models'),
    'identity.serviceAccountAnnotations.*',
    'identity.environment.*',
    'wake.queue.metadata.*',
    'canary.image',
    ...servedModels('canary.models'),
    'shadow.image',
    ...servedModels('shadow.models'),
  ],
  'slipway:index:ImagePrewarm': ['namespace', 'serverImages.*', 'modelImages.*', 'pauseImage'],
  'slipway:index:ModelJob': [
    'namespace',
    'image',
    'dataClaim',
    'identity.serviceAccountAnnotations.*',
    'identity.environment.*',
  ],
  'slipway:index:ModelStore': [
    'namespace',
    'image',
    'existingClaim',
    'storageClassName',
    'identity.serviceAccountAnnotations.*',
    'identity.environment.*',
  ],
  'slipway:index:PlatformAddons': [
    'karpenter.clusterName',
    'karpenter.interruptionQueue',
    'karpenter.roleArn',
    'mirror.password',
  ],
  'slipway:image:RuntimeImage': [
    'repositoryUri',
    'npmrc',
    'registries.*.address',
    'registries.*.username',
    'registries.*.password',
  ],

  'slipway:aws:Cluster': ['subnetIds', 'kubernetesVersion', 'encryptionKey', 'permissionsBoundaryArn', 'tags.*'],
  'slipway:aws:GpuInstanceGroup': ['cluster.*', 'nodeRoleArn', 'permissionsBoundaryArn', 'tags.*'],
  'slipway:aws:ImageRegistry': [],
  'slipway:aws:ImageRepository': ['encryptionKey', 'existing', 'tags.*'],
  'slipway:aws:ModelBucket': ['encryptionKey', 'existing.*', 'tags.*'],
  'slipway:aws:WorkloadIdentity': [
    ...readingPods(),
    'existingRoleArn',
    'oidcProviderArn',
    'permissionsBoundaryArn',
    'tags.*',
  ],

  'slipway:gcp:Cluster': [
    'location',
    'network',
    'subnetwork',
    'project',
    'podsRange',
    'servicesRange',
    'encryptionKey',
    'tags.*',
  ],
  'slipway:gcp:GpuInstanceGroup': ['cluster.*', 'nodeServiceAccount', 'tags.*'],
  'slipway:gcp:ImageRepository': ['location', 'project', 'encryptionKey', 'existing', 'tags.*'],
  'slipway:gcp:ModelBucket': ['location', 'project', 'encryptionKey', 'existing.*', 'tags.*'],
  'slipway:gcp:WorkloadIdentity': [...readingPods('name'), 'existingServiceAccount', 'tags.*'],

  'slipway:azure:Cluster': [
    'resourceGroupName',
    'adminGroupIds.*',
    'kubernetesVersion',
    'subnetId',
    'systemInstanceType',
    'logAnalyticsWorkspaceId',
    'tags.*',
  ],
  'slipway:azure:GpuInstanceGroup': [...azureCluster('cluster'), 'tags.*'],
  'slipway:azure:ImageRepository': [
    'resourceGroupName',
    ...azureCluster('pulledBy.*'),
    'encryptionKey',
    'existing',
    'registryName',
    'subnetId',
    'privateDnsZoneId',
    'ipRanges.*',
    'tags.*',
  ],
  'slipway:azure:ModelBucket': [
    'resourceGroupName',
    'subnetIds.*',
    'ipRanges.*',
    'encryptionKey',
    'existing.*',
    'accountName',
    'tags.*',
  ],
  'slipway:azure:WorkloadIdentity': [
    ...readingPods('containerId', azureCluster('cluster')),
    'existingClientId',
    'tags.*',
  ],

  'slipway:alibaba:Cluster': [
    'vswitchIds',
    'podVswitchIds',
    'serviceCidr',
    'kubernetesVersion',
    'encryptionKey',
    'tags.*',
  ],
  'slipway:alibaba:GpuInstanceGroup': ['cluster.*', 'diskEncryptionKey', 'keyName', 'tags.*'],
  'slipway:alibaba:ImageRepository': [
    'instanceId',
    'replicateTo.*.instanceId',
    'replicateTo.*.uri',
    'existing',
    'tags.*',
  ],
  'slipway:alibaba:ModelBucket': ['encryptionKey', 'existing.*', 'tags.*'],
  'slipway:alibaba:WorkloadIdentity': [...readingPods(), 'existingRoleName', 'tags.*'],

  'slipway:tencent:Cluster': [
    'region',
    'vpcId',
    'subnetIds',
    'securityGroupIds',
    'podSubnetIds',
    'kubernetesVersion',
    'encryptionKey',
    'tags.*',
  ],
  'slipway:tencent:GpuInstanceGroup': ['cluster.*', 'keyIds', 'tags.*'],
  'slipway:tencent:ImageRepository': [
    'registry.*',
    'replicateTo.*.registryId',
    'replicateTo.*.uri',
    'existing',
    'tags.*',
  ],
  'slipway:tencent:ModelBucket': ['region', 'encryptionKey', 'existing.*', 'tags.*'],
  'slipway:tencent:WorkloadIdentity': [...readingPods(), 'existingRoleName', 'tags.*'],
};

/** A literal, or what `modelAt` and its like and a bucket give: with where it lies, and whose bucket that is. */
function servedModels(path: string): readonly string[] {
  return ['repositoryUri', 'image', 'volume.claimName', 'volume.csi.attributes.*', 'location', 'mount', 'bucket'].map(
    (late) => `${path}.*.${late}`,
  );
}

/** Pods of a namespace of a cluster, and models as a bucket gives them, but for the label of either. */
function readingPods(bucketFact = '*', cluster: readonly string[] = ['cluster.*']): readonly string[] {
  return [...cluster, 'namespace', `reads.*.bucket.${bucketFact}`, 'reads.*.location'];
}

function azureCluster(path: string): readonly string[] {
  return ['resourceGroupName', 'name', 'oidcIssuerUrl', 'subnetId', 'kubeletPrincipalId'].map(
    (late) => `${path}.${late}`,
  );
}
