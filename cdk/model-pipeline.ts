import { ArnFormat, Aws, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { modelPrefix, SpecError, type Preset } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { acknowledgePrefixes } from './acknowledge-prefixes';
import { CliTask, type CliTaskSize } from './cli-task';
import { onFailedExecution } from './failed-executions';
import { grantReadObjects } from './grant-read-objects';
import { resourcesOf } from './model-rights';
import type { ModelRollout } from './model-rollout';
import type { ModelVersion } from './model-version';
import { pipelineDefinition } from './pipeline-definition';
import { completeSteps } from './pipeline-order';
import { PipelineStep, type PipelineStepFacts } from './pipeline-step';
import type { RuntimeImage } from './runtime-image';

/** Where candidates are put: each in a folder, its other files first and the model last. */
export interface PipelineSource {
  /** Its EventBridge notifications must be on; those of a `ModelBucket` are. */
  readonly bucket: s3.IBucket;
  /** What keys of candidates begin with; ends in a slash. */
  readonly prefix: string;
  /** Name of the model file, whose arrival starts a run. @default 'model.onnx' */
  readonly file?: string;
}

export interface PipelineApproval {
  /** Told which version waits, with the token that answers. Whoever reads it and may answer decides. */
  readonly topic: sns.ITopic;
  /** Then the run ends, and the version stays published. @default Duration.days(3) */
  readonly timeout?: Duration;
}

export interface ModelPipelineProps {
  /** Of the model and its bucket, with `trigger: 'none'`: here the pipeline starts it. */
  readonly rollout: ModelRollout;
  /** Where steps run, on Fargate. */
  readonly cluster: ecs.ICluster;
  /** The server image, which has `slipway` in it. */
  readonly image: RuntimeImage;
  readonly source: PipelineSource;
  /** Commands and gates, then the one that publishes, then labels. @default [PipelineStep.publish()] */
  readonly steps?: readonly PipelineStep[];
  /** Somebody is asked between publishing and rolling out. @default - nobody is */
  readonly approval?: PipelineApproval;
  /** `candidate`: a model file below the source's prefix starts a run. `none`: somebody does. @default 'candidate' */
  readonly trigger?: 'candidate' | 'none';
  /** @default - 1 vCPU, 4 GiB of memory, 20 GiB of storage */
  readonly taskSize?: CliTaskSize;
  /** @default - the cluster's private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Longest time of a run, approval and rollout included. @default Duration.days(7) */
  readonly timeout?: Duration;
  /** Hears of each run that failed. @default - nobody; the metric counts them */
  readonly notifications?: sns.ITopic;
  /** What steps print, and what the state machine did. @default - two of its own, kept for a month, which go with the stack */
  readonly logGroup?: logs.ILogGroup;
  /** Production asks for a pinned base image. @default 'production' */
  readonly preset?: Preset;
}

const MODEL_PIPELINE = Symbol.for('slipway.cdk.ModelPipeline');

/**
 * From a candidate in a bucket to a version that serves: a state machine runs `slipway model …` commands on the server image,
 * publishes the candidate as the model's next version, and starts its rollout. Whether that is kept or taken back is
 * CloudFormation's word: canary, alarms and circuit breaker decide it as in every deployment.
 *
 * Steps get the candidate's files as they were when the run began: one that is written meanwhile ends it.
 *
 * @example
 * new ModelPipeline(this, 'Pipeline', { rollout, cluster, image, source: { bucket: candidates, prefix: 'digits/' } });
 */
export class ModelPipeline extends Construct implements iam.IGrantable {
  static isModelPipeline(construct: unknown): construct is ModelPipeline {
    return typeof construct === 'object' && construct !== null && MODEL_PIPELINE in construct;
  }

  /** The parts. Exposed so that nothing is out of reach. */
  readonly stateMachine: sfn.StateMachine;
  /** Of steps that judge or change a candidate. Their role may hand on results, and publish nothing. */
  readonly taskDefinition: ecs.FargateTaskDefinition;
  /** Of the step that publishes, and of promotions. */
  readonly publishTaskDefinition: ecs.FargateTaskDefinition;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly logGroup: logs.ILogGroup;
  /** undefined where nothing starts a run by itself. */
  readonly rule?: events.Rule;
  /** What the state machine acts as. Steps act as the task roles of their task definitions. */
  readonly grantPrincipal: iam.IPrincipal;

  /**
   * @throws SpecError PIPELINE_ROLLOUT_TWICE where the bucket starts the rollout as well, PIPELINE_SOURCE_INVALID for a place that
   * is no folder or the model's own, PIPELINE_STEPS_INVALID unless one step publishes and labels alone follow it, or for a result of
   * no earlier step, FARGATE_SIZE, NUMBER_INVALID.
   */
  constructor(scope: Construct, id: string, props: ModelPipelineProps) {
    super(scope, id);
    Object.defineProperty(this, MODEL_PIPELINE, { value: true });
    const { rollout, cluster, image, source, taskSize, vpcSubnets, logGroup, preset = 'production' } = props;
    const version = versionOf(rollout);
    assertSource(source, version);
    const steps = completeSteps(props.steps ?? [PipelineStep.publish()], PipelineStep.source(fileOf(source)));
    const size = taskSize === undefined ? {} : { size: taskSize };
    const subnets = vpcSubnets === undefined ? {} : { vpcSubnets };
    const task = new CliTask(this, 'Task', {
      ...{ cluster, image, preset, ...size, ...subnets },
      ...(logGroup === undefined ? {} : { logGroup }),
    });
    // A gate runs whatever somebody trained, and must not be able to say its own last word.
    const publishTask = new CliTask(this, 'PublishTask', {
      ...{ cluster, image, preset, ...size, ...subnets },
      logGroup: task.logGroup,
      securityGroup: task.securityGroup,
      description: 'Publishes and labels versions for a model pipeline',
    });
    this.taskDefinition = task.taskDefinition;
    this.publishTaskDefinition = publishTask.taskDefinition;
    this.securityGroup = task.securityGroup;
    this.logGroup = logGroup ?? this.createLogGroup();
    this.stateMachine = this.createStateMachine(props, version, steps, task, publishTask);
    this.grantPrincipal = this.stateMachine.grantPrincipal;
    this.allowSteps(source, version, steps);
    this.allowStateMachine(props, version, [task, publishTask]);
    if ((props.trigger ?? 'candidate') === 'candidate') this.rule = this.createRule(source, version);
    if (props.notifications !== undefined) {
      this.onFailure('Notification', { target: new targets.SnsTopic(props.notifications) });
    }
  }

  /** Lets somebody start a run by hand: input is `{ "key": "<prefix>…/model.onnx" }`. */
  grantStart(grantee: iam.IGrantable): iam.Grant {
    return this.stateMachine.grantStartExecution(grantee);
  }

  /** Lets somebody answer an approval, with the token of its message: `aws stepfunctions send-task-success` or `send-task-failure`. */
  grantApprove(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['states:SendTaskFailure', 'states:SendTaskSuccess'],
      resourceArns: [this.stateMachine.stateMachineArn],
    });
  }

  /**
   * Runs that failed: a gate closed, a step failed, nobody approved, or the rollout was taken back.
   * @default - sum over five minutes
   */
  metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricFailed(options);
  }

  /** Events of runs that failed, were stopped by hand or took too long. */
  onFailure(id: string, options: events.OnEventOptions = {}): events.Rule {
    const description = 'Runs of a model pipeline that did not succeed';
    return onFailedExecution(this, id, this.stateMachine, { description, ...options });
  }

  private createLogGroup(): logs.LogGroup {
    const settings = { retention: logs.RetentionDays.ONE_MONTH, removalPolicy: RemovalPolicy.DESTROY };
    return new logs.LogGroup(this, 'Logs', settings);
  }

  private createStateMachine(
    { rollout, source, approval, timeout, cluster }: ModelPipelineProps,
    version: ModelVersion,
    steps: readonly PipelineStepFacts[],
    task: CliTask,
    publishTask: CliTask,
  ): sfn.StateMachine {
    const definition = pipelineDefinition({
      partition: Aws.PARTITION,
      source: {
        bucketName: source.bucket.bucketName,
        prefix: source.prefix,
        file: fileOf(source),
        maxBytes: task.maxSourceBytes,
      },
      modelBucketName: version.models.bucketName,
      modelRepositoryUri: version.models.modelRepositoryUri,
      model: version.name,
      steps: steps.map(({ kind, id, args, allowFailure, publishes, timeout: stepTimeout }) => ({
        ...{ kind, id, args, allowFailure },
        ...(publishes === undefined ? {} : { model: publishes }),
        timeoutSeconds: seconds(id, stepTimeout ?? Duration.hours(1)),
      })),
      task: {
        clusterArn: cluster.clusterArn,
        taskDefinitionArn: task.taskDefinition.taskDefinitionArn,
        publishTaskDefinitionArn: publishTask.taskDefinition.taskDefinitionArn,
        containerName: task.containerName,
        subnetIds: task.subnetIds,
        securityGroupId: task.securityGroup.securityGroupId,
      },
      rolloutArn: rollout.stateMachine.stateMachineArn,
      ...(approval === undefined
        ? {}
        : {
            approval: {
              topicArn: approval.topic.topicArn,
              timeoutSeconds: seconds('approval.timeout', approval.timeout ?? Duration.days(3)),
            },
          }),
      timeoutSeconds: seconds('timeout', timeout ?? Duration.days(7)),
    });
    const stateMachine = new sfn.StateMachine(this, 'StateMachine', {
      definitionBody: sfn.DefinitionBody.fromString(Stack.of(this).toJsonString(definition)),
      logs: { destination: this.logGroup, level: sfn.LogLevel.ALL },
    });
    // CDK lists the role beside its policy among what must be there first, and cfn-lint finds that said twice.
    const resource = stateMachine.node.defaultChild as sfn.CfnStateMachine;
    resource.addMetadata('cfn-lint', { config: { ignore_checks: ['W3005'] } });
    acknowledge(stateMachine, 'SF2', 'states that wait for tasks and people have no use for traces');
    return stateMachine;
  }

  /** All read candidates; steps hand on results, and the last one publishes one model, never overwriting a version. */
  private allowSteps(
    { bucket, prefix }: PipelineSource,
    { models, name }: ModelVersion,
    steps: readonly PipelineStepFacts[],
  ): void {
    const [judge, publisher] = [this.taskDefinition.taskRole, this.publishTaskDefinition.taskRole];
    models.grants.handOnResults(judge, name);
    models.grants.publishModel(publisher, name);
    for (const { signKey } of steps) signKey?.grant(publisher, 'kms:Sign', 'kms:GetPublicKey');
    for (const taskRole of [judge, publisher]) {
      grantReadObjects(taskRole, bucket, [`${prefix}*`]);
      const policy = taskRole.node.findChild('DefaultPolicy') as iam.Policy;
      acknowledgePrefixes(policy, 'candidates, results and versions of one model come and go below their prefixes');
    }
  }

  private allowStateMachine(
    props: ModelPipelineProps,
    { models, name }: ModelVersion,
    tasks: readonly CliTask[],
  ): void {
    const { role } = this.stateMachine;
    const { source, rollout, approval } = props;
    const versions = Stack.of(this).formatArn({ service: 's3', region: '', account: '', resource: models.bucketName });
    list(role, source.bucket.bucketArn, 'StringLike', `${source.prefix}*`);
    list(role, versions, 'StringEquals', modelPrefix(name));
    for (const task of tasks) task.grantRun(role);
    this.allowRollout(role, rollout.stateMachine);
    approval?.topic.grantPublish(role);
    const policy = role.node.findChild('DefaultPolicy') as iam.Policy;
    if (approval?.topic.masterKey !== undefined) {
      const reason = 'the two actions that make a data key, with the one key of the topic';
      acknowledge(policy, 'IAM5[Action::kms:GenerateDataKey*]', reason);
    }
    for (const resource of resourcesOf(policy).filter((each) => each.includes('*'))) {
      const reason =
        resource === '*' ? 'the actions that deliver logs take no resource' : 'tasks and executions come and go';
      acknowledge(policy, `IAM5[Resource::${resource}]`, reason);
    }
  }

  /** Starts the rollout, and hears of the ends of tasks and rollout by rules that Step Functions keeps in this account. */
  private allowRollout(role: iam.IRole, { stateMachineArn, stateMachineName }: sfn.StateMachine): void {
    const stack = Stack.of(this);
    const colon = { service: 'states', resource: 'execution', arnFormat: ArnFormat.COLON_RESOURCE_NAME };
    const executions = stack.formatArn({ ...colon, resourceName: `${stateMachineName}:*` });
    const statements: Omit<iam.GrantOnPrincipalOptions, 'grantee'>[] = [
      { actions: ['states:StartExecution'], resourceArns: [stateMachineArn] },
      { actions: ['states:DescribeExecution', 'states:StopExecution'], resourceArns: [executions] },
      {
        actions: ['events:DescribeRule', 'events:PutRule', 'events:PutTargets'],
        resourceArns: ['ECSTask', 'StepFunctionsExecution'].map((what) =>
          stack.formatArn({
            service: 'events',
            resource: 'rule',
            resourceName: `StepFunctionsGetEventsFor${what}Rule`,
          }),
        ),
      },
    ];
    for (const statement of statements) iam.Grant.addToPrincipal({ grantee: role, ...statement });
  }

  private createRule({ bucket, prefix, ...source }: PipelineSource, { name }: ModelVersion): events.Rule {
    const file = fileOf(source);
    return new events.Rule(this, 'Rule', {
      description: `Candidates of model ${name}`,
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [bucket.bucketName] },
          object: { key: [`${prefix}${file}`, { wildcard: `${prefix}*/${file}` }] },
        },
      },
      targets: [
        new targets.SfnStateMachine(this.stateMachine, {
          input: events.RuleTargetInput.fromObject({ key: events.EventField.fromPath('$.detail.object.key') }),
        }),
      ],
    });
  }
}

