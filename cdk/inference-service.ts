import { Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { planInferenceService, type InferenceServicePlan, type InferenceServiceSpec } from '../runtime/spec';
import { assertServiceProps } from './assert-service-props';
import { FARGATE_CAPACITY, type ICapacity } from './capacity';
import { createEcsService } from './ecs-service';
import { tasksOf } from './ecs-task-rights';
import type { Model } from './model';
import { bindModels } from './model-rights';
import { Rollout } from './rollout';
import { RuntimeImage } from './runtime-image';
import { Scaling } from './scaling';
import { ServiceAlarms } from './service-alarms';
import { createEndpoint, type EndpointProps } from './service-endpoint';
import { claimServiceName, createLogGroup, createSecurityGroup, engineSpec } from './service-foundations';
import { saturationMetric } from './service-metrics';
import { scaleService } from './service-scaling';
import { createTaskDefinition } from './task-definition';

/** The words of the spec, flat, and what only this engine knows. */
export interface InferenceServiceProps
  extends Omit<InferenceServiceSpec, 'name' | 'models' | 'capacity' | 'instanceTypes' | 'metricsFrom'>, EndpointProps {
  /**
   * Name of the service in metrics and logs; each service of a cluster needs its own.
   * @default - the construct's id in lower case, with dashes
   */
  readonly serviceName?: string;
  /** Cluster that runs the service. */
  readonly cluster: ecs.ICluster;
  /** Models that every replica loads before it is ready. */
  readonly models: readonly Model[];
  /** @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** Machines that replicas run on. @default - Fargate */
  readonly capacity?: ICapacity;
  /** Where replicas and the load balancer live. @default - the private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Must be of the standard class: of others CloudWatch makes no metrics. @default - one of its own, kept in production */
  readonly logGroup?: logs.ILogGroup;
  /** How long the service's own log group keeps lines. @default RetentionDays.ONE_MONTH */
  readonly logRetention?: logs.RetentionDays;
  /** What replicas are added and removed by. @default - the saturation that replicas publish */
  readonly scaling?: readonly Scaling[];
  /** How a new revision takes over. @default - rolling: replicas are replaced one after the other */
  readonly rollout?: Rollout;
  /** Whether alarms are made. @default - true in production, false in development */
  readonly alarms?: boolean;
  /** What every alarm does when it goes off. @default - nothing; the alarms can be seen */
  readonly alarmActions?: readonly cloudwatch.IAlarmAction[];
}

/**
 * A private, autoscaled inference endpoint: an ECS service on GPU machines or on Fargate, behind an internal load
 * balancer that nobody may call until somebody is let in.
 *
 * A spec that contradicts itself is refused while the program runs, with a SpecError that says what would work.
 *
 * @example
 * const digits = new InferenceService(this, 'Digits', {
 *   cluster,
 *   models: [Model.fromAsset('models/digits/model.onnx')],
 *   plaintextInsideVpc: true,
 * });
 * digits.connections.allowDefaultPortFrom(checkout);
 */
export class InferenceService extends Construct implements ec2.IConnectable {
  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  /** Where clients send requests: `http://…` or `https://…`. With a certificate, give the load balancer a name of it. */
  readonly url: string;
  /** Clients are let in here, on the listener's port. */
  readonly connections: ec2.Connections;

  /** The parts. Exposed so that nothing is out of reach. */
  readonly cluster: ecs.ICluster;
  readonly taskRole: iam.Role;
  readonly logGroup: logs.ILogGroup;
  readonly taskDefinition: ecs.TaskDefinition;
  readonly securityGroup: ec2.SecurityGroup;
  readonly service: ecs.Ec2Service | ecs.FargateService;
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
  readonly listener: elbv2.ApplicationListener;
  readonly scaling: ecs.ScalableTaskCount;
  /** undefined where no alarms were asked for. */
  readonly alarms?: ServiceAlarms;

  constructor(scope: Construct, id: string, props: InferenceServiceProps) {
    super(scope, id);
    this.plan = planInferenceService(engineSpec(id, props));
    assertServiceProps(props);
    this.cluster = props.cluster;
    claimServiceName(this, this.cluster, this.plan.name);
    const capacity = props.capacity ?? FARGATE_CAPACITY;
    const rollout = props.rollout ?? Rollout.rolling();
    const vpcSubnets = props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };

    this.logGroup = props.logGroup ?? createLogGroup(this, this.plan, props.logRetention);
    this.taskRole = new iam.Role(this, 'TaskRole', { assumedBy: tasksOf(Stack.of(this)) });
    const { locations, policy } = bindModels(this, props.models, this.taskRole);
    this.taskDefinition = createTaskDefinition(this, {
      plan: this.plan,
      capacity,
      image: props.image ?? RuntimeImage.fromAsset(),
      taskRole: this.taskRole,
      logGroup: this.logGroup,
      clusterName: this.cluster.clusterName,
      models: locations,
    });
    this.securityGroup = createSecurityGroup(this, {
      vpc: this.cluster.vpc,
      description: `Replicas of ${this.plan.name}: requests come from the load balancer alone, HTTPS goes out`,
    });

    const endpoint = createEndpoint(this, { plan: this.plan, vpc: this.cluster.vpc, vpcSubnets, props });
    this.loadBalancer = endpoint.loadBalancer;
    this.targetGroup = endpoint.targets.http[0]!;
    this.listener = endpoint.listener;
    this.connections = endpoint.clients;
    this.url = endpoint.url;

    const watched = { plan: this.plan, clusterName: this.cluster.clusterName, targets: endpoint.targets };
    if (props.alarms ?? this.plan.preset === 'production') {
      this.alarms = new ServiceAlarms(this, 'Alarms', { watched, actions: props.alarmActions ?? [] });
    }
    this.service = createEcsService(this, {
      plan: this.plan,
      cluster: this.cluster,
      capacity,
      taskDefinition: this.taskDefinition,
      securityGroups: [this.securityGroup],
      vpcSubnets,
      rollout,
      needs: [policy],
      isBalanced: true,
    });
    endpoint.attach(this.service, this.taskDefinition.defaultContainer!.containerName);
    this.alarms?.countFrom(this.service);
    this.scaling = scaleService(this, { ...watched, service: this.service }, props.scaling ?? [Scaling.saturation()]);
  }

  /**
   * How full the replicas are: 1 is a full replica. The signal that the service scales on.
   * @default - average over a minute
   */
  metricSaturation(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return saturationMetric(this.plan, this.cluster.clusterName, options);
  }
}
