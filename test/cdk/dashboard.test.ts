import { Duration, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Rollout, Scaling } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { CLOUDWATCH, CLOUDWATCH_METRICS } from '../../runtime/spec/metric-names';
import { newAsyncService } from './support/queues';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  newGpuService,
  newStack,
  resourcesOf,
} from './support/stacks';

/** What AWS publishes and we read, by the pages on metrics of Application Load Balancers, Amazon ECS and Amazon SQS. */
const OF_AWS: Readonly<Record<string, readonly string[]>> = {
  'AWS/ApplicationELB': ['RequestCount', 'TargetResponseTime', 'HealthyHostCount', 'HTTPCode_Target_5XX_Count'],
  'AWS/ECS': ['CPUUtilization'],
  'AWS/SQS': [
    'ApproximateNumberOfMessagesVisible',
    'ApproximateNumberOfMessagesNotVisible',
    'ApproximateAgeOfOldestMessage',
  ],
};

interface Widget {
  readonly type: string;
  readonly properties: {
    readonly title: string;
    readonly metrics?: readonly (readonly unknown[])[];
    readonly alarms?: unknown[];
  };
}

function widgets(stack: Stack): readonly Widget[] {
  const [dashboard] = resourcesOf(Template.fromStack(stack), 'AWS::CloudWatch::Dashboard');
  const body = dashboard!.Properties.DashboardBody['Fn::Join'][1] as readonly unknown[];
  const text = body
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part).replaceAll('"', "'")))
    .join('');
  return (JSON.parse(text) as { widgets: readonly Widget[] }).widgets;
}

/** Rows of metrics with their namespace and name; expressions have neither. */
function metricsOf(all: readonly Widget[]): readonly (readonly [namespace: string, name: string])[] {
  let last: readonly unknown[] = [];
  return all
    .flatMap(({ properties }) => properties.metrics ?? [])
    .filter(([first]) => typeof first === 'string')
    .map((row) => {
      // CloudWatch's short form: a dot is what stood there in the row before.
      last = row.map((cell, i) => (cell === '.' ? last[i] : cell));
      return [String(last[0]), String(last[1])] as const;
    });
}

const titles = (stack: Stack): readonly string[] => widgets(stack).map(({ properties }) => properties.title);

describeWithAndWithoutFlags('ServiceDashboard', (newStack) => {
  test('is made in production and not in development, and as the author says otherwise', () => {
    const made = (props: object): number => {
      const stack = newStack();
      newFargateService(stack, { plaintextInsideVpc: true, ...props });
      return resourcesOf(Template.fromStack(stack), 'AWS::CloudWatch::Dashboard').length;
    };
    expect(made({})).toBe(1);
    expect(made({ preset: 'development' })).toBe(0);
    expect(made({ preset: 'development', dashboard: true })).toBe(1);
    expect(made({ dashboard: false })).toBe(0);
  });

  test('shows what one looks at first; the GPU where there is one, cost where there is a price', () => {
    const cpu = newStack();
    newFargateService(cpu, { plaintextInsideVpc: true });
    expect(titles(cpu)).toEqual([
      'Alarms',
      'Requests',
      'Latency',
      'Wait for an executor',
      'Runs',
      'Rows of a run',
      'Saturation',
      'Replicas',
      'Cold starts',
    ]);
    const gpu = newStack();
    newGpuService(gpu, { replicaHourPrice: 0.8, alarms: false });
    expect(titles(gpu)).toEqual(expect.arrayContaining(['GPU', 'Cost of 1,000 inferences']));
    expect(titles(gpu)).not.toContain('Alarms');
    const queue = newStack();
    newAsyncService(queue);
    expect(titles(queue).slice(0, 4)).toEqual(['Alarms', 'Messages', 'Age', 'Requests']);
    expect(titles(queue)).not.toContain('Latency');
  });

  test('names no metric that nobody publishes', () => {
    const stacks = [newStack(), newStack(), newStack()] as const;
    newFargateService(stacks[0], { plaintextInsideVpc: true });
    newGpuService(stacks[1], { replicaHourPrice: 1 });
    newAsyncService(stacks[2], { replicaHourPrice: 1 });
    const known: Readonly<Record<string, readonly string[]>> = {
      ...OF_AWS,
      [CLOUDWATCH.namespace]: CLOUDWATCH_METRICS.map(({ name }) => name),
    };
    const shown = stacks.flatMap((stack) => metricsOf(widgets(stack)));
    expect(shown.length).toBeGreaterThan(40);
    for (const [namespace, name] of shown) expect(known[namespace], `${namespace} ${name}`).toContain(name);
  });

  test('the cost of a thousand inferences is what replicas cost in an hour, over what they answered in it', () => {
    const stack = newStack();
    newFargateService(stack, { plaintextInsideVpc: true, replicaHourPrice: 0.05 });
    const cost = widgets(stack).find(({ properties }) => properties.title === 'Cost of 1,000 inferences')!;
    const [expression] = cost.properties.metrics!;
    expect(expression![0]).toMatchObject({ expression: '1000 * 0.05 * (samples / 60) / answered', period: 3_600 });
    expect(JSON.stringify(cost.properties.metrics)).toMatch(/SampleCount.*"period":3600|"period":3600.*SampleCount/);
  });
});

