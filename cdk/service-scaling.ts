import type * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { SpecError, type WakeSource } from '../runtime/spec';
import type { Scaling } from './scaling';
import type { WatchedService } from './service-parts';

/**
 * Lets the autoscaler own the number of replicas, and gives it the signals it acts on. Without any it stays at minReplicas.
 * @throws SpecError SCALING_CONFLICT when signals contradict each other or the service.
 */
export function scaleService(
  scope: Construct,
  watched: WatchedService,
  scaling: readonly Scaling[],
): ecs.ScalableTaskCount {
  assertScaling(watched, scaling);
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

function assertScaling({ plan, targets }: WatchedService, scaling: readonly Scaling[]): void {
  const kinds = scaling.map(({ kind }) => kind);
  const signals = kinds.filter((kind) => kind !== 'schedule');
  const twice = signals.find((kind, i) => signals.indexOf(kind) !== i);
  if (twice !== undefined) conflict(`got Scaling.${twice} twice; one of them`);
  const ids = scaling.flatMap(({ id }) => id ?? []);
  const sameId = ids.find((id, i) => ids.indexOf(id) !== i);
  if (sameId !== undefined) conflict(`got two schedules '${sameId}'; give each an id of its own`);
  if (signals.includes('queue') && signals.length > 1) {
    const others = signals.filter((kind) => kind !== 'queue').map((kind) => `Scaling.${kind}`);
    conflict(
      `Scaling.queue lets the last replica go when nothing waits, which ${others.join(' and ')} would not; one of them`,
    );
  }
  if (signals.includes('requests') && targets === undefined) {
    conflict('Scaling.requests reads what a load balancer counts, and this service has none; use Scaling.saturation');
  }
  const { gpuCount } = plan.resources;
  if (signals.includes('gpuUtilization') && gpuCount === 0) {
    conflict('Scaling.gpuUtilization needs a GPU, and a replica has none; use Scaling.saturation or Scaling.cpu');
  }
  if (signals.includes('cpu') && gpuCount > 0) {
    conflict(`CPU use says nothing about a replica's ${gpuCount} GPUs; use Scaling.saturation`);
  }
}

function conflict(message: string): never {
  throw new SpecError('SCALING_CONFLICT', 'scaling', message);
}
