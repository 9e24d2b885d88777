import type * as pulumi from '@pulumi/pulumi';
import { accountName } from './account-name';
import { typeTokenOf } from './type-token';

/** What Pulumi puts behind a resource's name where no other is given: a hyphen and seven digits, or eight digits on Azure. */
const ADDED = 8;

/**
 * A name for a resource whose cloud takes fewer characters than its name here and what Pulumi adds: its beginning and a digest
 * of all of it. Where the name fits nothing is said, and Pulumi adds what it adds.
 * @param property what the resource calls its name
 * @param max characters that the cloud takes
 * @param parent a component; one of another type may have the same name, and makes other resources
 * @returns that argument, and the option that it asks for: a name that is given is taken while the old resource is there.
 */
export function fitName<P extends string>(
  property: P,
  max: number,
  name: string,
  parent: pulumi.ComponentResource,
): { readonly named: { readonly [key in P]?: string }; readonly once: { readonly deleteBeforeReplace?: true } } {
  if (name.length + ADDED <= max) return { named: {}, once: {} };
  const fitting = accountName(name, max, typeTokenOf(parent));
  return { named: { [property]: fitting } as { readonly [key in P]?: string }, once: { deleteBeforeReplace: true } };
}
