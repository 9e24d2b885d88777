import { Duration } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { SpecError, type InferenceServicePlan } from '../runtime/spec';

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

export interface RollingOptions {
  /** Whether alarms of errors and latency stop a rollout and roll it back. @default - true where alarms are made */
  readonly alarmRollback?: boolean;
}

export interface SmokeTestOptions {
  /** Models that are asked, by name. @default - all */
  readonly models?: readonly string[];
  /** How long the test may take, at most 15 minutes. @default Duration.minutes(5) */
  readonly timeout?: Duration;
}

export interface ShiftOptions {
  /**
   * Whether alarms of errors and latency roll back. They are made for it in development too.
   * @default true
   */
  readonly alarmRollback?: boolean;
  /**
   * Whether the new revision must answer the golden input of its models before a caller reaches it. Runs a Lambda
   * function, the only thing that ECS takes as a hook.
   * @default false
   */
  readonly smokeTest?: boolean | SmokeTestOptions;
}

export interface CanaryOptions extends ShiftOptions {
  /** Percent of the traffic that the new revision gets first, 0.1 to 100. */
  readonly percent: number;
  /** How long it keeps to that before it gets the rest. */
  readonly bake: Duration;
  /** How long the old revision stays ready once the new one has all traffic. @default - as long as `bake` */
  readonly finalBake?: Duration;
}

export interface LinearOptions extends ShiftOptions {
  /** Percent of the traffic by which the new revision gets more with every step, 3 to 100. */
  readonly percent: number;
  /** How long a step takes. */
  readonly every: Duration;
  /** How long the old revision stays ready once the new one has all traffic. @default - as long as a step, at least 5 minutes */
  readonly finalBake?: Duration;
}

export interface BlueGreenOptions extends ShiftOptions {
  /** How long the old revision stays ready once the new one has all traffic. */
  readonly bake: Duration;
}

/** Alarms of errors and latency take so long to go off. */
const ALARM_MINUTES = 5;
const MAX_BAKE_MINUTES = 1_440;
const MAX_SMOKE_TEST_MINUTES = 15;

/**
 * How a new revision takes over.
 *
 * Where traffic is shifted, two revisions run side by side: that takes twice the machines. A stack update while traffic
 * is being shifted resets the weights to what the template says, so the rules say nothing that a rollout changes, and a
 * second deployment waits for the first.
 */
export abstract class Rollout {
  /** Replicas are replaced one after the other, behind one target group; `spareReplica` says whether one comes before one goes. */
  static rolling(options: RollingOptions = {}): Rollout {
    return new RollingRollout(options.alarmRollback);
  }

  /**
   * A share of the traffic first, the rest when that went well.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT
   *
   * @example
   * Rollout.canary({ percent: 10, bake: Duration.minutes(10), smokeTest: true });
   */
  static canary(options: CanaryOptions): Rollout {
    const { percent, bake, finalBake = bake } = options;
    assertPercent('rollout.percent', percent, 0.1);
    assertBake('rollout.bake', bake, options);
    assertBake('rollout.finalBake', finalBake, options);
    return new ShiftingRollout('canary', options, {
      deploymentStrategy: ecs.DeploymentStrategy.CANARY,
      canaryConfiguration: { stepPercent: percent, stepBakeTime: bake },
      bakeTime: finalBake,
    });
  }

  /**
   * More and more of the traffic, in equal steps.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT
   */
  static linear(options: LinearOptions): Rollout {
    const { percent, every } = options;
    const finalBake =
      options.finalBake ?? Duration.minutes(Math.max(every.toMinutes({ integral: false }), ALARM_MINUTES));
    assertPercent('rollout.percent', percent, 3);
    // Steps add up, so one alone may be shorter than an alarm's window.
    assertBake('rollout.every', every, { ...options, alarmRollback: false });
    assertBake('rollout.finalBake', finalBake, options);
    return new ShiftingRollout('linear', options, {
      deploymentStrategy: ecs.DeploymentStrategy.LINEAR,
      linearConfiguration: { stepPercent: percent, stepBakeTime: every },
      bakeTime: finalBake,
    });
  }

