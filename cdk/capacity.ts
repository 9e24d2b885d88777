import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { IDependable } from 'constructs';

/** What a service needs to know about the machines it lands on. Late-bound are only the names in `strategy`. */
export interface ICapacity {
  /**
   * `instances`: machines of an Auto Scaling group. `managedInstances`: machines of the given types that ECS keeps by
   * itself. `fargate`: no machines to be seen.
   */
  readonly kind: 'instances' | 'managedInstances' | 'fargate';
  /** Types of the catalogue that a replica must fit; empty on Fargate. */
  readonly instanceTypes: readonly string[];
  /** Most machines. @default - no such limit, or nobody knows it */
  readonly maxMachines?: number;
  /** Whether AWS may take machines back with two minutes' notice. */
  readonly spot: boolean;
  /** Cluster that the machines joined. @default - any will do: Fargate, or machines of another app */
  readonly cluster?: ecs.ICluster;
  /** Where ECS places replicas; empty for the launch type Fargate. */
  readonly strategy: readonly ecs.CapacityProviderStrategy[];
  /** Folder of a machine that outlives replicas and holds downloaded models. @default - a replica's own scratch space */
  readonly modelCachePath?: string;
  /**
   * What a service must be created after and deleted before: the association with the cluster.
   * @default - nothing
   */
  readonly mustOutlive?: IDependable;
}

/** Fargate on demand: what a service runs on when nobody says otherwise. */
export const FARGATE_CAPACITY: ICapacity = { kind: 'fargate', instanceTypes: [], spot: false, strategy: [] };
