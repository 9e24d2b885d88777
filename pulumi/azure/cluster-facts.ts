import type * as pulumi from '@pulumi/pulumi';

/** What the other components must know of an AKS cluster: `cluster.facts` of ours, or a literal for any other. */
export interface ClusterFacts {
  readonly resourceGroupName: pulumi.Input<string>;
  readonly name: pulumi.Input<string>;
  /** `az aks show --query oidcIssuerProfile.issuerUrl`; the cluster needs its workload identity switched on, too. */
  readonly oidcIssuerUrl: pulumi.Input<string>;
  /** Subnet of the machines, in a network of one's own. @default - the network that AKS made for the cluster */
  readonly subnetId?: pulumi.Input<string>;
  /**
   * Object id of the identity by which machines pull images: `az aks show --query identityProfile.kubeletidentity.objectId`.
   * An image repository that lets the cluster pull needs it. @default - unknown
   */
  readonly kubeletPrincipalId?: pulumi.Input<string>;
  /**
   * What the names of rights hold that the cluster is given; it must stay, and be another one for each cluster of a list.
   * @default - of a cluster made here the component's name, else nothing
   */
  readonly label?: string;
}