function list(role: iam.IRole, bucketArn: string, operator: string, prefix: string): void {
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['s3:ListBucket'],
    resourceArns: [bucketArn],
    conditions: { [operator]: { 's3:prefix': prefix } },
  });
}

function versionOf({ model, rule }: ModelRollout): ModelVersion {
  if (rule !== undefined) {
    throw new SpecError(
      'PIPELINE_ROLLOUT_TWICE',
      'rollout',
      "starts by itself with each manifest that a step publishes, before anybody approves; give the ModelRollout trigger: 'none'",
    );
  }
  return model.rolledOut!;
}

function assertSource({ bucket, prefix, ...source }: PipelineSource, { models, name }: ModelVersion): void {
  const refuse = (path: string, what: string): never => {
    throw new SpecError('PIPELINE_SOURCE_INVALID', `source.${path}`, what);
  };
  if (!/^([^*?\\/]+\/)+$/.test(prefix)) {
    refuse('prefix', `must be one or more folders with a closing slash and without * ? and \\, got '${prefix}'`);
  }
  const file = fileOf(source);
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(file) || /^\.+$/.test(file)) {
    refuse('file', `must be a name of 1 to 128 letters, digits, '.', '_' and '-', got '${file}'`);
  }
  const own = modelPrefix(name);
  if (bucket.bucketName === models.bucketName && (prefix.startsWith(own) || own.startsWith(prefix))) {
    refuse('prefix', `'${prefix}' holds versions of '${name}' itself: what a run publishes would start the next one`);
  }
}

function seconds(path: string, duration: Duration): number {
  const value = duration.toSeconds();
  if (value >= 60 && value <= MAX_SECONDS) return value;
  throw new SpecError('NUMBER_INVALID', path, `must be from a minute to ${MAX_SECONDS} seconds, got ${value}`);
}

/** An execution of a standard state machine ends within a year. */
const MAX_SECONDS = 365 * 86_400;

function fileOf({ file = 'model.onnx' }: Pick<PipelineSource, 'file'>): string {
  return file;
}
