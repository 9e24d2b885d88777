import { getClientConfigOutput, RoleAssignment } from '@pulumi/azure-native/authorization';
import * as pulumi from '@pulumi/pulumi';

/**
 * Roles that Azure has built in.
 * Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles, read 2026-11-22.
 */
export const ROLES = {
  acrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d',
  blobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1',
  keyVaultCryptoServiceEncryptionUser: 'e147488a-f6f5-4113-8e2d-b22465e65bf6',
  networkContributor: '4d97b98b-1d4f-4787-a291-c67834d212e7',
} as const;

export interface Grant {
  readonly role: keyof typeof ROLES;
  /** What the role is for: the id of a resource in Azure Resource Manager. */
  readonly scope: pulumi.Input<string>;
  readonly principalId: pulumi.Input<string>;
  /** Narrows the role further, in the words of Azure's attribute-based access control. */
  readonly condition?: string;
}

/** Gives an identity a role. Azure takes minutes until it holds everywhere. */
export function assignRole(
  name: string,
  { role, scope, principalId, condition }: Grant,
  opts: pulumi.CustomResourceOptions & { readonly parent: pulumi.Resource },
): RoleAssignment {
  const { subscriptionId } = getClientConfigOutput({ parent: opts.parent });
  return new RoleAssignment(
    name,
    {
      scope,
      principalId,
      // Said, Azure does not look the principal up: one that was made a moment ago would not be found.
      principalType: 'ServicePrincipal',
      roleDefinitionId: pulumi.interpolate`/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${ROLES[role]}`,
      ...(condition === undefined ? {} : { condition, conditionVersion: '2.0' }),
    },
    opts,
  );
}
