import { Stack, type Duration } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { planInferenceService, type EngineServiceSpec, type InferenceServicePlan } from '../runtime/spec';
import { acknowledgePrefixes } from './acknowledge-prefixes';
import { assertClusterOrPlatform, assertLogGroup } from './assert-service-props';
import { backlogOf, createQueues, grantWork, oldestMessageOf, type AsyncQueueOptions } from './async-queue';
import { createResultsBucket, grantReadPlace, RESULTS_PREFIX } from './async-results';
import { FARGATE_CAPACITY } from './capacity';
import { createEcsService } from './ecs-service';
import { tasksOf } from './ecs-task-rights';
import { grantWriteObjects } from './grant-write-objects';
import {
  ImportedAsyncService,
  type AsyncInferenceServiceAttributes,
  type IAsyncInferenceService,
} from './imported-async-service';
import type { InferenceServiceProps } from './inference-service-props';
import { MeasuredService } from './measured-service';
import { bindModels } from './model-rights';
import { folder, type ObjectsBelow } from './objects-below';
import { assertSameStack } from './platform';
import { QueueAlarms } from './queue-alarms';
import { workerContainer, workerSize } from './queue-worker-container';
import { Rollout } from './rollout';
import { RuntimeImage } from './runtime-image';
import { Scaling } from './scaling';
import { ServiceDashboard } from './service-dashboard';
import type { EndpointProps } from './service-endpoint';
import { claimServiceName, createLogGroup, createSecurityGroup, engineSpec } from './service-foundations';
import { assertCapacity } from './service-machines';
import { scaleService } from './service-scaling';
import { createTaskDefinition } from './task-definition';

/** What belongs to callers that wait for an answer. */
type OfCallers =
  | keyof EndpointProps
  | 'loadBalancer'
  | 'serviceConnect'
  | 'scaling'
  | 'rollout'
  | 'deregistrationLagSeconds'
  | 'idleTimeoutSeconds';

export interface AsyncInferenceServiceProps extends Omit<InferenceServiceProps, OfCallers>, AsyncQueueOptions {
  /** Where results go. @default - a bucket of its own: private, encrypted, thirty days */
  readonly results?: s3.IBucket;
  /** What the keys of results begin with; then come the model's name and the message's id. @default 'results/' */
  readonly resultsPrefix?: string;
  /**
   * Where messages may say that their input lies.
   * @default - nowhere: inputs are in the messages themselves
   */
  readonly inputs?: readonly ObjectsBelow[];
  /** Messages that may wait for each replica. @default - four batches' worth */
  readonly messagesPerReplica?: number;
  /** Replicas kept running when nothing waits. @default 0 */
  readonly minReplicas?: number;
  /** Age of the oldest message from which on somebody is told. @default - what it takes to bring a replica and to try twice */
  readonly maxMessageAge?: Duration;
}

const QUEUED_BATCHES = 4;

/**
 * Inference for those who do not wait: messages of a queue become results in a bucket. There is no replica while there is
 * no message; the first message brings one. Nobody can call it.
 *
 * A message is `{"model": "digits", "input": {"json": {…}}}` or `{"model": "digits", "input": {"uri": "s3://…"}}`, its
 * result the object `<resultsPrefix><model>/<id>.json` (`.bin` for binary tensors, `.error.json` where the request is at
 * fault). Each message is answered at least once; its result has one name.
 *
 * @example
 * const digits = new AsyncInferenceService(this, 'Digits', {
 *   cluster,
 *   models: [Model.fromAsset('models/digits/model.onnx')],
 * });
 * digits.grantSend(shop);
 * digits.grantReadResults(shop);
 */
export class AsyncInferenceService extends MeasuredService implements IAsyncInferenceService, iam.IGrantable {
  /** A service of another stack or app, to send to and to read from. */
  static fromAttributes(
    scope: Construct,
    id: string,
    attributes: AsyncInferenceServiceAttributes,
  ): IAsyncInferenceService {
    return new ImportedAsyncService(scope, id, attributes);
  }

  readonly plan: InferenceServicePlan;
  /** Replicas. */
  readonly grantPrincipal: iam.IPrincipal;

  /** The parts. Exposed so that nothing is out of reach. */
  readonly cluster: ecs.ICluster;
  readonly queue: sqs.IQueue;
  /** Where messages wait for a human. */
  readonly deadLetterQueue: sqs.IQueue;
  readonly results: s3.IBucket;
  readonly resultsPrefix: string;
  readonly taskRole: iam.IRole;
  readonly logGroup: logs.ILogGroup;
  readonly taskDefinition: ecs.TaskDefinition;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly service: ecs.Ec2Service | ecs.FargateService;
  readonly scaling: ecs.ScalableTaskCount;
  /** undefined where no alarms were asked for. */
  readonly alarms?: QueueAlarms;
  /** undefined where none was asked for. */
  readonly dashboard?: ServiceDashboard;

  constructor(scope: Construct, id: string, props: AsyncInferenceServiceProps) {
    super(scope, id);
    assertClusterOrPlatform(props);
    assertLogGroup(props);
    if (props.platform !== undefined) assertSameStack(this, props.platform);
    this.plan = planInferenceService(engineSpec(id, props, specOf(props)));
    this.cluster = props.cluster ?? props.platform!.cluster;
    claimServiceName(this, this.cluster, this.plan.name);
    const capacity = props.capacity ?? FARGATE_CAPACITY;
    assertCapacity(this.cluster, capacity);
    const vpcSubnets = props.vpcSubnets ??
      props.platform?.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };

