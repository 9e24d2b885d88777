import { Duration, type Stack } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import { Template } from 'aws-cdk-lib/assertions';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Rollout, Scaling } from 'slipway/cdk';
import { expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  newGpuService,
  newStack,
  resourcesOf,
  theOnly,
  type Resource,
} from './support/stacks';

const POLICY = 'AWS::ApplicationAutoScaling::ScalingPolicy';
const TARGET = 'AWS::ApplicationAutoScaling::ScalableTarget';
const NIGHT = Schedule.cron({ hour: '19', minute: '0' });

function onFargate(stack: Stack, props: object): Template {
  newFargateService(stack, { plaintextInsideVpc: true, ...props });
  return Template.fromStack(stack);
}

/** Policies by the end of their name or by their logical id. */
function policies(template: Template): Record<string, Resource['Properties']> {
  return Object.fromEntries(resourcesOf(template, POLICY).map(({ id, Properties }) => [id, Properties]));
}

const find = (all: Record<string, any>, part: string): any =>
  Object.entries(all).find(([id]) => id.includes(part))?.[1];

describeWithAndWithoutFlags('Scaling', (newStack) => {
  test('without a word it holds the saturation that replicas publish', () => {
    const policy = theOnly(onFargate(newStack(), {}), POLICY).Properties.TargetTrackingScalingPolicyConfiguration;
    expect(policy).toMatchObject({
      TargetValue: 0.7,
      CustomizedMetricSpecification: { MetricName: 'slipway_saturation' },
    });
    const told = onFargate(newStack(), { scaling: [Scaling.saturation({ target: 0.5 })] });
    expect(theOnly(told, POLICY).Properties.TargetTrackingScalingPolicyConfiguration.TargetValue).toBe(0.5);
  });

  test('an empty list keeps as many as there must be', () => {
    const template = onFargate(newStack(), { scaling: [], minReplicas: 3, maxReplicas: 3 });
    expect(resourcesOf(template, POLICY)).toEqual([]);
    expect(theOnly(template, TARGET).Properties).toMatchObject({ MinCapacity: 3, MaxCapacity: 3 });
  });

  test('there is one scalable target, however many signals act on it', () => {
    const scaling = [
      Scaling.saturation(),
      Scaling.requests({ perReplicaPerMinute: 600 }),
      Scaling.cpu({ target: 0.6 }),
      Scaling.schedule('Night', { schedule: NIGHT, minReplicas: 1 }),
    ];
    const template = onFargate(newStack(), { scaling });
    const target = theOnly(template, TARGET);
    for (const policy of resourcesOf(template, POLICY)) {
      expect(policy.Properties.ScalingTargetId).toEqual({ Ref: target.id });
    }
    expect(resourcesOf(template, POLICY)).toHaveLength(3);
  });

  test('requests are counted over every target group, and one without traffic counts as none', () => {
    const scaling = [Scaling.requests({ perReplicaPerMinute: 600 })];
    const rollout = Rollout.canary({ percent: 10, bake: Duration.minutes(10) });
    const template = onFargate(newStack(), { scaling, rollout });
    const { TargetTrackingScalingPolicyConfiguration: policy } = theOnly(template, POLICY).Properties;
    expect(policy).toMatchObject({ TargetValue: 600, ScaleOutCooldown: 60, ScaleInCooldown: 300 });
    const { Metrics } = policy.CustomizedMetricSpecification;
    const groups = resourcesOf(template, 'AWS::ElasticLoadBalancingV2::TargetGroup');
    expect(groups).toHaveLength(2);
    expect(Metrics).toEqual([
      ...groups.map(({ id }, i) => ({
        Id: `target${i}`,
        ReturnData: false,
        MetricStat: {
          Stat: 'Sum',
          Metric: {
            Namespace: 'AWS/ApplicationELB',
            MetricName: 'RequestCountPerTarget',
            Dimensions: [
              { Name: 'TargetGroup', Value: { 'Fn::GetAtt': [id, 'TargetGroupFullName'] } },
              { Name: 'LoadBalancer', Value: expect.anything() as unknown },
            ],
          },
        },
      })),
      {
        Id: 'total',
        Label: 'requests per replica',
        Expression: groups.map((_, i) => `FILL(target${i}, 0)`).join(' + '),
        ReturnData: true,
      },
    ]);
    // The predefined metric is bound to one group, and a rollout may move the traffic to another.
    expect(JSON.stringify(template)).not.toContain('ALBRequestCountPerTarget');
  });

  test('a schedule moves the bounds, in the time zone that is named, and wakes a service that had none', () => {
    const scaling = [
      Scaling.saturation(),
      Scaling.schedule('Day', { schedule: Schedule.cron({ hour: '7', minute: '0' }), minReplicas: 2, maxReplicas: 6 }),
      Scaling.schedule('Night', { schedule: NIGHT, minReplicas: 0 }),
    ];
    const target = theOnly(onFargate(newStack(), { scaling, minReplicas: 0 }), TARGET).Properties;
    expect(target.MinCapacity).toBe(0);
    expect(target.ScheduledActions).toMatchObject([
      { ScheduledActionName: 'Day', ScalableTargetAction: { MinCapacity: 2, MaxCapacity: 6 } },
      { ScheduledActionName: 'Night', ScalableTargetAction: { MinCapacity: 0 } },
    ]);
  });

  test('the GPU is held at its utilization, as replicas publish it', () => {
    const stack = newStack();
    newGpuService(stack, { scaling: [Scaling.gpuUtilization({ target: 0.8 })] });
    const { TargetTrackingScalingPolicyConfiguration: policy } = theOnly(Template.fromStack(stack), POLICY).Properties;
    expect(policy).toMatchObject({
      TargetValue: 0.8,
      CustomizedMetricSpecification: { Namespace: 'Slipway', MetricName: 'slipway_gpu_utilization_ratio' },
    });
  });

  describeQueue(newStack);
});