  /**
   * All of the traffic at once, with the old revision ready to take it back.
   * @throws SpecError ROLLOUT_RANGE, ROLLOUT_BAKE_TOO_SHORT
   */
  static blueGreen(options: BlueGreenOptions): Rollout {
    assertBake('rollout.bake', options.bake, options);
    return new ShiftingRollout('blueGreen', options, {
      deploymentStrategy: ecs.DeploymentStrategy.BLUE_GREEN,
      bakeTime: options.bake,
    });
  }

  abstract readonly kind: 'rolling' | 'canary' | 'linear' | 'blueGreen';
  /** undefined: where alarms are made anyway. */
  abstract readonly alarmRollback: boolean | undefined;
  /** undefined: nothing is asked before callers are. */
  readonly smokeTest: SmokeTestOptions | undefined = undefined;

  /** Whether traffic moves from one target group to another. */
  get shifts(): boolean {
    return this.kind !== 'rolling';
  }

  abstract deploymentOptions(plan: InferenceServicePlan): DeploymentOptions;
}

class RollingRollout extends Rollout {
  readonly kind = 'rolling';

  constructor(readonly alarmRollback: boolean | undefined) {
    super();
  }

  deploymentOptions({ rollout }: InferenceServicePlan): DeploymentOptions {
    return { minHealthyPercent: rollout.minHealthyPercent, maxHealthyPercent: rollout.maxHealthyPercent };
  }
}

class ShiftingRollout extends Rollout {
  readonly alarmRollback: boolean;
  override readonly smokeTest: SmokeTestOptions | undefined;

  constructor(
    readonly kind: 'canary' | 'linear' | 'blueGreen',
    { alarmRollback = true, smokeTest = false }: ShiftOptions,
    private readonly options: DeploymentOptions,
  ) {
    super();
    this.alarmRollback = alarmRollback;
    this.smokeTest = smokeTest === true ? {} : smokeTest === false ? undefined : smokeTest;
    assertTimeout(this.smokeTest);
  }

  deploymentOptions({ rollout }: InferenceServicePlan): DeploymentOptions {
    if (rollout.maxSurge === 0) {
      throw new SpecError(
        'ROLLOUT_RANGE',
        'spareReplica',
        `got false, but a ${this.kind} rollout runs both revisions side by side; leave spareReplica out, or use Rollout.rolling()`,
      );
    }
    const { minHealthyPercent, maxHealthyPercent } = rollout;
    return { ...this.options, minHealthyPercent, maxHealthyPercent };
  }
}

function assertPercent(path: string, percent: number, min: number): void {
  if (percent >= min && percent <= 100 && Math.abs(percent * 10 - Math.round(percent * 10)) < 1e-9) return;
  throw new SpecError('ROLLOUT_RANGE', path, `must be from ${min} to 100 in steps of 0.1, got ${percent}`);
}

function assertBake(path: string, bake: Duration, { alarmRollback = true }: ShiftOptions): void {
  const minutes = bake.toMinutes({ integral: false });
  if (!Number.isInteger(minutes) || minutes > MAX_BAKE_MINUTES) {
    throw new SpecError(
      'ROLLOUT_RANGE',
      path,
      `must be whole minutes up to ${MAX_BAKE_MINUTES}, got ${minutes} minutes`,
    );
  }
  if (alarmRollback && minutes < ALARM_MINUTES) {
    throw new SpecError(
      'ROLLOUT_BAKE_TOO_SHORT',
      path,
      `alarms take ${ALARM_MINUTES} minutes to go off and could roll nothing back after ${minutes}; wait longer, or say alarmRollback: false`,
    );
  }
}

function assertTimeout(smokeTest: SmokeTestOptions | undefined): void {
  const minutes = smokeTest?.timeout?.toMinutes({ integral: false }) ?? MAX_SMOKE_TEST_MINUTES;
  if (minutes > 0 && minutes <= MAX_SMOKE_TEST_MINUTES) return;
  throw new SpecError(
    'ROLLOUT_RANGE',
    'rollout.smokeTest.timeout',
    `must be over 0 and at most ${MAX_SMOKE_TEST_MINUTES} minutes, which is what a function may take, got ${minutes}`,
  );
}
