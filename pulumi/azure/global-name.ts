import { createHash } from 'node:crypto';
import { getClientConfigOutput } from '@pulumi/azure-native/authorization';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';

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

const NAMES = {
  accountName: { pattern: /^[a-z0-9]{3,24}$/, words: '3 to 24 lower-case letters and digits' },
  registryName: { pattern: /^[A-Za-z0-9]{5,50}$/, words: '5 to 50 letters and digits' },
} as const;

/** Refuses a name that Azure would, where it is plain. @throws SpecError NAME_INVALID */
export function checkGlobalName(path: keyof typeof NAMES, name: pulumi.Input<string> | undefined): void {
  const { pattern, words } = NAMES[path];
  if (typeof name !== 'string' || pattern.test(name)) return;
  throw new SpecError('NAME_INVALID', path, `must be ${words}, got '${name}'`);
}
