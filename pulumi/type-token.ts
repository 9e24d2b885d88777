import type * as pulumi from '@pulumi/pulumi';

/** `slipway:aws:ModelBucket`. The SDK keeps it in every resource, by this name since its first version, and types it nowhere. */
export function typeTokenOf(component: pulumi.ComponentResource): string {
  return (component as unknown as { readonly __pulumiType: string }).__pulumiType;
}
