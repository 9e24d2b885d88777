import { Duration } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import type { WakeSource } from '../runtime/spec';
import { saturationMetric } from './service-metrics';
import type { WatchedService } from './service-parts';

export type ScalingKind = 'saturation' | 'requests' | 'queue' | 'schedule' | 'gpuUtilization' | 'cpu';

/** What a scaling signal acts on: the one scalable target of a service. */
export interface ScalingTarget {
  readonly count: ecs.ScalableTaskCount;
  /** For policies that the L2 does not know. */
  readonly scalableTargetId: string;
  readonly watched: WatchedService;
}

/** A signal that replicas are added and removed by. */
export abstract class Scaling {
  /** Holds the saturation that replicas publish at the spec's `targetSaturation`. */
  static saturation(): Scaling {
    return new SaturationScaling();
  }

  abstract readonly kind: ScalingKind;
  /** What brings the first replica when there is none. @default - nothing */
  readonly wakesFromZero: WakeSource | undefined = undefined;

  /** Adds its policy or schedule; called once per service. */
  abstract apply(scope: Construct, target: ScalingTarget): void;
}

class SaturationScaling extends Scaling {
  readonly kind = 'saturation';

  apply(_scope: Construct, { count, watched }: ScalingTarget): void {
    const { scaling } = watched.plan;
    count.scaleToTrackCustomMetric('Saturation', {
      metric: saturationMetric(watched.plan, watched.clusterName),
      targetValue: scaling.targetSaturation,
      scaleOutCooldown: Duration.seconds(scaling.scaleOutCooldownSeconds),
      scaleInCooldown: Duration.seconds(scaling.scaleInCooldownSeconds),
    });
  }
}
