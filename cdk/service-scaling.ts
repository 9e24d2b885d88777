import type * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import type { WakeSource } from '../runtime/spec';
import type { Scaling } from './scaling';
import type { WatchedService } from './service-parts';

/** Lets the autoscaler own the number of replicas, and gives it the signals it acts on. */
export function scaleService(
  scope: Construct,
  watched: WatchedService,
  scaling: readonly Scaling[],
): ecs.ScalableTaskCount {
  const { minReplicas, maxReplicas } = watched.plan.scaling;
  const count = watched.service.autoScaleTaskCount({ minCapacity: minReplicas, maxCapacity: maxReplicas });
  const { scalableTargetId } = count.node.findChild('Target') as appscaling.ScalableTarget;
  for (const signal of scaling) signal.apply(scope, { count, scalableTargetId, watched });
  return count;
}

/** What starts the first replica of a service that may have none. */
export function wakeSourceOf(scaling: readonly Scaling[]): WakeSource | undefined {
  return scaling.map(({ wakesFromZero }) => wakesFromZero).find((source) => source !== undefined);
}
