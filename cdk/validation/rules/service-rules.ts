import { gpuCountOf } from '../gpu-types';
import { gpusOfService, groupsOf, providersOf, shiftOf, typesOf } from '../ecs-view';
import { ruleAbout } from '../rule';
import {
  idsIn,
  isEverywhere,
  isRecord,
  numbersAt,
  textsAt,
  valuesAt,
  type Resource,
  type TemplateView,
} from '../template-view';

const SERVICE = 'AWS::ECS::Service';
const TARGET_GROUP = 'AWS::ElasticLoadBalancingV2::TargetGroup';
const LISTENER = 'AWS::ElasticLoadBalancingV2::Listener';
const SCALABLE_TARGET = 'AWS::ApplicationAutoScaling::ScalableTarget';
// CDK's own default is 60, in which no GPU replica has opened its model.
const MIN_GRACE_SECONDS = 120;

/** Rules about services, their rollouts, their scaling and what stands before them. */
export const SERVICE_RULES = [
  ruleAbout(
    'GPU_COUNT_EXCEEDS_TYPE',
    SERVICE,
    'A task that asks for more GPUs than a machine has waits for ever.',
    (service, template) => {
      const wanted = gpusOfService(service, template);
      const types = providersOf(service, template)
        .flatMap((provider) => groupsOf(provider, template))
        .map((group) => typesOf(group, template));
      const counts = types.flatMap((each) => each?.map(gpuCountOf) ?? [undefined]);
      if (wanted === 0 || counts.length === 0 || counts.some((count) => count === undefined || count >= wanted))
        return undefined;
      const most = Math.max(...counts.map(Number));
      return `a task takes ${wanted} GPUs, and machines of ${[...new Set(types.flat())].join(', ')} have ${most} at most: take a type with ${wanted}, or fewer GPUs`;
    },
  ),

  ruleAbout(
    'SERVICE_BEFORE_ASSOCIATION',
    SERVICE,
    'A service that is not ordered after the association of its capacity provider fails to create or to delete.',
    (service, template) => {
      const providers = providersOf(service, template).filter((provider) => groupsOf(provider, template).length > 0);
      const associations = template
        .all('AWS::ECS::ClusterCapacityProviderAssociations')
        .filter((each) => providers.some(({ id }) => idsIn(each.Properties).has(id)));
      const missing = associations.find((association) => !template.dependsOn(service, association));
      if (missing === undefined) return undefined;
      return `does not depend on ${missing.id}, so it may be created before its capacity provider is in the cluster and deleted after it, which ECS refuses: add the dependency`;
    },
  ),

  ruleAbout(
    'FIXED_DESIRED_COUNT',
    SERVICE,
    'A template that states a desired count resets a scaled service at every deployment.',
    (service, template) => {
      const [count] = numbersAt(service.Properties, 'DesiredCount');
      if (count === undefined || scalableTargetsOf(service, template).length === 0) return undefined;
      return `DesiredCount is ${count}, to which every deployment resets what scaling chose: leave it out`;
    },
  ),

  ruleAbout(
    'SHORT_GRACE_PERIOD',
    SERVICE,
    'A replica that is still loading its model is stopped when health counts too early.',
    (service, template) => {
      if (gpusOfService(service, template) === 0 || balancersOf(service).length === 0) return undefined;
      const periods = valuesAt(service.Properties, 'HealthCheckGracePeriodSeconds');
      const [seconds] = periods.length === 0 ? [0] : numbersAt(periods, '*').filter((each) => each < MIN_GRACE_SECONDS);
      if (seconds === undefined) return undefined;
      return `HealthCheckGracePeriodSeconds is ${seconds}, and an image and a model take minutes to load: set ${MIN_GRACE_SECONDS} or more`;
    },
  ),

  ruleAbout(
    'NO_CIRCUIT_BREAKER',
    SERVICE,
    'Without a circuit breaker a broken image holds GPUs and the stack for hours.',
    (service, template) => {
      const controllers = valuesAt(service.Properties, 'DeploymentController', 'Type');
      if (gpusOfService(service, template) === 0 || controllers.some((each) => each !== 'ECS')) return undefined;
      const breaker = valuesAt(service.Properties, 'DeploymentConfiguration', 'DeploymentCircuitBreaker');
      const isOn = isEverywhere(true, breaker[0], 'Enable') && isEverywhere(true, breaker[0], 'Rollback');
      if (isOn) return undefined;
      return 'DeploymentCircuitBreaker is not on with Rollback, so a revision that never becomes healthy is tried for hours: enable both';
    },
  ),

  ruleAbout(
    'CANARY_WITHOUT_ALTERNATE',
    SERVICE,
    'Traffic cannot move to a second target group that is not there.',
    (service) => {
      const shift = shiftOf(service);
      if (shift === undefined) return undefined;
      const bare = balancersOf(service).filter(
        (each) => isRecord(each) && valuesAt(each, 'AdvancedConfiguration').length === 0,
      );
      if (bare.length === 0) return undefined;
      return `Strategy is ${shift}, and ${bare.length} of ${balancersOf(service).length} LoadBalancers entries have no AdvancedConfiguration: name the alternate target group and the rule`;
    },
  ),

  ruleAbout(
    'REQUEST_SCALING_WITH_SHIFT',
    'AWS::ApplicationAutoScaling::ScalingPolicy',
    'Requests of one target group say nothing while traffic is at the other.',
    (policy, template) => {
      const metrics = textsAt(
        policy.Properties,
        ...['TargetTrackingScalingPolicyConfiguration', 'PredefinedMetricSpecification', 'PredefinedMetricType'],
      );
      if (!metrics.includes('ALBRequestCountPerTarget')) return undefined;
      const targets = template.referred(policy.Properties?.['ScalingTargetId'], SCALABLE_TARGET);
      const scaled = [policy, ...targets].flatMap((each) =>
        template.referred(each.Properties?.['ResourceId'], SERVICE),
      );
      const shift = scaled.map(shiftOf).find((each) => each !== undefined);
      if (shift === undefined) return undefined;
      return `follows ALBRequestCountPerTarget of one target group, and with ${shift} traffic moves to another: use a custom metric, or metric math over both`;
    },
  ),

  ruleAbout(
    'SLOW_START_WITH_LEAST_OUTSTANDING',
    TARGET_GROUP,
    'Elastic Load Balancing has slow start with round robin alone.',
    (group) => {
      const seconds = Number(attributeOf(group, 'slow_start.duration_seconds') ?? 0);
      const algorithm = attributeOf(group, 'load_balancing.algorithm.type') ?? 'round_robin';
      if (!(seconds > 0) || algorithm === 'round_robin') return undefined;
      return `slow start of ${seconds} s with ${algorithm}, which Elastic Load Balancing refuses: leave slow start out`;
    },
  ),

  ruleAbout('GRPC_ON_PLAINTEXT', TARGET_GROUP, 'A load balancer speaks gRPC over TLS alone.', (group, template) => {
    if (!isEverywhere('GRPC', group.Properties, 'ProtocolVersion')) return undefined;
    const listener = listenersOf(group, template).find(
      ({ Properties }) => isEverywhere('HTTP', Properties, 'Protocol') && textsAt(Properties, 'Protocol').length > 0,
    );
    if (listener === undefined) return undefined;
    return `gRPC behind ${listener.id}, a listener of protocol HTTP, which AWS refuses: give the listener a certificate and HTTPS`;
  }),
] as const;

function balancersOf(service: Resource): readonly unknown[] {
  return valuesAt(service.Properties, 'LoadBalancers', '*');
}

function scalableTargetsOf(service: Resource, template: TemplateView): readonly Resource[] {
  return template.all(SCALABLE_TARGET).filter((target) => idsIn(target.Properties?.['ResourceId']).has(service.id));
}

function attributeOf(group: Resource, key: string): string | undefined {
  const attributes = valuesAt(group.Properties, 'TargetGroupAttributes', '*').filter((each) =>
    textsAt(each, 'Key').includes(key),
  );
  return attributes.flatMap((each) => textsAt(each, 'Value'))[0];
}

/** Listeners of this template that forward to a target group, by their default action or by a rule. */
function listenersOf(group: Resource, template: TemplateView): readonly Resource[] {
  const direct = template.all(LISTENER).filter(({ Properties }) => idsIn(Properties?.['DefaultActions']).has(group.id));
  const rules = template
    .all('AWS::ElasticLoadBalancingV2::ListenerRule')
    .filter(({ Properties }) => idsIn(Properties?.['Actions']).has(group.id));
  return [...direct, ...rules.flatMap((rule) => template.referred(rule.Properties?.['ListenerArn'], LISTENER))];
}
