import { Template } from 'aws-cdk-lib/assertions';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
  type Resource,
} from './support/stacks';

describeWithAndWithoutFlags('ServiceAlarms', (newStack) => {
  function alarms(props = {}): Record<string, Resource['Properties']> {
    const stack = newStack();
    newFargateService(stack, { plaintextInsideVpc: true, ...props });
    return Object.fromEntries(
      resourcesOf(Template.fromStack(stack), 'AWS::CloudWatch::Alarm').map(({ id, Properties }) => [
        id.replace(/^DigitsAlarms|[0-9A-F]{8}$/g, ''),
        Properties,
      ]),
    );
  }

  test('are four in production, none in development, and as the author says otherwise', () => {
    expect(Object.keys(alarms()).sort()).toEqual(['Latency', 'MissingReplicas', 'Saturation', 'ServerErrors']);
    expect(alarms({ preset: 'development' })).toEqual({});
    expect(Object.keys(alarms({ preset: 'development', alarms: true }))).toHaveLength(4);
    expect(alarms({ alarms: false })).toEqual({});
  });

  test('replicas that are not there are noticed, also when there is none to be counted', () => {
    const { MissingReplicas } = alarms({ startupBudgetSeconds: 600, minReplicas: 3 });
    expect(MissingReplicas).toMatchObject({
      MetricName: 'HealthyHostCount',
      Statistic: 'Minimum',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 3,
      TreatMissingData: 'breaching',
    });
    expect(MissingReplicas.EvaluationPeriods * MissingReplicas.Period).toBeGreaterThan(600 + 180);
  });

  test('a rollout that may do with a replica less wakes nobody, and one replica is the least', () => {
    expect(alarms({ minReplicas: 3, spareReplica: false }).MissingReplicas.Threshold).toBe(2);
    expect(alarms({ minReplicas: 1, spareReplica: false }).MissingReplicas.Threshold).toBe(1);
  });

  test('server errors are counted against all requests, those that reached no replica included', () => {
    const { ServerErrors } = alarms();
    expect(ServerErrors.Threshold).toBe(1);
    const metrics = Object.fromEntries(ServerErrors.Metrics.map((metric: any) => [metric.Id, metric]));
    expect(metrics.expr_1.Expression).toBe(
      'IF((FILL(passed, 0) + FILL(refused, 0)) > 0, 100 * (FILL(failed, 0) + FILL(refused, 0)) / (FILL(passed, 0) + FILL(refused, 0)), 0)',
    );
    const named = (id: string): unknown => [
      metrics[id].MetricStat.Metric.MetricName,
      metrics[id].MetricStat.Metric.Dimensions.map(({ Name }: any) => Name),
      metrics[id].MetricStat.Stat,
    ];
    expect(named('passed')).toEqual(['RequestCount', ['LoadBalancer', 'TargetGroup'], 'Sum']);
    expect(named('failed')).toEqual(['HTTPCode_Target_5XX_Count', ['LoadBalancer', 'TargetGroup'], 'Sum']);
    expect(named('refused')).toEqual(['HTTPCode_ELB_5XX_Count', ['LoadBalancer'], 'Sum']);
  });

  test('the slowest requests are measured against the deadline', () => {
    const { Latency } = alarms({ requestDeadlineSeconds: 10 });
    expect(Latency).toMatchObject({ MetricName: 'TargetResponseTime', ExtendedStatistic: 'p99', Threshold: 8 });
  });

  test('replicas that stay full for longer than a new one takes mean that nothing more can be added', () => {
    const { Saturation } = alarms({ provisioningSeconds: 300, startupBudgetSeconds: 300 });
    expect(Saturation).toMatchObject({
      Namespace: 'Slipway',
      MetricName: 'slipway_saturation',
      Statistic: 'Average',
      Threshold: 1,
    });
    expect(Saturation.EvaluationPeriods * Saturation.Period).toBeGreaterThan(600);
  });

  test('a quiet service raises none', () => {
    const { MissingReplicas: _counted, ...byRequests } = alarms();
    for (const alarm of Object.values(byRequests)) expect(alarm.TreatMissingData).toBe('notBreaching');
  });
});

test('nobody is woken while the service is being created: what counts replicas comes after it', () => {
  const stack = newStack();
  newFargateService(stack, { plaintextInsideVpc: true });
  const template = Template.fromStack(stack);
  const [counts] = resourcesOf(template, 'AWS::CloudWatch::Alarm').filter(({ id }) => id.includes('MissingReplicas'));
  expect(counts!.DependsOn).toContain(theOnly(template, 'AWS::ECS::Service').id);
});

test('every alarm does what the author asks for', () => {
  const stack = newStack();
  const topic = new sns.Topic(stack, 'OnCall');
  newFargateService(stack, { plaintextInsideVpc: true, alarmActions: [new actions.SnsAction(topic)] });
  const found = resourcesOf(Template.fromStack(stack), 'AWS::CloudWatch::Alarm');
  expect(found).toHaveLength(4);
  for (const { Properties } of found)
    expect(Properties.AlarmActions).toEqual([{ Ref: expect.stringMatching(/^OnCall/) }]);
});
