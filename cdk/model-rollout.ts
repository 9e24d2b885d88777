import { Annotations, Aws, Duration, Lazy, RemovalPolicy, Stack, Token, type CfnParameter } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { MANIFEST_FILE, modelPrefix, SpecError } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { onFailedExecution } from './failed-executions';
import type { Model } from './model';
import { resourcesOf } from './model-rights';
import type { ModelVersion } from './model-version';
import { rolloutDefinition } from './rollout-definition';
import { findParameters, ssmParameterArns } from './stack-parameters';

export interface ModelRolloutProps {
  /** Made by `Model.rolledOutFromBucket`, and served by a service of this stack. */
  readonly model: Model;
  /**
   * `manifest`: a newer manifest of the model in its bucket starts a rollout. `none`: somebody starts the state machine.
   * @default 'manifest'
   */
  readonly trigger?: 'manifest' | 'none';
  /** Longest time from a new manifest to its end, waiting for other updates of the stack included. @default Duration.hours(6) */
  readonly timeout?: Duration;
  /** Hears of each rollout that failed, was rolled back or took too long. @default - nobody; the metric counts them */
  readonly notifications?: sns.ITopic;
  /** Role that CloudFormation acts with. @default - the one that the stack was deployed with, as `cdk deploy` does */
  readonly stackRole?: iam.IRole;
  /** Where the state machine writes what it did. @default - one of its own, kept for a month, which goes with the stack */
  readonly logGroup?: logs.ILogGroup;
}

const MODEL_ROLLOUT = Symbol.for('slipway.cdk.ModelRollout');
/** A retrained model differs by some bytes. Half of the headroom that sizing leaves is more than that. */
const ROOM_FOR_GROWTH = 1.1;
/** An execution may have 25,000 events, and waiting takes nine of them each half minute. */
const MAX_TIMEOUT = Duration.hours(20);

/**
 * Rolls out each newer version of a model that lands in its bucket, without a deployment from code: a state machine
 * updates this stack with the template that it has and another version in one parameter. To CloudFormation and ECS that is
 * a deployment like any other: canary, alarms and circuit breaker see it, and a rollback brings the old digest back.
 *
 * What it may do: read the model's manifests, and update this stack. CloudFormation acts with the role that the stack was
 * deployed with.
 *
 * @example
 * new ModelRollout(this, 'Rollout', { model: digits, notifications: onCall });
 */
export class ModelRollout extends Construct implements iam.IGrantable {
  static isModelRollout(construct: unknown): construct is ModelRollout {
    return typeof construct === 'object' && construct !== null && MODEL_ROLLOUT in construct;
  }

  /** The parts. Exposed so that nothing is out of reach. */
  readonly stateMachine: sfn.StateMachine;
  readonly logGroup: logs.ILogGroup;
  /** undefined where nothing starts a rollout by itself. */
  readonly rule?: events.Rule;
  /** What is rolled out. */
  readonly model: Model;
  /** Holds version and digest: `3@sha256:…`. */
  readonly parameter: CfnParameter;
  /** What the state machine acts as. */
  readonly grantPrincipal: iam.IPrincipal;

  /** @throws SpecError MODEL_NOT_ROLLED_OUT for a model whose version only code changes, or whose bucket says nothing. */
  constructor(scope: Construct, id: string, props: ModelRolloutProps) {
    super(scope, id);
    Object.defineProperty(this, MODEL_ROLLOUT, { value: true });
    const stack = Stack.of(this);
    const version = versionOf(props);
    this.model = props.model;
    this.parameter = version.parameterIn(stack);
    this.logGroup =
      props.logGroup ??
      new logs.LogGroup(this, 'Logs', {
        retention: logs.RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      });
    this.stateMachine = this.createStateMachine(version, props);
    this.grantPrincipal = this.stateMachine.grantPrincipal;
    this.allow(version, props.stackRole);
    if ((props.trigger ?? 'manifest') === 'manifest') this.rule = this.createRule(version);
    if (props.notifications !== undefined) {
      this.onFailure('Notification', { target: new targets.SnsTopic(props.notifications) });
    }
    this.node.addValidation({ validate: () => this.validateStack(version) });
  }

  /** Lets somebody start a rollout by hand: input is `{ "version": 4 }`, with `"force": true` to go back to an older one. */
  grantStart(grantee: iam.IGrantable): iam.Grant {
    return this.stateMachine.grantStartExecution(grantee);
  }

