import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { planInferenceService, type EngineServiceSpec, type InferenceServicePlan } from '../runtime/spec';
import { assertClusterOrPlatform, assertServiceProps } from './assert-service-props';
import { BalancedService } from './balanced-service';
import { FARGATE_CAPACITY } from './capacity';
import { createEcsService } from './ecs-service';
import { tasksOf } from './ecs-task-rights';
import {
  ImportedService,
  serviceOfPlatform,
  type IInferenceService,
  type InferenceServiceAttributes,
  type PlatformServiceOptions,
} from './imported-service';
import type { InferenceServiceProps } from './inference-service-props';
import { bindModels, type BoundModels } from './model-rights';
import type { IInferencePlatform } from './platform';
import { publishService } from './platform-membership';
import { Rollout } from './rollout';
import { RuntimeImage } from './runtime-image';
import { Scaling } from './scaling';
import { ServiceAlarms } from './service-alarms';
import {
  assertNamespace,
  SERVICE_CONNECT_PROXY,
  serviceConnectConfiguration,
  serviceConnectUrl,
  type ServiceConnectOptions,
} from './service-connect';
import { ServiceDashboard } from './service-dashboard';
import { createEndpoint, type Endpoint } from './service-endpoint';
import { claimServiceName, createLogGroup, createSecurityGroup, engineSpec } from './service-foundations';
import { assertCapacity } from './service-machines';
import type { ServiceTargets } from './service-parts';
import { scaleService } from './service-scaling';
import type { ISharedListener } from './shared-listener';
import { SmokeTest } from './smoke-test';
import { createTaskDefinition } from './task-definition';

// Works across two installed copies of this package, where `instanceof` does not.
const BRAND = Symbol.for('slipway.cdk.InferenceService');

