import type * as pulumi from '@pulumi/pulumi';

/** What the other components must know of a GKE cluster: `cluster.facts` of ours, or a literal for any other. */
export interface ClusterFacts {
  readonly name: pulumi.Input<string>;
  /** Region of the cluster, or the zone of a zonal one. */
  readonly location: pulumi.Input<string>;
  /** Id of the project. @default - the provider's */
  readonly project?: pulumi.Input<string>;
  /** Number of the project, by which IAM knows its pods. @default - looked up */
  readonly projectNumber?: pulumi.Input<string>;
}
