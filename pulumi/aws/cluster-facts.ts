import type * as pulumi from '@pulumi/pulumi';

/** What the other components must know of an EKS cluster: `cluster.facts` of ours, or a literal for any other. */
export interface ClusterFacts {
  readonly name: pulumi.Input<string>;
  /** Private subnets for machines; GPU stock differs between zones, so more zones start sooner. */
  readonly subnetIds: pulumi.Input<pulumi.Input<string>[]>;
}

/** A cluster that pods are told by: `ClusterFacts` is one. */
export interface NamedCluster {
  readonly name: pulumi.Input<string>;
}
