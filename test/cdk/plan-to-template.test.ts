import { Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { instanceTypesOf, lookUpInstance, type InferenceServicePlan } from 'slipway';
import { Rollout, type ICapacity, type InferenceServiceProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { newCluster, newFargateService, newStack } from './support/stacks';

// Where ECS and the server are told what the plan decided. A value that were told twice could be told differently.
const TASK = 'AWS::ECS::TaskDefinition';
const SERVER = `${TASK}/ContainerDefinitions/server`;
const ENV = `${SERVER}/Environment`;
const SERVICE = 'AWS::ECS::Service';
const TARGETS = 'AWS::ElasticLoadBalancingV2::TargetGroup';
const BALANCER = 'AWS::ElasticLoadBalancingV2::LoadBalancer/LoadBalancerAttributes';
const SCALABLE = 'AWS::ApplicationAutoScaling::ScalableTarget';
const POLICY = 'AWS::ApplicationAutoScaling::ScalingPolicy/TargetTrackingScalingPolicyConfiguration';

type Told = (plan: InferenceServicePlan) => unknown;
type Row = readonly [planPath: string, templatePath: string, told: Told];

const TOLD: readonly Row[] = [
  ['contract', `${ENV}/SLIPWAY_CONTRACT`, ({ contract }) => String(contract)],
  ['contract', `${SERVER}/DockerLabels/slipway.dev/contract`, ({ contract }) => String(contract)],
  ['name', `${ENV}/SLIPWAY_SERVICE_NAME`, ({ name }) => name],
  ['name', `${SERVER}/LogConfiguration/Options/awslogs-stream-prefix`, ({ name }) => name],
  ['name', `${POLICY}/CustomizedMetricSpecification/Dimensions/1/Value`, ({ name }) => name],
  ['modelsRevision', `${SERVER}/DockerLabels/slipway.dev/models`, ({ modelsRevision }) => modelsRevision],
  ['executionProvider', `${ENV}/SLIPWAY_EXECUTION_PROVIDER`, (plan) => plan.executionProvider],
  ['resources.vcpu', `${TASK}/Cpu`, ({ resources }) => String(Math.floor(resources.vcpu * 1024))],
  ['resources.memoryMiB', `${TASK}/Memory`, ({ resources }) => String(resources.memoryMiB)],
  ['resources.memoryMiB', `${SERVER}/Memory`, ({ resources }) => resources.memoryMiB - resources.companions.memoryMiB],
  [
    'resources.gpuCount',
    `${SERVER}/ResourceRequirements/0/Value`,
    ({ resources }) => (resources.gpuCount > 0 ? String(resources.gpuCount) : undefined),
  ],
  ['resources.executors', `${ENV}/SLIPWAY_EXECUTORS`, ({ resources }) => String(resources.executors)],
  ['resources.intraOpThreads', `${ENV}/SLIPWAY_INTRA_OP_THREADS`, ({ resources }) => String(resources.intraOpThreads)],
  ['lifecycle.startupBudgetSeconds', `${ENV}/SLIPWAY_STARTUP_BUDGET_SECONDS`, of('startupBudgetSeconds', String)],
  ['lifecycle.requestDeadlineSeconds', `${ENV}/SLIPWAY_REQUEST_DEADLINE_SECONDS`, of('requestDeadlineSeconds', String)],
  [
    'lifecycle.deregistrationLagSeconds',
    `${ENV}/SLIPWAY_DEREGISTRATION_LAG_SECONDS`,
    of('deregistrationLagSeconds', String),
  ],
  ['lifecycle.keepAliveSeconds', `${ENV}/SLIPWAY_KEEP_ALIVE_SECONDS`, of('keepAliveSeconds', String)],
  ['lifecycle.runStuckSeconds', `${ENV}/SLIPWAY_RUN_STUCK_SECONDS`, of('runStuckSeconds', String)],
  ['lifecycle.stopTimeoutSeconds', `${SERVER}/StopTimeout`, of('stopTimeoutSeconds')],
  [
    'lifecycle.containerCheckStartPeriodSeconds',
    `${SERVER}/HealthCheck/StartPeriod`,
    of('containerCheckStartPeriodSeconds'),
  ],
  ['lifecycle.livenessProbe.periodSeconds', `${SERVER}/HealthCheck/Interval`, live('periodSeconds')],
  ['lifecycle.livenessProbe.timeoutSeconds', `${SERVER}/HealthCheck/Timeout`, live('timeoutSeconds')],
  ['lifecycle.livenessProbe.failureThreshold', `${SERVER}/HealthCheck/Retries`, live('failureThreshold')],
  ['lifecycle.loadBalancerCheck.path', `${TARGETS}/HealthCheckPath`, check('path')],
  ['lifecycle.loadBalancerCheck.intervalSeconds', `${TARGETS}/HealthCheckIntervalSeconds`, check('intervalSeconds')],
  ['lifecycle.loadBalancerCheck.timeoutSeconds', `${TARGETS}/HealthCheckTimeoutSeconds`, check('timeoutSeconds')],
  ['lifecycle.loadBalancerCheck.healthyThreshold', `${TARGETS}/HealthyThresholdCount`, check('healthyThreshold')],
  ['lifecycle.loadBalancerCheck.unhealthyThreshold', `${TARGETS}/UnhealthyThresholdCount`, check('unhealthyThreshold')],
  [
    'lifecycle.loadBalancerCheck.gracePeriodSeconds',
    `${SERVICE}/HealthCheckGracePeriodSeconds`,
    check('gracePeriodSeconds'),
  ],
  [
    'lifecycle.deregistrationDelaySeconds',
    `${TARGETS}/TargetGroupAttributes/deregistration_delay.timeout_seconds`,
    of('deregistrationDelaySeconds', String),
  ],
  ['lifecycle.idleTimeoutSeconds', `${BALANCER}/idle_timeout.timeout_seconds`, of('idleTimeoutSeconds', String)],
  ['scaling.minReplicas', `${SCALABLE}/MinCapacity`, ({ scaling }) => scaling.minReplicas],
  ['scaling.maxReplicas', `${SCALABLE}/MaxCapacity`, ({ scaling }) => scaling.maxReplicas],
  ['scaling.targetSaturation', `${POLICY}/TargetValue`, ({ scaling }) => scaling.targetSaturation],
  ['scaling.scaleOutCooldownSeconds', `${POLICY}/ScaleOutCooldown`, ({ scaling }) => scaling.scaleOutCooldownSeconds],
  ['scaling.scaleInCooldownSeconds', `${POLICY}/ScaleInCooldown`, ({ scaling }) => scaling.scaleInCooldownSeconds],
  ['scaling.metric', `${POLICY}/CustomizedMetricSpecification/MetricName`, ({ scaling }) => scaling.metric],
  [
    'scaling.cloudwatch.namespace',
    `${POLICY}/CustomizedMetricSpecification/Namespace`,
    ({ scaling }) => scaling.cloudwatch.namespace,
  ],
  [
    'scaling.targetQueueSeconds',
    `${ENV}/SLIPWAY_TARGET_QUEUE_SECONDS`,
    ({ scaling }) => String(scaling.targetQueueSeconds),
  ],
  [
    'rollout.minHealthyPercent',
    `${SERVICE}/DeploymentConfiguration/MinimumHealthyPercent`,
    ({ rollout }) => rollout.minHealthyPercent,
  ],
  [
    'rollout.maxHealthyPercent',
    `${SERVICE}/DeploymentConfiguration/MaximumPercent`,
    ({ rollout }) => rollout.maxHealthyPercent,
  ],
  [
    'rollout.maxHealthyPercent',
    `${SERVICE}/AvailabilityZoneRebalancing`,
    ({ rollout }) => (rollout.maxHealthyPercent > 100 ? 'ENABLED' : 'DISABLED'),
  ],
  ['hooks', `${ENV}/SLIPWAY_HOOKS`, ({ hooks }) => (hooks ? 'true' : undefined)],
  [
    'requireEvidence',
    `${ENV}/SLIPWAY_REQUIRE_EVIDENCE`,
    ({ requireEvidence }) => (requireEvidence ? 'true' : undefined),
  ],
  ['queueDepthRows', `${ENV}/SLIPWAY_QUEUE_DEPTH_ROWS`, ({ queueDepthRows }) => String(queueDepthRows)],
  ['maxBodyMiB', `${ENV}/SLIPWAY_MAX_BODY_MIB`, ({ maxBodyMiB }) => String(maxBodyMiB)],
  ['bodyMemoryMiB', `${ENV}/SLIPWAY_BODY_MEMORY_MIB`, ({ bodyMemoryMiB }) => String(bodyMemoryMiB)],
  ['ports.http', `${SERVER}/PortMappings/http/ContainerPort`, ({ ports }) => ports.http],
  ['ports.http', `${TARGETS}/Port`, ({ ports }) => ports.http],
  ['ports.http', `${SERVICE}/LoadBalancers/0/ContainerPort`, ({ ports }) => ports.http],
  ['ports.grpc', `${SERVER}/PortMappings/grpc/ContainerPort`, ({ ports }) => ports.grpc],
  ['ports.metrics', `${SERVER}/PortMappings/metrics/ContainerPort`, ({ ports }) => ports.metrics],
];

/** What the plan decided for somebody else, or what other values of it come from. */
const NOT_TOLD: Readonly<Record<string, string>> = {
  preset: 'decides whether alarms are made and what is kept when the stack is deleted',
  models: 'SLIPWAY_MODELS and the assets, which have tests of their own',
  permissions: 'the policy of the task role, which has tests of its own',
  warnings: 'of the machines of a Kubernetes placement: shown, and there are none on ECS',
  paths: 'the image and the target group know them; loadBalancerCheck.path is told',
  'resources.executionProvider': 'told as executionProvider',
  'resources.capacity': 'chooses the launch type',
  'resources.instanceTypes': 'the machines are told, by their group',
  'resources.architecture': 'chooses the image; Fargate is told as RuntimePlatform',
  'resources.companions': 'what the server does not get; told as its memory',
  'resources.ephemeralStorageMiB': 'Fargate alone is told, where it is more than everybody gets',
  'resources.neededMemoryMiB': 'was compared with memoryMiB',
  'resources.neededGpuMemoryMiB': 'was compared with the card',
  'lifecycle.provisioningSeconds': 'part of progressDeadlineSeconds',
  'lifecycle.startupProbe': 'Kubernetes asks it; ECS has the grace period',
  'lifecycle.readinessProbe': 'Kubernetes asks it; ECS has the load balancer',
  'lifecycle.livenessProbe.path': 'the health command of the image asks it',
  'lifecycle.progressDeadlineSeconds': 'alarms wait that long; ECS has the circuit breaker',
  'lifecycle.awaitTimeoutSeconds': 'CloudFormation waits as long as ECS does',
  'lifecycle.drainSeconds': 'part of stopTimeoutSeconds',
  'rollout.maxSurge': 'Kubernetes; ECS has percents',
  'rollout.maxUnavailable': 'Kubernetes; ECS has percents',
  'scaling.metricsFrom': 'Kubernetes; ECS reads CloudWatch',
  'scaling.cloudwatch.dimensions': 'what the values of dimensions belong to',
  'scaling.cloudwatch.periodSeconds': 'how often replicas publish',
};

function of<T>(
  field: keyof InferenceServicePlan['lifecycle'],
  as: (value: unknown) => T = (value) => value as T,
): Told {
  return ({ lifecycle }) => as(lifecycle[field]);
}

function live(field: 'periodSeconds' | 'timeoutSeconds' | 'failureThreshold'): Told {
  return ({ lifecycle }) => lifecycle.livenessProbe[field];
}

function check(field: keyof InferenceServicePlan['lifecycle']['loadBalancerCheck']): Told {
  return ({ lifecycle }) => lifecycle.loadBalancerCheck[field];
}

interface Deployed {
  readonly plan: InferenceServicePlan;
  readonly leaves: ReadonlyMap<string, unknown>;
}

function deploy(type: string | undefined, props: Partial<InferenceServiceProps> = {}): Deployed {
  const stack = newStack();
  const capacity: ICapacity | undefined =
    type === undefined
      ? undefined
      : {
          kind: 'instances',
          instanceTypes: [type],
          spot: false,
          strategy: [{ capacityProvider: 'machines', weight: 1 }],
        };
  const { plan } = newFargateService(stack, {
    cluster: ecs.Cluster.fromClusterAttributes(stack, 'Theirs', { clusterName: 'shared', vpc: newCluster(stack).vpc }),
    ...(capacity === undefined ? {} : { capacity }),
    plaintextInsideVpc: true,
    // What these show of the plan is derived, and theirs to test.
    alarms: false,
    dashboard: false,
    ...props,
  });
  return { plan, leaves: leavesOf(Template.fromStack(stack)) };
}

/** Values of a template by where they are. Lists of named things are told apart by their names, resources by their types. */
function leavesOf(template: Template): ReadonlyMap<string, unknown> {
  const leaves = new Map<string, unknown>();
  const walk = (value: any, at: string): void => {
    if (typeof value !== 'object' || value === null || isIntrinsic(value)) return void leaves.set(at, value);
    for (const [key, child] of Object.entries<any>(value)) {
      const name = Array.isArray(value) ? (child?.Name ?? child?.Key ?? key) : key;
      const isPair = Array.isArray(value) && child !== null && typeof child === 'object' && 'Value' in child;
      const keeps = /ContainerDefinitions\/|ResourceRequirements|Dimensions/.test(at) && !at.endsWith('Environment');
      walk(isPair && !keeps ? child.Value : child, `${at}/${keeps && isPair ? key : name}`);
    }
  };
  const types = new Map<string, number>();
  for (const { Type, Properties } of Object.values<any>((template.toJSON() as any).Resources)) {
    const seen = types.get(Type) ?? 0;
    types.set(Type, seen + 1);
    walk(Properties ?? {}, seen === 0 ? Type : `${Type}#${seen}`);
  }
  return leaves;
}

function isIntrinsic(value: object): boolean {
  const [key, ...others] = Object.keys(value);
  return others.length === 0 && key !== undefined && (key === 'Ref' || key.startsWith('Fn::'));
}

function expectTold({ plan, leaves }: Deployed): void {
  const wrong = TOLD.filter(([, at, told]) => leaves.get(at) !== told(plan)).map(
    ([field, at, told]) => `${field} at ${at}: ${String(leaves.get(at))}, planned ${String(told(plan))}`,
  );
  expect(wrong).toEqual([]);
}

test('every value of the plan is told somewhere, or is said why not', () => {
  const fields: string[] = [];
  const walk = (value: unknown, at: string): void => {
    if (at in NOT_TOLD || TOLD.some(([field]) => field === at)) return void fields.push(at);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return void fields.push(`${at} is not told`);
    for (const [key, child] of Object.entries(value)) walk(child, at === '' ? key : `${at}.${key}`);
  };
  for (const type of [undefined, 'g6.12xlarge']) walk(deploy(type).plan, '');
  expect(fields.filter((field) => field.endsWith('is not told'))).toEqual([]);
  const known = [...Object.keys(NOT_TOLD), ...TOLD.map(([field]) => field)];
  expect(known.filter((field) => !fields.includes(field))).toEqual([]);
});

test('no place of the template is told two values', () => {
  const places = TOLD.map(([, at]) => at);
  expect(places.filter((at, i) => places.indexOf(at) !== i)).toEqual([]);
});

describe('on every type of machine', () => {
  for (const type of instanceTypesOf('aws')) {
    test(`a replica on ${type} is told the plan`, () => {
      const { gpuCount } = lookUpInstance(type, 'type');
      expectTold(deploy(type, gpuCount > 1 ? { gpuCount } : {}));
    });
  }
});

describe('however it is rolled out, in every preset', () => {
  const shifted = Rollout.canary({ percent: 10, bake: Duration.minutes(10), alarmRollback: false });
  const ROLLOUTS = { rolling: {}, 'without a spare': { spareReplica: false }, canary: { rollout: shifted } };
  for (const type of [undefined, 'g6.xlarge', 'g6.48xlarge']) {
    for (const preset of ['production', 'development'] as const) {
      for (const [name, props] of Object.entries(ROLLOUTS)) {
        test(`${type ?? 'Fargate'}, ${preset}, ${name}`, () => expectTold(deploy(type, { preset, ...props })));
      }
    }
  }
});

describe('a decision changes what is told of it, and nothing else', () => {
  const DECISIONS: Readonly<Record<string, Partial<InferenceServiceProps>>> = {
    requestDeadlineSeconds: { requestDeadlineSeconds: 41 },
    deregistrationLagSeconds: { deregistrationLagSeconds: 17 },
    stopTimeoutSeconds: { stopTimeoutSeconds: 119 },
    idleTimeoutSeconds: { idleTimeoutSeconds: 77 },
    startupBudgetSeconds: { startupBudgetSeconds: 177 },
    minReplicas: { minReplicas: 3 },
    maxReplicas: { maxReplicas: 11 },
    targetSaturation: { targetSaturation: 0.55 },
    spareReplica: { spareReplica: false },
    hooks: { hooks: true },
    requireEvidence: { requireEvidence: true },
    queueDepthRows: { queueDepthRows: 777 },
    maxBodyMiB: { maxBodyMiB: 33 },
    memoryMiB: { memoryMiB: 9_000 },
    vcpu: { vcpu: 3 },
    serviceName: { serviceName: 'figures' },
  };
  for (const [name, props] of Object.entries(DECISIONS)) {
    test(name, () => {
      const before = deploy('g6.12xlarge');
      const after = deploy('g6.12xlarge', props);
      const planned = TOLD.filter(([, , told]) => told(before.plan) !== told(after.plan)).map(([, at]) => at);
      expect(planned.length).toBeGreaterThan(0);
      const changed = [...new Set([...before.leaves.keys(), ...after.leaves.keys()])].filter(
        (at) => JSON.stringify(before.leaves.get(at)) !== JSON.stringify(after.leaves.get(at)),
      );
      // Descriptions are for people.
      expect(changed.filter((at) => !/Description$/.test(at)).sort()).toEqual(planned.sort());
    });
  }
});

test('synthesized twice, a service is the same to the byte; a second one changes nothing of the first', () => {
  const synthesize = (isTwo: boolean): Record<string, unknown> => {
    const stack = newStack();
    const cluster = newCluster(stack);
    newFargateService(stack, { cluster, plaintextInsideVpc: true });
    if (isTwo)
      newFargateService(new Stack(stack, 'Inner'), { cluster, plaintextInsideVpc: true, serviceName: 'other' });
    return Template.fromStack(stack).toJSON();
  };
  expect(JSON.stringify(synthesize(false))).toBe(JSON.stringify(synthesize(false)));
  const { Resources: one } = synthesize(false) as { Resources: Record<string, unknown> };
  const { Resources: two } = synthesize(true) as { Resources: Record<string, unknown> };
  expect(Object.fromEntries(Object.keys(one).map((id) => [id, two[id]]))).toEqual(one);
});
