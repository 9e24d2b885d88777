import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { InferenceServicePlan } from '../runtime/spec';

/**
 * What answers requests: one target group of a kind while replicas are replaced in place, two where a rollout moves
 * traffic from one to the other. A group without traffic has no load balancer of its own to ask, so its metrics are named
 * by these dimensions and never through `group.metrics`.
 */
export interface ServiceTargets {
  /** `app/<name>/<id>`: the dimension `LoadBalancer` of metrics. */
  readonly loadBalancerFullName: string;
  /** Whether other services answer behind the same load balancer, whose own counts then say nothing of this one. */
  readonly isShared: boolean;
  readonly http: readonly elbv2.ApplicationTargetGroup[];
  /** Empty without gRPC. */
  readonly grpc: readonly elbv2.ApplicationTargetGroup[];
}

/** A service as whatever watches or scales it sees it. */
export interface WatchedService {
  readonly plan: InferenceServicePlan;
  readonly clusterName: string;
  readonly service: ecs.BaseService;
  /** @default - no load balancer: callers come through Service Connect or a queue */
  readonly targets?: ServiceTargets;
}
