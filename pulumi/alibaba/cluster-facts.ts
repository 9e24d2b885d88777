import type * as pulumi from '@pulumi/pulumi';

/** What the other components must know of an ACK cluster: `cluster.facts` of ours, or a literal for any other. */
export interface ClusterFacts {
  readonly id: pulumi.Input<string>;
  /** Of the machines. */
  readonly vswitchIds: pulumi.Input<pulumi.Input<string>[]>;
  /** Of RRSA, which must be on: the cluster's page shows it under Basic Information, Security and Auditing. */
  readonly oidcIssuerUrl: pulumi.Input<string>;
  /** `acs:ram::<account>:oidc-provider/ack-rrsa-<cluster>`. */
  readonly oidcProviderArn: pulumi.Input<string>;
  /**
   * Pods fetch models of buckets of this region by the internal network, which costs nothing and needs no way out.
   * @default - they fetch them by the public endpoint
   */
  readonly region?: pulumi.Input<string>;
}
