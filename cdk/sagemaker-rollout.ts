import { Duration } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { CfnEndpoint } from 'aws-cdk-lib/aws-sagemaker';
import { SpecError } from '../runtime/spec';

export interface SageMakerRolloutOptions {
  /** Alarms that take an update back while it is under way. @default - those of the endpoint itself */
  readonly alarms?: readonly cloudwatch.IAlarm[];
  /** How long the old machines are kept once the new ones have all traffic, up to an hour. @default - 5 minutes */
  readonly keepOld?: Duration;
}

export interface SageMakerCanaryOptions extends SageMakerRolloutOptions {
  /** Percent of the machines that take traffic first, 1 to 50. */
  readonly percent: number;
  /** How long they do before the others follow, up to an hour. */
  readonly bake: Duration;
}

export interface SageMakerLinearOptions extends SageMakerRolloutOptions {
  /** Percent of the machines that take traffic with each step, 10 to 50. */
  readonly percent: number;
  /** Time between two steps, up to an hour. */
  readonly bake: Duration;
}

export interface SageMakerRollingOptions extends Pick<SageMakerRolloutOptions, 'alarms'> {
  /** Percent of the machines that are replaced at once, 5 to 50. */
  readonly percent: number;
  /** Time between two batches, up to an hour. */
  readonly bake: Duration;
}

/** What an endpoint tells a rollout. */
export interface SageMakerRolloutInput {
  readonly alarms: readonly cloudwatch.IAlarm[];
  /** How long one machine may take to come and get ready. */
  readonly startSeconds: number;
}

/** Longest that the endpoint's own alarms take to go off. */
export const ALARM_MINUTES = 3;

/** How an update of an endpoint moves traffic, and what takes it back. The ranges are SageMaker's. */
export abstract class SageMakerRollout {
  /** A second set of machines takes all traffic in one moment. */
  static allAtOnce(options: SageMakerRolloutOptions = {}): SageMakerRollout {
    return new BlueGreenRollout('ALL_AT_ONCE', options);
  }

  /**
   * A second set of machines: a part of it takes its share of the traffic first, the rest follows after the bake.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT when the alarms could not go off in that time.
   */
  static canary(options: SageMakerCanaryOptions): SageMakerRollout {
    assertPercent(options.percent, 1);
    assertBake(options.bake);
    return new BlueGreenRollout('CANARY', options);
  }

  /**
   * A second set of machines takes the traffic in equal steps.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT.
   */
  static linear(options: SageMakerLinearOptions): SageMakerRollout {
    assertPercent(options.percent, 10);
    assertBake(options.bake);
    return new BlueGreenRollout('LINEAR', options);
  }

  /**
   * Machines are replaced batch by batch: of all, this one needs the fewest spare machines.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT.
   */
  static rolling(options: SageMakerRollingOptions): SageMakerRollout {
    assertPercent(options.percent, 5);
    assertBake(options.bake);
    return new RollingRollout(options);
  }

  /** @internal */
  abstract deploymentConfig(input: SageMakerRolloutInput): CfnEndpoint.DeploymentConfigProperty;
}

type Routing = 'ALL_AT_ONCE' | 'CANARY' | 'LINEAR';

class BlueGreenRollout extends SageMakerRollout {
  constructor(
    private readonly type: Routing,
    private readonly options: SageMakerRolloutOptions & { readonly percent?: number; readonly bake?: Duration },
  ) {
    super();
    assertHour('keepOld', options.keepOld);
  }

  deploymentConfig({ alarms, startSeconds }: SageMakerRolloutInput): CfnEndpoint.DeploymentConfigProperty {
    const { percent = 100, bake = Duration.seconds(0), keepOld = Duration.minutes(5) } = this.options;
    const size = { type: 'CAPACITY_PERCENT', value: percent };
    const steps = this.type === 'LINEAR' ? Math.ceil(100 / percent) : 1;
    const waitIntervalInSeconds = bake.toSeconds();
    return {
      blueGreenUpdatePolicy: {
        trafficRoutingConfiguration: {
          type: this.type,
          ...(this.type === 'CANARY' ? { canarySize: size, waitIntervalInSeconds } : {}),
          ...(this.type === 'LINEAR' ? { linearStepSize: size, waitIntervalInSeconds } : {}),
        },
        terminationWaitInSeconds: keepOld.toSeconds(),
        maximumExecutionTimeoutInSeconds: timeout(2 * startSeconds + steps * bake.toSeconds() + keepOld.toSeconds()),
      },
      ...rollbackOn(this.options.alarms ?? alarms),
    };
  }
}

class RollingRollout extends SageMakerRollout {
  constructor(private readonly options: SageMakerRollingOptions) {
    super();
  }

  deploymentConfig({ alarms, startSeconds }: SageMakerRolloutInput): CfnEndpoint.DeploymentConfigProperty {
    const { percent, bake } = this.options;
    const batches = Math.ceil(100 / percent);
    return {
      rollingUpdatePolicy: {
        maximumBatchSize: { type: 'CAPACITY_PERCENT', value: percent },
        waitIntervalInSeconds: bake.toSeconds(),
        maximumExecutionTimeoutInSeconds: timeout(batches * (startSeconds + bake.toSeconds())),
      },
      ...rollbackOn(this.options.alarms ?? alarms),
    };
  }
}

function rollbackOn(alarms: readonly cloudwatch.IAlarm[]): Partial<CfnEndpoint.DeploymentConfigProperty> {
  if (alarms.length === 0) return {};
  return { autoRollbackConfiguration: { alarms: alarms.map(({ alarmName }) => ({ alarmName })) } };
}

/** SageMaker gives an update from ten minutes to eight hours. */
function timeout(seconds: number): number {
  return Math.min(28_800, Math.max(600, Math.ceil(seconds)));
}

function assertPercent(percent: number, min: number): void {
  if (Number.isInteger(percent) && percent >= min && percent <= 50) return;
  throw new SpecError('ROLLOUT_RANGE', 'percent', `must be a whole number from ${min} to 50, got ${percent}`);
}

function assertBake(bake: Duration): void {
  assertHour('bake', bake);
  const minutes = bake.toMinutes({ integral: false });
  if (minutes >= ALARM_MINUTES) return;
  throw new SpecError(
    'ROLLOUT_BAKE_TOO_SHORT',
    'bake',
    `must be at least the ${ALARM_MINUTES} minutes after which alarms go off, got ${minutes}`,
  );
}

function assertHour(path: string, duration: Duration | undefined): void {
  const seconds = duration?.toSeconds() ?? 0;
  if (seconds <= 3_600) return;
  throw new SpecError('ROLLOUT_RANGE', path, `must be at most an hour, got ${seconds} s`);
}
