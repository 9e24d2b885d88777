import type * as pulumi from '@pulumi/pulumi';

/** Tags of everything that a component makes and that can have some. */
export interface Tags {
  readonly [key: string]: pulumi.Input<string>;
}
