import { Token } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';

// A key of the global registry, so that two installed copies of this package read each other's.
const KEY = Symbol.for('slipway.cdk.clusterKey');

/** Says which cluster this is where its own name comes late: all stacks that join a platform mean the same one. */
export function setClusterKey<T extends ecs.ICluster>(cluster: T, key: string): T {
  Object.defineProperty(cluster, KEY, { value: key });
  return cluster;
}

/**
 * The same text wherever the same cluster is meant, as far as anybody can know: an imported cluster is another object in
 * every stack, and where no region is said, the same name may mean two clusters.
 */
export function clusterKey(cluster: ecs.ICluster & { readonly [KEY]?: string }): string {
  const { clusterName, env } = cluster;
  const facts = [env.account, env.region, clusterName];
  return cluster[KEY] ?? (facts.some((fact) => Token.isUnresolved(fact)) ? cluster.node.path : facts.join('/'));
}
