import { Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import {
  planInferenceService,
  SpecError,
  type EngineServiceSpec,
  type InferenceServicePlan,
  type InferenceServiceSpec,
} from '../runtime/spec';
import { claim } from './app-registry';
import { assertServiceProps } from './assert-service-props';
import { FARGATE_CAPACITY, type ICapacity } from './capacity';
import { tasksOf } from './ecs-task-rights';
import type { Model } from './model';
import { bindModels } from './model-rights';
import { Rollout } from './rollout';
import { RuntimeImage } from './runtime-image';
import { Scaling } from './scaling';
import { ServiceAlarms } from './service-alarms';
import { createEndpoint, type EndpointProps } from './service-endpoint';
import { warnWhenRolloutHasNoRoom } from './service-machines';
import { saturationMetric } from './service-metrics';
import { scaleService, wakeSourceOf } from './service-scaling';
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
    this.plan = planInferenceService(specOf(id, props));
    assertServiceProps(props);
    this.cluster = props.cluster;
    claimName(this);
    const capacity = props.capacity ?? FARGATE_CAPACITY;
    const rollout = props.rollout ?? Rollout.rolling();
    const vpcSubnets = props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };

    this.logGroup = props.logGroup ?? this.createLogGroup(props.logRetention);
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
    this.securityGroup = this.createSecurityGroup();

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
    this.service = this.createService(capacity, vpcSubnets, rollout);
    this.waitForWhatReplicasNeed(policy, vpcSubnets);
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

  private createLogGroup(retention: logs.RetentionDays | undefined): logs.LogGroup {
    return new logs.LogGroup(this, 'Logs', {
      retention: retention ?? logs.RetentionDays.ONE_MONTH,
      removalPolicy: this.plan.preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  private createSecurityGroup(): ec2.SecurityGroup {
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: this.cluster.vpc,
      description: `Replicas of ${this.plan.name}: requests come from the load balancer alone, HTTPS goes out`,
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'models, image and logs');
    return securityGroup;
  }

  private createService(
    capacity: ICapacity,
    vpcSubnets: ec2.SubnetSelection,
    rollout: Rollout,
  ): ecs.Ec2Service | ecs.FargateService {
    const { lifecycle } = this.plan;
    // No desired count: the autoscaler owns it, and a template that states it would reset it with every deployment.
    const common = {
      cluster: this.cluster,
      taskDefinition: this.taskDefinition,
      securityGroups: [this.securityGroup],
      vpcSubnets,
      ...(capacity.strategy.length === 0 ? {} : { capacityProviderStrategies: [...capacity.strategy] }),
      ...rollout.deploymentOptions(this.plan),
      healthCheckGracePeriod: Duration.seconds(lifecycle.loadBalancerCheck.gracePeriodSeconds),
      circuitBreaker: { enable: true, rollback: true },
      enableExecuteCommand: false,
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
      // ECS rebalances zones by starting a replica before it stops one, which a service without a spare cannot have.
      availabilityZoneRebalancing:
        this.plan.rollout.maxHealthyPercent > 100
          ? ecs.AvailabilityZoneRebalancing.ENABLED
          : ecs.AvailabilityZoneRebalancing.DISABLED,
    };
    const service =
      capacity.kind === 'instances'
        ? new ecs.Ec2Service(this, 'Service', {
            ...common,
            placementStrategies: [
              ecs.PlacementStrategy.spreadAcross(ecs.BuiltInAttributes.AVAILABILITY_ZONE),
              ecs.PlacementStrategy.packedByMemory(),
            ],
          })
        : new ecs.FargateService(this, 'Service', { ...common, assignPublicIp: false });
    const cfnService = service.node.findChild('Service') as ecs.CfnService;
    if (capacity.mustOutlive !== undefined) cfnService.node.addDependency(capacity.mustOutlive);
    warnWhenRolloutHasNoRoom(this, this.plan, capacity);
    // By default ECS gives up after half the replicas' worth of failures, at least three of them and up to two hundred:
    // with a slow model that is most of an hour. Three failed starts are enough to know.
    cfnService.addPropertyOverride('DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration', {
      Type: 'COUNT',
      Value: 3,
    });
    // cfn-lint up to 1.51 does not know this threshold yet.
    cfnService.addMetadata('cfn-lint', { config: { ignore_checks: ['E3002'] } });
    return service;
  }

  // What a replica needs to start must be there before the first one does and stay until the last one is gone: after three
  // that cannot pull their image or fetch their model the rollout is given up. CloudFormation sees no order here by itself.
  private waitForWhatReplicasNeed(readModels: iam.Policy, vpcSubnets: ec2.SubnetSelection): void {
    const { internetConnectivityEstablished } = this.cluster.vpc.selectSubnets(vpcSubnets);
    this.service.node
      .findChild('Service')
      .node.addDependency(readModels, this.taskDefinition.obtainExecutionRole(), internetConnectivityEstablished);
  }
}

function specOf(id: string, props: InferenceServiceProps): EngineServiceSpec {
  const { serviceName, models, capacity = FARGATE_CAPACITY, scaling = [], ...decisions } = props;
  const wakeSource = wakeSourceOf(scaling);
  return {
    ...decisions,
    name: serviceName ?? kebabCase(id),
    models: models.map((model) => model.spec),
    capacity: capacity.kind === 'fargate' ? 'fargate' : 'instances',
    ...(capacity.kind === 'fargate' ? {} : { instanceTypes: capacity.instanceTypes }),
    ...(wakeSource === undefined ? {} : { wakeSource }),
  };
}

function kebabCase(id: string): string {
  return id
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .toLowerCase();
}

// Cluster and name are the dimensions of the scaling signal: two services of one name would scale on each other's load.
function claimName(service: InferenceService): void {
  const taken = claim(service, 'service', `${clusterKey(service.cluster)}\n${service.plan.name}`);
  if (taken === undefined) return;
  const error = new SpecError(
    'NAME_TAKEN',
    'serviceName',
    `'${service.plan.name}' is the name of '${taken.node.path}' in the same cluster; give one of them another`,
  );
  service.node.addValidation({ validate: () => [error.message] });
}

// An imported cluster is another object in every stack. Where no region is said, the same name may mean two clusters.
function clusterKey(cluster: ecs.ICluster): string {
  const { clusterName, env } = cluster;
  const facts = [env.account, env.region, clusterName];
  return facts.some((fact) => Token.isUnresolved(fact)) ? cluster.node.path : facts.join('/');
}
