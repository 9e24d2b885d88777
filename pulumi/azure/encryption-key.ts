import { getKeyOutput } from '@pulumi/azure-native/keyvault';
import { UserAssignedIdentity } from '@pulumi/azure-native/managedidentity';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { assignRole } from './role-assignment';
import type { Tags } from '../tags';

/** A key of one's own, and the identity that wraps and unwraps with it. */
export interface EncryptionKey {
  readonly identity: UserAssignedIdentity;
  /** `https://<vault>.vault.azure.net`, in whichever cloud the vault is. */
  readonly vaultUri: pulumi.Output<string>;
  readonly keyName: pulumi.Output<string>;
  /** Without a version, so that a rotated key is taken up. */
  readonly keyUri: pulumi.Output<string>;
  /** What must be there before something is encrypted. */
  readonly grant: pulumi.Resource;
}

/**
 * @param keyId Id of the key in Azure Resource Manager, as `keyvault.Key` gives it. Its vault needs purge protection, and
 * Azure's roles for permissions.
 */
export function useKey(
  name: string,
  keyId: pulumi.Input<string>,
  resourceGroupName: pulumi.Input<string>,
  tags: Tags | undefined,
  opts: pulumi.CustomResourceOptions & { readonly parent: pulumi.Resource },
): EncryptionKey {
  const place = pulumi.output(keyId).apply((known) => {
    try {
      return placeOf(known);
    } catch (error) {
      throw SpecError.is(error) ? new pulumi.RunError(error.message) : error;
    }
  });
  const identity = new UserAssignedIdentity(`${name}-key`, { resourceGroupName, tags }, opts);
  const grant = assignRole(
    `${name}-key`,
    { role: 'keyVaultCryptoServiceEncryptionUser', scope: keyId, principalId: identity.principalId },
    opts,
  );
  const { keyUri } = getKeyOutput(
    { resourceGroupName: place.resourceGroupName, vaultName: place.vaultName, keyName: place.keyName },
    { parent: opts.parent },
  );
  return {
    identity,
    grant,
    keyUri,
    keyName: place.keyName,
    vaultUri: keyUri.apply((uri) => new URL(uri).origin),
  };
}

interface KeyPlace {
  readonly resourceGroupName: string;
  readonly vaultName: string;
  readonly keyName: string;
}

const KEY_ID =
  /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/Microsoft\.KeyVault\/vaults\/([^/]+)\/keys\/([^/]+)$/i;

/** @throws SpecError ENCRYPTION_KEY_INVALID */
function placeOf(keyId: string): KeyPlace {
  const match = KEY_ID.exec(keyId);
  if (match === null) {
    throw new SpecError(
      'ENCRYPTION_KEY_INVALID',
      'encryptionKey',
      `must be the id of a key in Azure Resource Manager, '/subscriptions/…/providers/Microsoft.KeyVault/vaults/…/keys/…', got '${keyId}'`,
    );
  }
  return { resourceGroupName: match[1]!, vaultName: match[2]!, keyName: match[3]! };
}

/** Refuses what is plain before anything is made; what is known only later is refused by `useKey`. @throws SpecError */
export function checkKeyId(keyId: pulumi.Input<string> | undefined): void {
  if (typeof keyId === 'string') placeOf(keyId);
}
