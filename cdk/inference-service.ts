import { Annotations, ArnFormat, Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import {
  lookUpInstance,
  planInferenceService,
  SpecError,
  type InferenceServicePlan,
  type InferenceServiceSpec,
} from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { assertServiceProps } from './assert-service-props';
import { FARGATE_CAPACITY, type ICapacity } from './capacity';
import { type Model } from './model';
import { bindModels } from './model-rights';
import { RuntimeImage } from './runtime-image';
import { saturationMetric } from './saturation-metric';
import { ServiceAlarms } from './service-alarms';
import { createTaskDefinition } from './task-definition';

/** The words of the spec, flat, and what only this engine knows. */
export interface InferenceServiceProps extends Omit<
  InferenceServiceSpec,
  'name' | 'models' | 'capacity' | 'instanceTypes' | 'metricsFrom'
> {
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
  /** Certificate of the listener, which then speaks TLS on port 443. It is this or `plaintextInsideVpc`. */
  readonly certificate?: acm.ICertificate;
  /** Say true to have clients inside the VPC speak plain HTTP on port 80. @default false */
  readonly plaintextInsideVpc?: boolean;
  /** Where replicas and the load balancer live. @default - the private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Must be of the standard class: of others CloudWatch makes no metrics. @default - one of its own, kept in production */
  readonly logGroup?: logs.ILogGroup;
  /** How long the service's own log group keeps lines. @default RetentionDays.ONE_MONTH */
  readonly logRetention?: logs.RetentionDays;
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
    this.node.addValidation({ validate: () => servicesOfSameName(this) });
    const capacity = props.capacity ?? FARGATE_CAPACITY;
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
    this.service = this.createService(capacity, vpcSubnets);
    this.waitForWhatReplicasNeed(policy, vpcSubnets);

    this.loadBalancer = this.createLoadBalancer(vpcSubnets);
    this.targetGroup = this.createTargetGroup();
    this.listener = this.createListener(props.certificate);
    this.connections = new ec2.Connections({
      securityGroups: this.loadBalancer.connections.securityGroups,
      defaultPort: ec2.Port.tcp(this.listener.port),
    });
    this.url = `${props.certificate === undefined ? 'http' : 'https'}://${this.loadBalancer.loadBalancerDnsName}`;

    this.scaling = this.scaleOnSaturation();
    if (props.alarms ?? this.plan.preset === 'production') {
      this.alarms = new ServiceAlarms(this, 'Alarms', {
        plan: this.plan,
        saturation: this.metricSaturation(),
        targetGroup: this.targetGroup,
        loadBalancer: this.loadBalancer,
        service: this.service,
        actions: props.alarmActions ?? [],
      });
    }
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

  private createService(capacity: ICapacity, vpcSubnets: ec2.SubnetSelection): ecs.Ec2Service | ecs.FargateService {
    const { lifecycle, rollout } = this.plan;
    // No desired count: the autoscaler owns it, and a template that states it would reset it with every deployment.
    const common = {
      cluster: this.cluster,
      taskDefinition: this.taskDefinition,
      securityGroups: [this.securityGroup],
      vpcSubnets,
      ...(capacity.strategy.length === 0 ? {} : { capacityProviderStrategies: [...capacity.strategy] }),
      minHealthyPercent: rollout.minHealthyPercent,
      maxHealthyPercent: rollout.maxHealthyPercent,
      healthCheckGracePeriod: Duration.seconds(lifecycle.loadBalancerCheck.gracePeriodSeconds),
      circuitBreaker: { enable: true, rollback: true },
      enableExecuteCommand: false,
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
      // ECS rebalances zones by starting a replica before it stops one, which a service without a spare cannot have.
      availabilityZoneRebalancing:
        rollout.maxHealthyPercent > 100
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

  private createLoadBalancer(vpcSubnets: ec2.SubnetSelection): elbv2.ApplicationLoadBalancer {
    const loadBalancer = new elbv2.ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc: this.cluster.vpc,
      vpcSubnets,
      internetFacing: false,
      idleTimeout: Duration.seconds(this.plan.lifecycle.idleTimeoutSeconds),
      dropInvalidHeaderFields: true,
    });
    acknowledge(
      loadBalancer,
      'ELB2',
      'access logs need a bucket in a known region: who wants them calls loadBalancer.logAccessLogs',
    );
    return loadBalancer;
  }

  private createTargetGroup(): elbv2.ApplicationTargetGroup {
    const { lifecycle, ports } = this.plan;
    const check = lifecycle.loadBalancerCheck;
    return new elbv2.ApplicationTargetGroup(this, 'TargetGroup', {
      vpc: this.cluster.vpc,
      targetType: elbv2.TargetType.IP,
      protocol: elbv2.ApplicationProtocol.HTTP,
      port: ports.http,
      // Inference times differ by orders of magnitude: whoever is busy gets no more. Slow start would exclude this.
      loadBalancingAlgorithmType: elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
      deregistrationDelay: Duration.seconds(lifecycle.deregistrationDelaySeconds),
      // Ready, not live: a replica that is still loading a model must stay out of the target group.
      healthCheck: {
        path: check.path,
        healthyHttpCodes: '200',
        interval: Duration.seconds(check.intervalSeconds),
        timeout: Duration.seconds(check.timeoutSeconds),
        healthyThresholdCount: check.healthyThreshold,
        unhealthyThresholdCount: check.unhealthyThreshold,
      },
      targets: [
        this.service.loadBalancerTarget({
          containerName: this.taskDefinition.defaultContainer!.containerName,
          containerPort: ports.http,
        }),
      ],
    });
  }

  private createListener(certificate: acm.ICertificate | undefined): elbv2.ApplicationListener {
    return this.loadBalancer.addListener('Listener', {
      ...(certificate === undefined
        ? { protocol: elbv2.ApplicationProtocol.HTTP, port: 80 }
        : {
            protocol: elbv2.ApplicationProtocol.HTTPS,
            port: 443,
            certificates: [certificate],
            sslPolicy: elbv2.SslPolicy.TLS13_RES,
          }),
      // CDK would let the whole internet in.
      open: false,
      defaultTargetGroups: [this.targetGroup],
    });
  }

  private scaleOnSaturation(): ecs.ScalableTaskCount {
    const { scaling } = this.plan;
    const count = this.service.autoScaleTaskCount({
      minCapacity: scaling.minReplicas,
      maxCapacity: scaling.maxReplicas,
    });
    count.scaleToTrackCustomMetric('Saturation', {
      metric: this.metricSaturation(),
      targetValue: scaling.targetSaturation,
      scaleOutCooldown: Duration.seconds(scaling.scaleOutCooldownSeconds),
      scaleInCooldown: Duration.seconds(scaling.scaleInCooldownSeconds),
    });
    return count;
  }
}

// ECS may take the role for tasks of this account alone, as its developer guide advises: else somebody else's could be
// made to use it.
function tasksOf(stack: Stack): iam.IPrincipal {
  const tasks = stack.formatArn({ service: 'ecs', resource: '*', arnFormat: ArnFormat.NO_RESOURCE_NAME });
  return new iam.ServicePrincipal('ecs-tasks.amazonaws.com').withConditions({
    StringEquals: { 'aws:SourceAccount': stack.account },
    ArnLike: { 'aws:SourceArn': tasks },
  });
}

function specOf(id: string, props: InferenceServiceProps): InferenceServiceSpec {
  const { serviceName, models, capacity = FARGATE_CAPACITY, ...decisions } = props;
  return {
    ...decisions,
    name: serviceName ?? kebabCase(id),
    models: models.map((model) => model.spec),
    capacity: capacity.kind === 'fargate' ? 'fargate' : 'instances',
    ...(capacity.kind === 'fargate' ? {} : { instanceTypes: capacity.instanceTypes }),
  };
}

function kebabCase(id: string): string {
  return id
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .toLowerCase();
}

// Cluster and name are the dimensions of the scaling signal: two services of one name would scale on each other's load.
function servicesOfSameName(service: InferenceService): string[] {
  return service.node.root.node
    .findAll()
    .filter((child) => child instanceof InferenceService)
    .filter((other) => other !== service && other.plan.name === service.plan.name)
    .filter((other) => isSameCluster(other.cluster, service.cluster))
    .map(
      (other) =>
        new SpecError(
          'NAME_TAKEN',
          'serviceName',
          `'${service.plan.name}' is the name of '${other.node.path}' in the same cluster; give one of them another`,
        ).message,
    );
}

// An imported cluster is another object in every stack. Where no region is said, the same name may mean two clusters.
function isSameCluster(one: ecs.ICluster, other: ecs.ICluster): boolean {
  if (one === other) return true;
  const facts = ({ clusterName, env }: ecs.ICluster): string[] => [clusterName, env.account, env.region];
  return facts(one).every((fact, i) => !Token.isUnresolved(fact) && fact === facts(other)[i]);
}

// Not an error: replicas rarely all run, other machines may join, and another rollout may be meant.
function warnWhenRolloutHasNoRoom(scope: Construct, plan: InferenceServicePlan, capacity: ICapacity): void {
  if (capacity.maxMachines === undefined) return;
  const perMachine = capacity.instanceTypes.map((type) =>
    plan.resources.gpuCount === 0
      ? 1
      : Math.floor(lookUpInstance(type, 'instanceTypes').gpuCount / plan.resources.gpuCount),
  );
  const places = capacity.maxMachines * Math.min(...perMachine);
  const { maxReplicas } = plan.scaling;
  if (places >= maxReplicas + plan.rollout.maxSurge) return;
  Annotations.of(scope).addWarningV2(
    'slipway:no-room-for-rollout',
    `the group of at most ${capacity.maxMachines} machines has ${places} places, ${maxReplicas} replicas need ${maxReplicas + plan.rollout.maxSurge} during a rollout: raise maxSize, lower maxReplicas, or set spareReplica: false`,
  );
}
