import { createHash } from 'node:crypto';
import { getClientConfigOutput } from '@pulumi/azure-native/authorization';
import * as pulumi from '@pulumi/pulumi';

/** Of storage accounts, the shortest that Azure has; registries take more. */
const MAX_LENGTH = 24;
const DIGEST_LENGTH = 13;

/**
 * A name that all of Azure shares, as storage accounts and registries have it: lower-case letters and digits alone. It
 * hangs on the subscription, the resource group, the project, the stack and the component, so it stays the same, and another stack
 * has another one.
 */
export function globalName(
  name: string,
  resourceGroupName: pulumi.Input<string>,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const readable = name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .slice(0, MAX_LENGTH - DIGEST_LENGTH);
  const { subscriptionId } = getClientConfigOutput({ parent });
  return pulumi.all([subscriptionId, resourceGroupName]).apply((place) => {
    const text = [...place.map((part) => part.toLowerCase()), pulumi.getProject(), pulumi.getStack(), name].join('\n');
    return `${readable}${createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH)}`;
  });
}
