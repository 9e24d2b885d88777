import { Duration, type TimeZone } from 'aws-cdk-lib';
import * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { METRICS, SpecError, type WakeSource } from '../runtime/spec';
import { scaleOnQueue } from './queue-scaling';
import { publishedMetric, saturationMetric } from './service-metrics';
import type { WatchedService } from './service-parts';

export type ScalingKind = 'saturation' | 'requests' | 'queue' | 'schedule' | 'gpuUtilization' | 'cpu';

/** What a scaling signal acts on: the one scalable target of a service. */
export interface ScalingTarget {
  readonly count: ecs.ScalableTaskCount;
  /** For policies that the L2 does not know. */
  readonly scalableTargetId: string;
  readonly watched: WatchedService;
}

export interface SaturationScalingOptions {
  /** Saturation to hold, 0.05 to 1. @default - the service's `targetSaturation` */
  readonly target?: number;
}

export interface RequestScalingOptions {
  /** Requests that a replica should have in a minute. */
  readonly perReplicaPerMinute: number;
}

export interface QueueScalingOptions {
  readonly queue: sqs.IQueue;
  /** Messages that may wait for each replica. */
  readonly messagesPerReplica: number;
}

export interface ScheduleScalingOptions {
  readonly schedule: appscaling.Schedule;
  /** @default - UTC */
  readonly timeZone?: TimeZone;
  /** Replicas kept from then on; 0 lets the last one go. @default - as before */
  readonly minReplicas?: number;
  /** Most replicas from then on. @default - as before */
  readonly maxReplicas?: number;
}

export interface UtilizationScalingOptions {
  /** Share to hold, 0.05 to 1. */
  readonly target: number;
}

/**
 * A signal that replicas are added and removed by. Of several, replicas are added when any asks for it and removed when
 * all agree. While a deployment runs none are removed: Application Auto Scaling waits for its end.
 */
export abstract class Scaling {
  /** Holds the saturation that replicas publish: work that arrives ÷ work they can do, whatever the model and the machine. */
  static saturation(options: SaturationScalingOptions = {}): Scaling {
    return new SaturationScaling(options.target === undefined ? undefined : share('saturation', options.target));
  }

  /** Holds the requests that each replica has, counted by the load balancer over all target groups. */
  static requests({ perReplicaPerMinute }: RequestScalingOptions): Scaling {
    return new RequestScaling(positive('perReplicaPerMinute', perReplicaPerMinute));
  }

  /** Follows the messages that wait in a queue, from no replica at all and back to none. */
  static queue({ queue, messagesPerReplica }: QueueScalingOptions): Scaling {
    return new QueueScaling({ queue, messagesPerReplica: positive('messagesPerReplica', messagesPerReplica) });
  }

  /**
   * Changes the bounds of the number of replicas at times of the day or the week.
   * @param id Names the schedule within the service.
   */
  static schedule(id: string, options: ScheduleScalingOptions): Scaling {
    return new ScheduleScaling(id, checked(id, options));
  }

  /** Holds the GPU's utilization as replicas publish it: time with a kernel on it, which says little of how much it does. */
  static gpuUtilization({ target }: UtilizationScalingOptions): Scaling {
    return new GpuScaling(share('gpuUtilization', target));
  }

  /** Holds the use of the CPU, of all containers of a replica. */
  static cpu({ target }: UtilizationScalingOptions): Scaling {
    return new CpuScaling(share('cpu', target));
  }

  abstract readonly kind: ScalingKind;
  /** Tells signals of a kind apart. @default - there is one of the kind at most */
  readonly id?: string;
  /** What brings the first replica when there is none. @default - nothing */
  get wakesFromZero(): WakeSource | undefined {
    return undefined;
  }

  /** Adds its policy or schedule; called once per service. */
  abstract apply(scope: Construct, target: ScalingTarget): void;
}

class SaturationScaling extends Scaling {
  readonly kind = 'saturation';

  constructor(private readonly target: number | undefined) {
    super();
  }

  apply(_scope: Construct, { count, watched }: ScalingTarget): void {
    const { plan, clusterName } = watched;
    count.scaleToTrackCustomMetric('Saturation', {
      metric: saturationMetric(plan, clusterName),
      targetValue: this.target ?? plan.scaling.targetSaturation,
      ...cooldowns(watched),
    });
  }
}

class RequestScaling extends Scaling {
  readonly kind = 'requests';

  constructor(private readonly perReplicaPerMinute: number) {
    super();
  }

