import {
  BlobContainer,
  BlobServiceProperties,
  ManagementPolicy,
  StorageAccount,
  type StorageAccountArgs,
} from '@pulumi/azure-native/storage';
import type * as pulumi from '@pulumi/pulumi';
import { useKey, type EncryptionKey } from './encryption-key';
import { globalName } from './global-name';
import type { ModelBucketArgs } from './model-bucket';

/** Name of the one container of the account. */
const CONTAINER = 'models';

export interface ModelAccount {
  readonly account: StorageAccount;
  readonly container: BlobContainer;
}

/**
 * A storage account with one container. What protects it is kept with it.
 * @param noncurrentDays for which what was overwritten or deleted can be brought back.
 */
export function createAccount(
  name: string,
  args: ModelBucketArgs,
  noncurrentDays: number,
  parent: pulumi.ComponentResource,
): ModelAccount {
  const { resourceGroupName, encryptionKey, tags } = args;
  const child = { parent, retainOnDelete: args.keepOnDelete ?? true };
  const key = encryptionKey === undefined ? undefined : useKey(name, encryptionKey, resourceGroupName, tags, child);
  const account = new StorageAccount(
    name,
    {
      resourceGroupName,
      accountName: args.accountName ?? globalName(name, resourceGroupName, parent),
      kind: 'StorageV2',
      sku: { name: args.redundancy ?? 'Standard_ZRS' },
      allowBlobPublicAccess: false,
      allowSharedKeyAccess: args.uploadWithAccountKey ?? false,
      allowCrossTenantReplication: false,
      defaultToOAuthAuthentication: true,
      enableHttpsTrafficOnly: true,
      minimumTlsVersion: 'TLS1_2',
      ...networkOf(args),
      ...encryptionOf(key),
      tags,
    },
    { ...child, dependsOn: key === undefined ? [] : [key.grant] },
  );
  const place = { resourceGroupName, accountName: account.name };
  const recovery = { enabled: true, days: noncurrentDays };
  const service = new BlobServiceProperties(
    name,
    {
      ...place,
      blobServicesName: 'default',
      isVersioningEnabled: true,
      deleteRetentionPolicy: recovery,
      containerDeleteRetentionPolicy: recovery,
    },
    child,
  );
  const container = new BlobContainer(
    name,
    { ...place, containerName: CONTAINER, publicAccess: 'None' },
    // Without versions, the first files could be overwritten for good.
    { ...child, dependsOn: [service] },
  );
  new ManagementPolicy(
    name,
    { ...place, managementPolicyName: 'default', policy: { rules: [cleanUpRule(noncurrentDays)] } },
    { ...child, dependsOn: [service] },
  );
  return { account, container };
}

/** Nobody on the network, but the subnets and the addresses that are named; else private endpoints alone. */
function networkOf({ subnetIds = [], ipRanges = [] }: ModelBucketArgs): Partial<StorageAccountArgs> {
  return {
    publicNetworkAccess: subnetIds.length + ipRanges.length > 0 ? 'Enabled' : 'Disabled',
    networkRuleSet: {
      defaultAction: 'Deny',
      bypass: 'None',
      virtualNetworkRules: subnetIds.map((virtualNetworkResourceId) => ({ virtualNetworkResourceId, action: 'Allow' })),
      ipRules: ipRanges.map((iPAddressOrRange) => ({ iPAddressOrRange, action: 'Allow' })),
    },
  };
}

function encryptionOf(key: EncryptionKey | undefined): Partial<StorageAccountArgs> {
  const encryption = {
    requireInfrastructureEncryption: true,
    services: { blob: { enabled: true, keyType: 'Account' } },
  };
  if (key === undefined) return { encryption: { ...encryption, keySource: 'Microsoft.Storage' } };
  return {
    identity: { type: 'UserAssigned', userAssignedIdentities: [key.identity.id] },
    encryption: {
      ...encryption,
      keySource: 'Microsoft.Keyvault',
      keyVaultProperties: { keyName: key.keyName, keyVaultUri: key.vaultUri },
      encryptionIdentity: { encryptionUserAssignedIdentity: key.identity.id },
    },
  };
}

/**
 * Azure counts the age of a version from the day it was written, not from the day it was overwritten. What goes by this
 * rule is soft-deleted first, so it can still be brought back for as many days again.
 */
function cleanUpRule(noncurrentDays: number) {
  return {
    enabled: true,
    name: 'old-versions',
    type: 'Lifecycle',
    definition: {
      filters: { blobTypes: ['blockBlob'] },
      actions: { version: { delete: { daysAfterCreationGreaterThan: noncurrentDays } } },
    },
  };
}