  /**
   * Rollouts that failed: rolled back, refused, or stopped by an error.
   * @default - sum over five minutes
   */
  metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricFailed(options);
  }

  /** Events of rollouts that failed, were rolled back, stopped by hand or took too long. */
  onFailure(id: string, options: events.OnEventOptions = {}): events.Rule {
    return onFailedExecution(this, id, this.stateMachine, {
      description: 'Rollouts of a model that did not succeed',
      ...options,
    });
  }

  private createStateMachine(version: ModelVersion, props: ModelRolloutProps): sfn.StateMachine {
    const stack = Stack.of(this);
    const { weightBytes, fileBytes, executors } = version.facts;
    const definition = rolloutDefinition({
      partition: Aws.PARTITION,
      stackId: stack.stackId,
      bucketName: version.models.bucketName,
      model: version.name,
      parameter: this.parameter.logicalId,
      maxWeightBytes: Math.ceil(weightBytes * (executors?.all ?? 1) * ROOM_FOR_GROWTH),
      maxFileBytes: Math.ceil(fileBytes * ROOM_FOR_GROWTH),
      timeoutSeconds: timeoutSeconds(props.timeout),
      ...(props.stackRole === undefined ? {} : { stackRoleArn: props.stackRole.roleArn }),
    });
    const stateMachine = new sfn.StateMachine(this, 'StateMachine', {
      definitionBody: sfn.DefinitionBody.fromString(stack.toJsonString(definition)),
      logs: { destination: this.logGroup, level: sfn.LogLevel.ALL },
    });
    // CDK lists the role beside its policy among what must be there first, and cfn-lint finds that said twice.
    const resource = stateMachine.node.defaultChild as sfn.CfnStateMachine;
    resource.addMetadata('cfn-lint', { config: { ignore_checks: ['W3005'] } });
    acknowledge(stateMachine, 'SF2', 'states that wait for CloudFormation for minutes have no use for traces');
    return stateMachine;
  }

  private allow(version: ModelVersion, stackRole: iam.IRole | undefined): void {
    const stack = Stack.of(this);
    const { role } = this.stateMachine;
    version.models.grants.readManifests(role, version.name);
    iam.Grant.addToPrincipal({
      grantee: role,
      actions: ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'],
      resourceArns: [stack.stackId],
    });
    // An update reads the parameters of the parameter store that the template names, as whoever asked for the update.
    iam.Grant.addToPrincipal({
      grantee: role,
      actions: ['ssm:GetParameters'],
      resourceArns: Lazy.list({ produce: () => [...ssmParameterArns(stack)] }),
    });
    if (stackRole !== undefined) {
      iam.Grant.addToPrincipal({
        grantee: role,
        actions: ['iam:PassRole'],
        resourceArns: [stackRole.roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'cloudformation.amazonaws.com' } },
      });
    }
    const policy = role.node.findChild('DefaultPolicy') as iam.Policy;
    for (const resource of resourcesOf(policy).filter((each) => each.includes('*'))) {
      const reason =
        resource === '*' ? 'the actions that deliver logs take no resource' : 'versions of the model come and go';
      acknowledge(policy, `IAM5[Resource::${resource}]`, reason);
    }
  }

  private createRule(version: ModelVersion): events.Rule {
    return new events.Rule(this, 'Rule', {
      description: `New versions of model ${version.name}`,
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [version.models.bucketName] },
          object: { key: [{ wildcard: `${modelPrefix(version.name)}*/${MANIFEST_FILE}` }] },
        },
      },
      targets: [
        new targets.SfnStateMachine(this.stateMachine, {
          input: events.RuleTargetInput.fromObject({ key: events.EventField.fromPath('$.detail.object.key') }),
        }),
      ],
    });
  }

  private validateStack(version: ModelVersion): string[] {
    const stack = Stack.of(this);
    for (const { default: image } of findParameters(stack).filter(isMovingImage)) {
      Annotations.of(this).addWarningV2(
        'slipway:model-rollout-moves-ami',
        `a rollout asks again for the machine image '${image}', and a newer one replaces the machines along with the model: pin the image to a dated one, or put the machines into another stack`,
      );
    }
    if (version.isServedIn(stack)) return [];
    return [
      `MODEL_NOT_ROLLED_OUT model: no service of '${stack.node.path}' serves '${version.name}' of the same manifest; put the rollout into the stack of its service`,
    ];
  }
}

function versionOf({ model, trigger = 'manifest' }: ModelRolloutProps): ModelVersion {
  const refuse = (what: string): never => {
    throw new SpecError('MODEL_NOT_ROLLED_OUT', 'model', what);
  };
  const { rolledOut } = model;
  if (rolledOut === undefined) {
    return refuse(
      `the version of '${model.spec.name}' changes with the code alone; make it by Model.rolledOutFromBucket`,
    );
  }
  if (trigger === 'manifest' && rolledOut.models.sendsEvents === false) {
    refuse(`the bucket of '${model.spec.name}' has eventBridge: false; leave that out, or say trigger: 'none'`);
  }
  return rolledOut;
}

function timeoutSeconds(timeout = Duration.hours(6)): number {
  const seconds = timeout.toSeconds();
  if (seconds >= 60 && seconds <= MAX_TIMEOUT.toSeconds()) return seconds;
  throw new SpecError(
    'NUMBER_INVALID',
    'timeout',
    `must be from 60 to ${MAX_TIMEOUT.toSeconds()} seconds, for an execution has a bound on its events, got ${seconds}`,
  );
}

// What a pinned image's parameter is called holds a date or a version; these follow whatever is newest.
function isMovingImage({ type, default: name }: CfnParameter): boolean {
  const isImage = type.includes('AWS::EC2::Image::Id') && !Token.isUnresolved(name);
  return isImage && /\/(recommended|latest)(\/|$)/.test(String(name));
}