    const queues = createQueues(this, this.plan, props);
    this.queue = queues.queue;
    this.deadLetterQueue = queues.deadLetterQueue;
    this.results = props.results ?? createResultsBucket(this, this.plan, props.encryptionKey);
    this.resultsPrefix = folder(props.resultsPrefix ?? RESULTS_PREFIX);
    const inputs = (props.inputs ?? []).map(({ bucket, prefix }) => ({ bucket, prefix: folder(prefix) }));

    this.logGroup = props.logGroup ?? createLogGroup(this, this.plan, props.logRetention, props.logKey);
    this.taskRole = props.taskRole ?? new iam.Role(this, 'TaskRole', { assumedBy: tasksOf(Stack.of(this)) });
    this.grantPrincipal = this.taskRole.grantPrincipal;
    const models = bindModels(this, props.models, this.taskRole);
    const rights = new iam.Policy(this, 'WorkRights', { roles: [this.taskRole] });
    grantWork(rights, queues);
    grantWriteObjects(rights, this.results, [this.resultsPrefix]);
    for (const place of inputs) grantReadPlace(rights, place);
    acknowledgePrefixes(rights, 'inputs and results come and go below their prefixes');

    this.taskDefinition = createTaskDefinition(this, {
      ...props,
      plan: this.plan,
      capacity,
      image: props.image ?? RuntimeImage.fromAsset(),
      taskRole: this.taskRole,
      logGroup: this.logGroup,
      clusterName: this.cluster.clusterName,
      models: models.locations,
      // The worker alone asks it.
      environment: { SLIPWAY_HOST: '127.0.0.1', ...props.environment },
      extraContainers: [
        workerContainer({
          plan: this.plan,
          queues,
          results: this.resultsPlace,
          inputs,
          region: Stack.of(this).region,
        }),
      ],
    });
    const securityGroups = props.securityGroups ?? [
      createSecurityGroup(this, {
        vpc: this.cluster.vpc,
        description: `Replicas of ${this.plan.name}: nobody calls them, HTTPS goes out`,
      }),
    ];
    this.securityGroup = securityGroups[0]!;
    this.service = createEcsService(this, {
      plan: this.plan,
      cluster: this.cluster,
      capacity,
      taskDefinition: this.taskDefinition,
      securityGroups,
      vpcSubnets,
      rollout: Rollout.rolling(),
      needs: [models.policy, rights],
      isBalanced: false,
      rollbackAlarms: [],
    });

    const watched = { plan: this.plan, clusterName: this.cluster.clusterName, service: this.service };
    const { messagesPerReplica = largestBatch(this.plan) * QUEUED_BATCHES, maxMessageAge } = props;
    this.scaling = scaleService(this, watched, [Scaling.queue({ queue: this.queue, messagesPerReplica })]);
    if (props.alarms ?? this.plan.preset === 'production') {
      const actions = props.alarmActions ?? [];
      this.alarms = new QueueAlarms(this, 'Alarms', { ...queues, plan: this.plan, maxMessageAge, actions });
    }
    if (props.dashboard ?? this.plan.preset === 'production') {
      this.dashboard = new ServiceDashboard(this, 'Dashboard', {
        watched,
        queue: queues,
        ...(this.alarms === undefined ? {} : { alarms: this.alarms }),
        ...(props.replicaHourPrice === undefined ? {} : { replicaHourPrice: props.replicaHourPrice }),
      });
    }
  }

  /** Lets somebody ask. */
  grantSend(grantee: iam.IGrantable): iam.Grant {
    return this.queue.grantSendMessages(grantee);
  }

  /** Lets somebody get results, and not list them: a result's name is the model's and the message's id. */
  grantReadResults(grantee: iam.IGrantable): iam.Grant {
    return grantReadPlace(grantee, this.resultsPlace);
  }

  /** Messages that wait for a replica. @default - maximum of a minute */
  metricBacklog(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return backlogOf(this.queue, options);
  }

  /** Seconds that the oldest message has waited. @default - maximum of a minute */
  metricOldestMessage(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return oldestMessageOf(this.queue, options);
  }

  private get resultsPlace(): ObjectsBelow {
    return { bucket: this.results, prefix: this.resultsPrefix };
  }
}

// What a queue's service knows by itself. Nobody sends its replicas requests that could still be on their way, so a drain
// waits for none; the worker ends before the server it asks.
function specOf({ platform, preset, minReplicas, maxBodyMiB }: AsyncInferenceServiceProps): Partial<EngineServiceSpec> {
  return {
    ...(platform === undefined || preset !== undefined ? {} : { preset: platform.preset }),
    wakeSource: 'queue',
    minReplicas: minReplicas ?? 0,
    deregistrationLagSeconds: 0,
    companions: workerSize(maxBodyMiB),
  };
}

function largestBatch({ models }: InferenceServicePlan): number {
  return Math.max(...models.map(({ maxBatchSize }) => maxBatchSize));
}
