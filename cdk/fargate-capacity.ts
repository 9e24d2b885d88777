import * as ecs from 'aws-cdk-lib/aws-ecs';
import { Dependable, type IDependable } from 'constructs';
import type { ICapacity } from './capacity';

/** Fargate with a part on Fargate Spot. */
export class FargateCapacity implements ICapacity {
  readonly kind = 'fargate';
  readonly instanceTypes: readonly string[] = [];
  readonly spot: boolean;
  readonly strategy: readonly ecs.CapacityProviderStrategy[];

  constructor(spotPercentage: number, base: number) {
    this.spot = spotPercentage > 0;
    // A strategy may not consist of weights of zero. A base on demand needs its provider even where all above it is spot.
    const onDemand = { capacityProvider: 'FARGATE', weight: 100 - spotPercentage, ...(base > 0 ? { base } : {}) };
    const spot = { capacityProvider: 'FARGATE_SPOT', weight: spotPercentage };
    this.strategy = [onDemand, spot].filter((provider) => provider.weight > 0 || 'base' in provider);
  }

  /** A cluster takes a strategy of providers that are associated with it alone, Fargate's own too. */
  joinCluster(cluster: ecs.ICluster): IDependable | undefined {
    // What somebody else's app made cannot be changed here: its association is theirs.
    if (!ecs.Cluster.isCluster(cluster)) return undefined;
    cluster.enableFargateCapacityProviders();
    return associationOf(cluster);
  }
}

/**
 * What stands for a cluster's association with its capacity providers. CDK creates it late, under the cluster, and orders
 * nothing after it: so it is looked up when dependencies are resolved.
 */
export function associationOf(cluster: ecs.ICluster): IDependable {
  const dependable = {};
  Dependable.implement(dependable, {
    get dependencyRoots() {
      return cluster.node.children.filter((child) => child instanceof ecs.CfnClusterCapacityProviderAssociations);
    },
  });
  return dependable;
}