/**
 * An autoscaled inference endpoint: an ECS service on GPU machines or on Fargate, behind an internal load balancer that
 * nobody may call until somebody is let in. It may be public, share a listener, or be called by name instead.
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
export class InferenceService extends BalancedService implements IInferenceService, iam.IGrantable {
  /** Whether this is an inference service, of whichever installed copy of this package. */
  static isInferenceService(construct: unknown): construct is InferenceService {
    return typeof construct === 'object' && construct !== null && BRAND in construct;
  }

  /** A service that another stack or app made, by what is known of it. */
  static fromAttributes(scope: Construct, id: string, attributes: InferenceServiceAttributes): IInferenceService {
    return new ImportedService(scope, id, attributes);
  }

  /**
   * A service of a platform, by its name there: how it is reached comes from the parameters that it published.
   * @throws SpecError LISTENER_CHOICE when the app has the service and `loadBalancer` says what it is not.
   */
  static fromPlatform(
    scope: Construct,
    id: string,
    platform: IInferencePlatform,
    serviceName: string,
    options: PlatformServiceOptions = {},
  ): IInferenceService {
    return serviceOfPlatform(scope, id, platform, serviceName, options);
  }

  readonly plan: InferenceServicePlan;
  readonly serviceName: string;
  /** Where clients send requests. With a certificate and no `hostName`, give the load balancer a name of the certificate. */
  readonly url: string;
  /** Clients are let in here: on the listener's port, or on the replicas' where there is no load balancer. */
  readonly connections: ec2.Connections;
  /** Replicas, where something may be granted to them: hooks of the author may need it. */
  readonly grantPrincipal: iam.IPrincipal;

  /** The parts. Exposed so that nothing is out of reach. */
  readonly cluster: ecs.ICluster;
  readonly taskRole: iam.IRole;
  readonly logGroup: logs.ILogGroup;
  readonly taskDefinition: ecs.TaskDefinition;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly service: ecs.Ec2Service | ecs.FargateService;
  readonly scaling: ecs.ScalableTaskCount;
  protected readonly targets: ServiceTargets | undefined;
  /** undefined behind a shared listener, and without a load balancer. */
  readonly loadBalancer?: elbv2.ApplicationLoadBalancer;
  /** undefined without a load balancer, as the target groups are. */
  readonly listener?: elbv2.IApplicationListener;
  readonly targetGroup?: elbv2.ApplicationTargetGroup;
  /** undefined unless gRPC was asked for. */
  readonly grpcTargetGroup?: elbv2.ApplicationTargetGroup;
  /** Where a rollout shifts traffic to, and back with the next one: one of each kind. */
  readonly alternateTargetGroups: readonly elbv2.ApplicationTargetGroup[];
  /** undefined unless the service has one of its own. */
  readonly webAcl?: wafv2.CfnWebACL;
  /** undefined unless the rollout asks for one. */
  readonly smokeTest?: SmokeTest;
  /** undefined where no alarms were asked for. */
  readonly alarms?: ServiceAlarms;
  /** undefined where none was asked for. */
  readonly dashboard?: ServiceDashboard;

  constructor(scope: Construct, id: string, props: InferenceServiceProps) {
    super(scope, id);
    Object.defineProperty(this, BRAND, { value: true });
    assertClusterOrPlatform(props);
    const rollout = props.rollout ?? Rollout.rolling();
    const shared = sharedListenerOf(props);
    this.plan = planInferenceService(engineSpec(id, props, specOf(props, shared)));
    assertServiceProps(props, rollout, shared);
    this.serviceName = this.plan.name;
    this.cluster = props.cluster ?? props.platform!.cluster;
    claimServiceName(this, this.cluster, this.serviceName);
    const capacity = props.capacity ?? FARGATE_CAPACITY;
    assertCapacity(this.cluster, capacity);
    const serviceConnect = serviceConnectOf(props);
    if (serviceConnect !== undefined) assertNamespace(this.cluster, serviceConnect);
    const vpcSubnets = props.vpcSubnets ??
      props.platform?.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };

    this.logGroup = props.logGroup ?? createLogGroup(this, this.plan, props.logRetention, props.logKey);
    this.taskRole = props.taskRole ?? new iam.Role(this, 'TaskRole', { assumedBy: tasksOf(Stack.of(this)) });
    this.grantPrincipal = this.taskRole.grantPrincipal;
    const models = bindModels(this, props.models, this.taskRole);
    this.taskDefinition = createTaskDefinition(this, {
      ...props,
      plan: this.plan,
      capacity,
      image: props.image ?? RuntimeImage.fromAsset(),
      taskRole: this.taskRole,
      logGroup: this.logGroup,
      clusterName: this.cluster.clusterName,
      models: models.locations,
      environment: { ...props.auth?.environment, ...props.environment },
      secrets: { ...props.auth?.secrets, ...props.secrets },
      serviceConnect: props.serviceConnect !== undefined,
    });
    const securityGroups = props.securityGroups ?? [
      createSecurityGroup(this, { vpc: this.cluster.vpc, description: describeReplicas(this.plan, props) }),
    ];
    this.securityGroup = securityGroups[0]!;

    const endpoint =
      props.loadBalancer === false
        ? undefined
        : createEndpoint(this, {
            plan: this.plan,
            vpc: this.cluster.vpc,
            vpcSubnets,
            rollout,
            props: { ...props, ...(shared === undefined ? {} : { listener: shared }) },
          });
    this.connections = endpoint?.clients ?? replicaConnections(this.plan, securityGroups);
    this.url = endpoint?.url ?? serviceConnectUrl(this.plan, props.serviceConnect!);
    this.listener = endpoint?.listener;
    this.targets = endpoint?.targets;
    this.loadBalancer = endpoint?.loadBalancer;
    this.webAcl = endpoint?.webAcl;
    [this.targetGroup] = endpoint?.targets.http ?? [];
    [this.grpcTargetGroup] = endpoint?.targets.grpc ?? [];
    this.alternateTargetGroups = [endpoint?.targets.http[1], endpoint?.targets.grpc[1]].filter(
      (group) => group !== undefined,
    );

    const watched = {
      plan: this.plan,
      clusterName: this.cluster.clusterName,
      ...(endpoint === undefined ? {} : { targets: endpoint.targets }),
    };
    if (props.alarms ?? (this.plan.preset === 'production' || rollout.alarmRollback === true)) {
      this.alarms = new ServiceAlarms(this, 'Alarms', { watched, actions: props.alarmActions ?? [] });
    }
    this.smokeTest = this.createSmokeTest(rollout, endpoint, models, props, vpcSubnets);
    this.service = createEcsService(this, {
      plan: this.plan,
      cluster: this.cluster,
      capacity,
      taskDefinition: this.taskDefinition,
      securityGroups,
      vpcSubnets,
      rollout,
      needs: [models.policy, ...(this.smokeTest === undefined ? [] : [this.smokeTest])],
      isBalanced: endpoint !== undefined,
      rollbackAlarms: rollout.alarmRollback === false ? [] : (this.alarms?.forRollback ?? []),
      ...(serviceConnect === undefined
        ? {}
        : { serviceConnect: serviceConnectConfiguration(this.plan, serviceConnect, this.logGroup) }),
    });
    if (this.smokeTest !== undefined) this.service.addLifecycleHook(this.smokeTest.hook);
    endpoint?.attach(this.service, this.taskDefinition.defaultContainer!.containerName);
    this.alarms?.countFrom(this.service);
    this.scaling = scaleService(this, { ...watched, service: this.service }, props.scaling ?? [Scaling.saturation()]);
    if (props.dashboard ?? this.plan.preset === 'production') {
      this.dashboard = new ServiceDashboard(this, 'Dashboard', {
        watched: { ...watched, service: this.service },
        ...(this.alarms === undefined ? {} : { alarms: this.alarms }),
        ...(props.replicaHourPrice === undefined ? {} : { replicaHourPrice: props.replicaHourPrice }),
      });
    }
    if (props.platform !== undefined) publishService(this, props.platform, this.service.serviceName);
  }

  private createSmokeTest(
    rollout: Rollout,
    endpoint: Endpoint | undefined,
    models: BoundModels,
    props: InferenceServiceProps,
    vpcSubnets: ec2.SubnetSelection,
  ): SmokeTest | undefined {
    if (rollout.smokeTest === undefined || endpoint?.test === undefined) return undefined;
    return new SmokeTest(this, 'SmokeTest', {
      plan: this.plan,
      vpc: this.cluster.vpc,
      vpcSubnets,
      endpoint: endpoint.test,
      locations: models.locations,
      readModels: models.policy,
      options: rollout.smokeTest,
      logRetention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
    });
  }
}

