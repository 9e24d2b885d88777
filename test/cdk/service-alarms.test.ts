import { Template } from 'aws-cdk-lib/assertions';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { expect, test } from 'vitest';
import { describeWithAndWithoutFlags, newFargateService, newStack, resourcesOf, type Resource } from './support/stacks';

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
    expect(Object.keys(alarms()).sort()).toEqual(['Latency', 'Saturation', 'ServerErrors', 'UnhealthyHosts']);
    expect(alarms({ preset: 'development' })).toEqual({});
    expect(Object.keys(alarms({ preset: 'development', alarms: true }))).toHaveLength(4);
    expect(alarms({ alarms: false })).toEqual({});
  });

  test('a replica that never gets ready is noticed once its startup budget is over', () => {
    const { UnhealthyHosts } = alarms({ startupBudgetSeconds: 600 });
    expect(UnhealthyHosts).toMatchObject({ MetricName: 'UnHealthyHostCount', Statistic: 'Maximum', Threshold: 1 });
    expect(UnhealthyHosts.EvaluationPeriods * UnhealthyHosts.Period).toBeGreaterThan(600);
  });

  test('server errors are counted against all requests, and one in a hundred is too many', () => {
    const { ServerErrors } = alarms();
    expect(ServerErrors.Threshold).toBe(1);
    const names = ServerErrors.Metrics.map((metric: any) => metric.MetricStat?.Metric.MetricName ?? metric.Expression);
    expect(names).toEqual(
      expect.arrayContaining([
        'RequestCount',
        'HTTPCode_Target_5XX_Count',
        'IF(requests > 0, 100 * errors / requests, 0)',
      ]),
    );
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
    for (const alarm of Object.values(alarms())) expect(alarm.TreatMissingData).toBe('notBreaching');
  });
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