test('every metric of a service names it and its cluster, and may be read otherwise', () => {
  const service = newFargateService(newStack());
  const metrics = [
    service.metricSaturation(),
    service.metricRequests(),
    service.metricFailedRequests(),
    service.metricQueueSeconds(),
    service.metricBatchRows(),
    service.metricGpuUtilization(),
    service.metricColdStart(),
    service.metric('slipway_run_duration_seconds', { statistic: 'p50' }),
  ];
  expect(metrics.map(({ metricName, statistic }) => `${metricName} ${statistic}`)).toEqual([
    'slipway_saturation Average',
    'slipway_requests_total Sum',
    'slipway_requests_failed_total Sum',
    'slipway_queue_duration_seconds p99',
    'slipway_batch_rows Average',
    'slipway_gpu_utilization_ratio Average',
    'slipway_cold_start_seconds Maximum',
    'slipway_run_duration_seconds p50',
  ]);
  for (const { namespace, dimensions } of metrics) {
    expect(namespace).toBe('Slipway');
    expect(dimensions).toEqual({ cluster: service.cluster.clusterName, service: 'digits' });
  }
  expect(service.metricReplicas()).toMatchObject({ namespace: 'AWS/ECS', statistic: 'SampleCount' });
});

test('latency and errors are read over both target groups where a rollout shifts traffic, else from the one', () => {
  const stack = newStack();
  const one = newFargateService(stack);
  expect(one.metricLatency({ statistic: 'p50' })).toMatchObject({ metricName: 'TargetResponseTime', statistic: 'p50' });
  const rollout = Rollout.canary({ percent: 10, bake: Duration.minutes(10) });
  const two = newFargateService(newStack(), { plaintextInsideVpc: true, rollout });
  const latency = two.metricLatency().toMetricConfig().mathExpression!;
  expect(latency.expression).toMatch(/^MAX\(\[FILL\((\w+), 0\), FILL\((?!\1)\w+, 0\)\]\)$/);
  expect(Object.keys(latency.usingMetrics)).toHaveLength(2);
  const errors = two.metricServerErrors().toMetricConfig().mathExpression!;
  expect(Object.keys(errors.usingMetrics)).toEqual(['passed0', 'passed1', 'failed0', 'failed1', 'refused']);
});

test('what no load balancer counts is not read from one', () => {
  const stack = newStack();
  const cluster = newCluster(stack);
  cluster.addDefaultCloudMapNamespace({ name: 'team' });
  const service = newFargateService(stack, { cluster, serviceConnect: {}, loadBalancer: false });
  expect(() => service.metricLatency()).toThrow('LISTENER_CHOICE metricLatency: a load balancer would count that');
  expect(() => service.metricServerErrors()).toThrow('LISTENER_CHOICE metricServerErrors');
});

test('a service on a queue says what waits and for how long', () => {
  const service = newAsyncService(newStack());
  expect(service.metricBacklog()).toMatchObject({
    metricName: 'ApproximateNumberOfMessagesVisible',
    statistic: 'Maximum',
  });
  expect(service.metricOldestMessage()).toMatchObject({ metricName: 'ApproximateAgeOfOldestMessage' });
});

test('what CloudWatch is asked by expressions has names that it takes', () => {
  const stack = newStack();
  const queue = new sqs.Queue(stack, 'Queue');
  const scaling = [Scaling.queue({ queue, messagesPerReplica: 5 })];
  newFargateService(stack, { plaintextInsideVpc: true, minReplicas: 0, scaling, replicaHourPrice: 1 });
  const template = Template.fromStack(stack);
  const ids = resourcesOf(template, 'AWS::CloudWatch::Alarm')
    .flatMap(({ Properties }) => Properties.Metrics ?? [])
    .map(({ Id }: any) => Id as string);
  const tracked = resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy')
    .flatMap(
      ({ Properties }) =>
        Properties.TargetTrackingScalingPolicyConfiguration?.CustomizedMetricSpecification.Metrics ?? [],
    )
    .map(({ Id }: any) => Id as string);
  expect(ids.length + tracked.length).toBeGreaterThan(8);
  for (const id of [...ids, ...tracked]) expect(id).toMatch(/^[a-z][a-zA-Z0-9_]*$/);
});