function sharedListenerOf({ listener, platform, loadBalancer }: InferenceServiceProps): ISharedListener | undefined {
  return loadBalancer === false ? undefined : (listener ?? platform?.sharedListener);
}

// Services of a platform call each other in its namespace.
function serviceConnectOf({ serviceConnect, platform }: InferenceServiceProps): ServiceConnectOptions | undefined {
  if (serviceConnect === undefined || platform?.namespace === undefined) return serviceConnect;
  return { namespace: platform.namespace, ...serviceConnect };
}

// What the things around the service know, as the planner takes it.
function specOf(
  { platform, preset, serviceConnect }: InferenceServiceProps,
  shared: ISharedListener | undefined,
): Partial<EngineServiceSpec> {
  return {
    ...(platform === undefined || preset !== undefined ? {} : { preset: platform.preset }),
    ...(shared === undefined ? {} : { idleTimeoutSeconds: shared.idleTimeoutSeconds }),
    ...(serviceConnect === undefined ? {} : { companions: SERVICE_CONNECT_PROXY }),
  };
}

function describeReplicas({ name }: InferenceServicePlan, { loadBalancer }: InferenceServiceProps): string {
  const callers = loadBalancer === false ? 'those who are let in' : 'the load balancer alone';
  return `Replicas of ${name}: requests come from ${callers}, HTTPS goes out`;
}

function replicaConnections(
  { ports }: InferenceServicePlan,
  securityGroups: readonly ec2.ISecurityGroup[],
): ec2.Connections {
  return new ec2.Connections({ securityGroups: [...securityGroups], defaultPort: ec2.Port.tcp(ports.http) });
}