function describeQueue(newStack: () => Stack): void {
  function onQueue(props: object = {}): { template: Template; alarms: Record<string, any>; all: Record<string, any> } {
    const stack = newStack();
    const queue = new sqs.Queue(stack, 'Queue', { enforceSSL: true });
    const template = onFargate(stack, {
      scaling: [Scaling.queue({ queue, messagesPerReplica: 50 })],
      alarms: false,
      minReplicas: 0,
      maxReplicas: 5,
      ...props,
    });
    const alarms = Object.fromEntries(
      resourcesOf(template, 'AWS::CloudWatch::Alarm').map(({ id, Properties }) => [id, Properties]),
    );
    return { template, alarms, all: policies(template) };
  }

  test('the messages that wait are shared among the replicas that run, of which there is one at least', () => {
    const { TargetTrackingScalingPolicyConfiguration: backlog } = find(onQueue().all, 'Backlog');
    expect(backlog.TargetValue).toBe(50);
    const [messages, replicas, total] = backlog.CustomizedMetricSpecification.Metrics;
    expect(messages.MetricStat.Metric).toMatchObject({
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName' }],
    });
    expect(replicas.MetricStat).toMatchObject({ Stat: 'SampleCount', Metric: { MetricName: 'CPUUtilization' } });
    expect(total).toMatchObject({
      ReturnData: true,
      Expression: 'messages / IF(FILL(replicas, 0) > 1, FILL(replicas, 0), 1)',
    });
  });

  test('one message brings the first replica, and no second one before that had the time to come', () => {
    const { alarms, all, template } = onQueue();
    const waiting = find(alarms, 'Waiting');
    expect(waiting).toMatchObject({
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Threshold: 1,
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
    });
    expect(JSON.stringify(waiting.Metrics)).toContain('IF(FILL(replicas, 0) > 0, 0, messages)');
    const wake = find(all, 'Wake').StepScalingPolicyConfiguration;
    expect(wake).toMatchObject({
      AdjustmentType: 'ChangeInCapacity',
      StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: 1 }],
    });
    expect(wake.Cooldown).toBeGreaterThanOrEqual(180 + 60);
    const [policy] = resourcesOf(template, POLICY).filter(({ id }) => id.includes('Wake'));
    expect(waiting.AlarmActions).toEqual([{ Ref: policy!.id }]);
  });

  test('when nothing has waited and nobody has held a message for five minutes, the last replica goes', () => {
    const { alarms, all } = onQueue();
    const idle = find(alarms, 'Idle');
    expect(idle).toMatchObject({
      ComparisonOperator: 'LessThanOrEqualToThreshold',
      Threshold: 0,
      EvaluationPeriods: 5,
      TreatMissingData: 'notBreaching',
    });
    expect(idle.Metrics[0].Expression).toBe('waiting + held');
    const names = idle.Metrics.flatMap(({ MetricStat }: any) => MetricStat?.Metric.MetricName ?? []);
    expect(names.sort()).toEqual(['ApproximateNumberOfMessagesNotVisible', 'ApproximateNumberOfMessagesVisible']);
    expect(find(all, 'Sleep').StepScalingPolicyConfiguration).toMatchObject({
      AdjustmentType: 'ExactCapacity',
      StepAdjustments: [{ MetricIntervalUpperBound: 0, ScalingAdjustment: 0 }],
    });
  });

  test('a service that keeps a replica is not put to sleep', () => {
    const { all, alarms } = onQueue({ minReplicas: 1 });
    expect(find(all, 'Sleep')).toBeUndefined();
    expect(find(alarms, 'Idle')).toBeUndefined();
    expect(find(all, 'Wake')).toBeDefined();
  });

  test('where none may be the right number of replicas, nobody is woken because there is none', () => {
    expect(find(onQueue({ alarms: true }).alarms, 'MissingReplicas')).toBeUndefined();
    expect(find(onQueue({ alarms: true, minReplicas: 1 }).alarms, 'MissingReplicas')).toBeDefined();
  });
}

