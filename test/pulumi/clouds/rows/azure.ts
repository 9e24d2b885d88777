import { expect, test } from 'vitest';
import { findResource, propertyAt, type Properties } from 'slipway/testing';
import { azureInvoke, azureState } from '../../../support/pulumi-azure';
import type { CloudUnderTest } from '../cloud-under-test';
import { only, typesOf } from '../reading';

const BLOB_DATA_READER = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1';
const SPOT = { key: 'kubernetes.azure.com/scalesetpriority', value: 'spot', effect: 'NoSchedule' };

export const azure: CloudUnderTest = {
  cloud: 'azure',
  onResource: azureState,
  onInvoke: azureInvoke,
  lacks: ['immutable tags', 'image scan', 'closed metadata'],
  package: 'azure-native',
  untaggable: [
    'azure-native:authorization:RoleAssignment',
    'azure-native:managedidentity:FederatedIdentityCredential',
    'azure-native:monitor:DiagnosticSetting',
    'azure-native:network:Subnet',
    'azure-native:storage:Blob',
    'azure-native:storage:BlobContainer',
    'azure-native:storage:BlobServiceProperties',
    'azure-native:storage:ManagementPolicy',
  ],
  tagsOf: ({ inputs }) => inputs['tags'] as Properties | undefined,

  nodePool(children) {
    const { inputs, ignoreChanges } = only(children, 'azure-native:containerservice:AgentPool');
    return {
      labels: inputs['nodeLabels'] as Record<string, string>,
      taints: (inputs['nodeTaints'] as string[]).map((taint) => {
        const [, key, value, effect] = /^(.*)=(.*):(.*)$/.exec(taint)!;
        return { key: key!, value: value!, effect: effect! };
      }),
      minSize: inputs['minCount'] as number,
      maxSize: inputs['maxCount'] as number,
      isSpot: inputs['scaleSetPriority'] === 'Spot',
      diskSizeGiB: inputs['osDiskSizeGB'] as number,
      ignored: ignoreChanges,
      // Machines answer every pod; the service's network policy is what closes it.
      closesMetadata: false,
      encryptsDisks: inputs['enableEncryptionAtHost'] === true,
    };
  },
  countProperties: ['count'],
  spotTaints: [SPOT],

  repository(children) {
    const { inputs } = only(children, 'azure-native:containerregistry:Registry');
    const isKept = propertyAt(inputs, 'policies.retentionPolicy.status') === 'enabled';
    return {
      hasImmutableTags: false,
      scansImages: false,
      untaggedDays: isKept ? (propertyAt(inputs, 'policies.retentionPolicy.days') as number) : undefined,
      encryptionKey: propertyAt(inputs, 'encryption.keyVaultProperties.keyIdentifier'),
    };
  },

  mirrors: (children) =>
    typesOf(children, 'azure-native:containerregistry:Replication')
      .filter(({ inputs }) => inputs['registryName'] === 'mirrored1a2b3c')
      .map(({ inputs }) => inputs['location'] as string),
  mirrorRegion: 'eastasia',
  // One registry, which answers from the nearest copy.
  mirrorUri: 'mirrored1a2b3c.azurecr.io/mirrored',

  bucket(children) {
    const account = only(children, 'azure-native:storage:StorageAccount');
    const { inputs } = account;
    const service = only(children, 'azure-native:storage:BlobServiceProperties').inputs;
    const policy = only(children, 'azure-native:storage:ManagementPolicy').inputs;
    return {
      isClosedToPublic:
        inputs['allowBlobPublicAccess'] === false &&
        propertyAt(inputs, 'networkRuleSet.defaultAction') === 'Deny' &&
        only(children, 'azure-native:storage:BlobContainer').inputs['publicAccess'] === 'None',
      isEncrypted: propertyAt(inputs, 'encryption.services.blob.enabled') === true,
      encryptionKey: propertyAt(inputs, 'encryption.keyVaultProperties.keyName'),
      isTlsOnly: inputs['enableHttpsTrafficOnly'] === true && inputs['minimumTlsVersion'] === 'TLS1_2',
      isVersioned: service['isVersioningEnabled'] === true,
      noncurrentVersionDays: propertyAt(
        policy,
        'policy.rules[0].definition.actions.version.delete.daysAfterCreationGreaterThan',
      ) as number,
      deletesObjects: !account.retainOnDelete,
    };
  },
  objectKeys: (children) =>
    typesOf(children, 'azure-native:storage:Blob').map(({ inputs }) => inputs['blobName'] as string),

  identity(children) {
    const { inputs } = only(children, 'azure-native:managedidentity:FederatedIdentityCredential');
    const grants = typesOf(children, 'azure-native:authorization:RoleAssignment').map((grant) => grant.inputs);
    const conditions = grants.map(({ condition }) => condition as string);
    const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(inputs['subject'] as string)!;
    return {
      prefixes: conditions.flatMap((condition) =>
        [...condition.matchAll(/blobs:path\] StringStartsWith '([^']*)'/g)].map(([, prefix]) => prefix!),
      ),
      // Listing is the same action as reading, and has no path; a condition that set it apart would let it through.
      mayList: conditions.some(
        (condition) => !condition.startsWith("((!(ActionMatches{'") || condition.includes('SubOperationMatches'),
      ),
      mayWrite: grants.some(({ roleDefinitionId }) => !(roleDefinitionId as string).endsWith(BLOB_DATA_READER)),
      namespace: namespace!,
      serviceAccount: serviceAccount!,
    };
  },
  // Entra has no fixed addresses, like the account: one rule by port is for both, and furtherTests look for it.
  egress: [],
  bucketUri: (name) => (name === 'existing' ? 'az://teammodels/published/' : `az://${name}1a2b3c/models/`),

  cluster(children) {
    const { inputs, protect } = only(children, 'azure-native:containerservice:ManagedCluster');
    const logs = only(children, 'azure-native:monitor:DiagnosticSetting').inputs['logs'] as unknown as Properties[];
    return {
      hasPrivateEndpoint: propertyAt(inputs, 'apiServerAccessProfile.enablePrivateCluster') === true,
      hasPublicEndpoint: propertyAt(inputs, 'apiServerAccessProfile.enablePrivateClusterPublicFQDN') !== false,
      // Azure encrypts the cluster's store by itself, with a key of its own.
      encryptsSecrets: true,
      hasWorkloadIdentity:
        propertyAt(inputs, 'oidcIssuerProfile.enabled') === true &&
        propertyAt(inputs, 'securityProfile.workloadIdentity.enabled') === true,
      logsControlPlane: logs.some(({ category, enabled }) => category === 'kube-audit-admin' && enabled === true),
      isProtectedFromDeletion: protect,
      enforcesNetworkPolicies: propertyAt(inputs, 'networkProfile.networkPolicy') === 'cilium',
    };
  },

  furtherTests(recordings) {
    test('pods reach Entra, which gives them a token for their own', () => {
      const policy = findResource(recordings().up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'one');
      expect(propertyAt(policy.inputs, 'spec.egress')).toContainEqual({ ports: [{ protocol: 'TCP', port: 443 }] });
    });

    test('pods are labelled, and their account annotated, for the webhook that gives them their token', () => {
      const { up } = recordings();
      const deployment = findResource(up, 'kubernetes:apps/v1:Deployment', 'one').inputs;
      expect(propertyAt(deployment, 'spec.template.metadata.labels')).toMatchObject({
        'azure.workload.identity/use': 'true',
      });
      const account = findResource(up, 'kubernetes:core/v1:ServiceAccount', 'one').inputs;
      expect(propertyAt(account, 'metadata.annotations')).toMatchObject({
        'azure.workload.identity/client-id': 'one-client',
      });
    });
  },
};
