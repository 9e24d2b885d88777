import type * as pulumi from '@pulumi/pulumi';

/** A TKE cluster that is there already, as the components must know it. */
export interface ClusterFacts {
  readonly id: pulumi.Input<string>;
  readonly region: pulumi.Input<string>;
  readonly vpcId: pulumi.Input<string>;
  /** Of the machines. */
  readonly subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /** Of the machines. */
  readonly securityGroupIds: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Number of the account that owns the cluster and its identity provider. The provider is there, under the cluster's id, once
   * `tencentcloud_kubernetes_auth_attachment` switched on `auto_create_oidc_config` and the webhook.
   */
  readonly ownerUin: pulumi.Input<string>;
  /** `tke_default_issuer` of that attachment. */
  readonly oidcIssuerUrl: pulumi.Input<string>;
}