test('a service without a replica and without what would wake it is refused', () => {
  expect(() => onFargate(newStack(), { minReplicas: 0 })).toThrow('SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE minReplicas');
  const asleepForEver = [Scaling.saturation(), Scaling.schedule('Night', { schedule: NIGHT, minReplicas: 0 })];
  expect(() => onFargate(newStack(), { minReplicas: 0, scaling: asleepForEver })).toThrow(
    'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE',
  );
});

test('signals that contradict each other or the service are refused', () => {
  const stack = newStack();
  const queue = Scaling.queue({ queue: new sqs.Queue(stack, 'Queue'), messagesPerReplica: 5 });
  const refused = (...scaling: readonly Scaling[]): (() => unknown) => {
    return () => newFargateService(newStack(), { plaintextInsideVpc: true, scaling });
  };
  expect(refused(Scaling.saturation(), Scaling.saturation())).toThrow(
    'SCALING_CONFLICT scaling: got Scaling.saturation twice; one of them',
  );
  expect(refused(queue, Scaling.saturation(), Scaling.cpu({ target: 0.5 }))).toThrow(
    'SCALING_CONFLICT scaling: Scaling.queue lets the last replica go when nothing waits, which Scaling.saturation and Scaling.cpu would not; one of them',
  );
  const called = newStack();
  const cluster = newCluster(called);
  cluster.addDefaultCloudMapNamespace({ name: 'team' });
  const byName = { cluster, serviceConnect: {}, loadBalancer: false } as const;
  expect(() =>
    newFargateService(called, { ...byName, scaling: [Scaling.requests({ perReplicaPerMinute: 5 })] }),
  ).toThrow('SCALING_CONFLICT scaling: Scaling.requests reads what a load balancer counts, and this service has none');
  const night = Scaling.schedule('Night', { schedule: NIGHT, minReplicas: 1 });
  expect(refused(night, night)).toThrow(
    "SCALING_CONFLICT scaling: got two schedules 'Night'; give each an id of its own",
  );
  expect(refused(Scaling.gpuUtilization({ target: 0.5 }))).toThrow(
    'SCALING_CONFLICT scaling: Scaling.gpuUtilization needs a GPU',
  );
  expect(() => newGpuService(newStack(), { scaling: [Scaling.cpu({ target: 0.5 })] })).toThrow(
    "SCALING_CONFLICT scaling: CPU use says nothing about a replica's 1 GPUs; use Scaling.saturation",
  );
});

test.each([
  [
    'NUMBER_INVALID scaling.saturation.target: must be from 0.05 to 1, got 1.2',
    () => Scaling.saturation({ target: 1.2 }),
  ],
  ['NUMBER_INVALID scaling.cpu.target: must be from 0.05 to 1, got 60', () => Scaling.cpu({ target: 60 })],
  [
    'NUMBER_INVALID scaling.gpuUtilization.target: must be from 0.05 to 1, got 0',
    () => Scaling.gpuUtilization({ target: 0 }),
  ],
  [
    'NUMBER_INVALID scaling.perReplicaPerMinute: must be over 0, got 0',
    () => Scaling.requests({ perReplicaPerMinute: 0 }),
  ],
  [
    'REPLICA_RANGE scaling.A: changes nothing: say minReplicas, maxReplicas or both',
    () => Scaling.schedule('A', { schedule: NIGHT }),
  ],
  [
    'REPLICA_RANGE scaling.A.maxReplicas: must be at least minReplicas (3), got 2',
    () => Scaling.schedule('A', { schedule: NIGHT, minReplicas: 3, maxReplicas: 2 }),
  ],
  [
    'NUMBER_INVALID scaling.A.minReplicas: must be a whole number from 0 to 10000, got -1',
    () => Scaling.schedule('A', { schedule: NIGHT, minReplicas: -1 }),
  ],
])('%s', (message, make) => {
  expect(make).toThrow(message);
});