  // The predefined metric is bound to one target group, and a rollout may move all traffic to another; and the L2 takes no
  // expression. So the policy is told each group, and one without traffic, which has no data, counts as 0.
  apply(scope: Construct, { scalableTargetId, watched }: ScalingTarget): void {
    const { http, grpc, loadBalancerFullName } = watched.targets!;
    const groups = [...http, ...grpc];
    const { scaleInCooldownSeconds, scaleOutCooldownSeconds } = watched.plan.scaling;
    new appscaling.CfnScalingPolicy(scope, 'Requests', {
      policyName: `${watched.plan.name}-requests`,
      policyType: 'TargetTrackingScaling',
      scalingTargetId: scalableTargetId,
      targetTrackingScalingPolicyConfiguration: {
        targetValue: this.perReplicaPerMinute,
        scaleInCooldown: scaleInCooldownSeconds,
        scaleOutCooldown: scaleOutCooldownSeconds,
        customizedMetricSpecification: {
          metrics: [
            ...groups.map(({ targetGroupFullName }, i) => ({
              id: `target${i}`,
              returnData: false,
              metricStat: {
                stat: 'Sum',
                metric: {
                  namespace: 'AWS/ApplicationELB',
                  metricName: 'RequestCountPerTarget',
                  dimensions: [
                    { name: 'TargetGroup', value: targetGroupFullName },
                    { name: 'LoadBalancer', value: loadBalancerFullName },
                  ],
                },
              },
            })),
            {
              id: 'total',
              label: 'requests per replica',
              expression: groups.map((_, i) => `FILL(target${i}, 0)`).join(' + '),
              returnData: true,
            },
          ],
        },
      },
    });
  }
}

class QueueScaling extends Scaling {
  readonly kind = 'queue';

  constructor(private readonly options: QueueScalingOptions) {
    super();
  }

  override get wakesFromZero(): WakeSource {
    return 'queue';
  }

  apply(scope: Construct, target: ScalingTarget): void {
    scaleOnQueue(scope, target, this.options);
  }
}

class ScheduleScaling extends Scaling {
  readonly kind = 'schedule';

  constructor(
    override readonly id: string,
    private readonly options: ScheduleScalingOptions,
  ) {
    super();
  }

  override get wakesFromZero(): WakeSource | undefined {
    return (this.options.minReplicas ?? 0) > 0 ? 'schedule' : undefined;
  }

  apply(_scope: Construct, { count }: ScalingTarget): void {
    const { schedule, timeZone, minReplicas, maxReplicas } = this.options;
    count.scaleOnSchedule(this.id, {
      schedule,
      ...(timeZone === undefined ? {} : { timeZone }),
      ...(minReplicas === undefined ? {} : { minCapacity: minReplicas }),
      ...(maxReplicas === undefined ? {} : { maxCapacity: maxReplicas }),
    });
  }
}

class GpuScaling extends Scaling {
  readonly kind = 'gpuUtilization';

  constructor(private readonly target: number) {
    super();
  }

  apply(_scope: Construct, { count, watched }: ScalingTarget): void {
    count.scaleToTrackCustomMetric('GpuUtilization', {
      metric: publishedMetric(watched.plan, watched.clusterName, METRICS.gpuUtilization),
      targetValue: this.target,
      ...cooldowns(watched),
    });
  }
}

class CpuScaling extends Scaling {
  readonly kind = 'cpu';

  constructor(private readonly target: number) {
    super();
  }

  apply(_scope: Construct, { count, watched }: ScalingTarget): void {
    count.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: 100 * this.target, ...cooldowns(watched) });
  }
}

function cooldowns({ plan }: WatchedService): { scaleOutCooldown: Duration; scaleInCooldown: Duration } {
  return {
    scaleOutCooldown: Duration.seconds(plan.scaling.scaleOutCooldownSeconds),
    scaleInCooldown: Duration.seconds(plan.scaling.scaleInCooldownSeconds),
  };
}

function share(kind: ScalingKind, target: number): number {
  if (target >= 0.05 && target <= 1) return target;
  throw new SpecError('NUMBER_INVALID', `scaling.${kind}.target`, `must be from 0.05 to 1, got ${target}`);
}

function positive(name: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  throw new SpecError('NUMBER_INVALID', `scaling.${name}`, `must be over 0, got ${value}`);
}

function checked(id: string, options: ScheduleScalingOptions): ScheduleScalingOptions {
  const { minReplicas, maxReplicas } = options;
  for (const [name, value] of Object.entries({ minReplicas, maxReplicas })) {
    if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= 10_000)) continue;
    throw new SpecError(
      'NUMBER_INVALID',
      `scaling.${id}.${name}`,
      `must be a whole number from 0 to 10000, got ${value}`,
    );
  }
  if (minReplicas === undefined && maxReplicas === undefined) {
    throw new SpecError('REPLICA_RANGE', `scaling.${id}`, 'changes nothing: say minReplicas, maxReplicas or both');
  }
  if (minReplicas !== undefined && maxReplicas !== undefined && maxReplicas < minReplicas) {
    const message = `must be at least minReplicas (${minReplicas}), got ${maxReplicas}`;
    throw new SpecError('REPLICA_RANGE', `scaling.${id}.maxReplicas`, message);
  }
  return options;
}
