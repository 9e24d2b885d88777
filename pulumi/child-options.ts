import type * as pulumi from '@pulumi/pulumi';

/** Options of what a component makes. */
export type ChildOptions = pulumi.CustomResourceOptions & { readonly parent: pulumi.ComponentResource };
