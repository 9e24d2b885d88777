import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { InferenceServicePlan } from '../runtime/spec';

/** The part of an ECS service that says how a new revision takes over. */
export type DeploymentOptions = Pick<
  ecs.BaseServiceOptions,
  | 'deploymentStrategy'
  | 'bakeTime'
  | 'canaryConfiguration'
  | 'linearConfiguration'
  | 'minHealthyPercent'
  | 'maxHealthyPercent'
>;

/** How a new revision takes over. */
export abstract class Rollout {
  /** Replicas are replaced one after the other, behind one target group. */
  static rolling(): Rollout {
    return new RollingRollout();
  }

  abstract readonly kind: 'rolling' | 'canary' | 'linear' | 'blueGreen';

  /** Whether traffic moves from one target group to another. */
  get shifts(): boolean {
    return this.kind !== 'rolling';
  }

  abstract deploymentOptions(plan: InferenceServicePlan): DeploymentOptions;
}

class RollingRollout extends Rollout {
  readonly kind = 'rolling';

  deploymentOptions({ rollout }: InferenceServicePlan): DeploymentOptions {
    return { minHealthyPercent: rollout.minHealthyPercent, maxHealthyPercent: rollout.maxHealthyPercent };
  }
}
