import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';

const MINUTE = Duration.minutes(1);

interface Balancing {
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
}

/** What `ServiceAlarms` makes, by hand. */
export class PlainAlarms {
  readonly missingReplicas: cloudwatch.Alarm;
  readonly serverErrors: cloudwatch.Alarm;
  readonly latency: cloudwatch.Alarm;
  readonly saturation: cloudwatch.Alarm;

  constructor(parent: Construct, clusterName: string, balancing: Balancing) {
    const scope = new Construct(parent, 'Alarms');
    const errors = {
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    };
    this.missingReplicas = new cloudwatch.Alarm(scope, 'MissingReplicas', {
      metric: ofTargets(balancing, 'HealthyHostCount', 'Minimum'),
      threshold: 2,
      evaluationPeriods: 6,
      datapointsToAlarm: 6,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
      alarmDescription: 'digits: fewer than 2 replicas have been ready for longer than it takes to bring one',
    });
    this.serverErrors = new cloudwatch.Alarm(scope, 'ServerErrors', {
      ...errors,
      metric: new cloudwatch.MathExpression({
        label: 'requests answered 5xx, %',
        expression:
          'IF((FILL(passed, 0) + FILL(refused, 0)) > 0, 100 * (FILL(failed, 0) + FILL(refused, 0)) / (FILL(passed, 0) + FILL(refused, 0)), 0)',
        usingMetrics: {
          passed: ofTargets(balancing, 'RequestCount', 'Sum'),
          failed: ofTargets(balancing, 'HTTPCode_Target_5XX_Count', 'Sum'),
          refused: balancing.loadBalancer.metrics.httpCodeElb(elbv2.HttpCodeElb.ELB_5XX_COUNT, {
            statistic: 'Sum',
            period: MINUTE,
          }),
        },
        period: MINUTE,
      }),
      threshold: 1,
      evaluationPeriods: 5,
      datapointsToAlarm: 5,
      alarmDescription: 'digits: 1 % of the requests or more are answered 5xx',
    });
    this.latency = new cloudwatch.Alarm(scope, 'Latency', {
      ...errors,
      metric: ofTargets(balancing, 'TargetResponseTime', 'p99'),
      threshold: 24,
      evaluationPeriods: 5,
      datapointsToAlarm: 5,
      alarmDescription: 'digits: p99 is over 80 % of the request deadline of 30 s',
    });
    this.saturation = new cloudwatch.Alarm(scope, 'Saturation', {
      ...errors,
      metric: published(clusterName, 'slipway_saturation'),
      threshold: 1,
      evaluationPeriods: 6,
      datapointsToAlarm: 6,
      alarmDescription: 'digits: replicas stay full: maxReplicas (8) is reached, or no machine is to be had',
    });
  }
}

/** What `ServiceDashboard` makes, by hand. */
export function newPlainDashboard(
  scope: Construct,
  clusterName: string,
  { missingReplicas, serverErrors, latency, saturation }: PlainAlarms,
  service: ecs.FargateService,
  balancing: Balancing,
): void {
  const graph = (title: string, props: cloudwatch.GraphWidgetProps): cloudwatch.GraphWidget =>
    new cloudwatch.GraphWidget({ title, width: 8, height: 6, ...props });
  const ofServer = (name: string, statistic: string, label: string): cloudwatch.Metric =>
    published(clusterName, name, { statistic, label });
  const dashboard = new cloudwatch.Dashboard(new Construct(scope, 'Dashboard'), 'Resource', {
    defaultInterval: Duration.hours(3),
  });
  dashboard.addWidgets(
    new cloudwatch.AlarmStatusWidget({
      title: 'Alarms',
      width: 24,
      height: 3,
      alarms: [missingReplicas, serverErrors, latency, saturation],
    }),
  );
  dashboard.addWidgets(
    graph('Requests', {
      left: [
        ofServer('slipway_requests_total', 'Sum', 'answered'),
        ofTargets(balancing, 'RequestCount', 'Sum', 'through the load balancer'),
      ],
      right: [ofServer('slipway_requests_failed_total', 'Sum', 'failed: overload, deadline, error')],
    }),
    graph('Latency', {
      left: ['p50', 'p95', 'p99'].map((statistic) =>
        ofTargets(balancing, 'TargetResponseTime', statistic, `${statistic}, s`),
      ),
      leftAnnotations: [{ value: 30, label: 'deadline', color: cloudwatch.Color.RED }],
    }),
    graph('Wait for an executor', {
      left: ['p50', 'p99'].map((statistic) => ofServer('slipway_queue_duration_seconds', statistic, `${statistic}, s`)),
    }),
  );
  dashboard.addWidgets(
    graph('Runs', {
      left: [ofServer('slipway_run_duration_seconds', 'Average', 'one run, s')],
      right: [ofServer('slipway_efficiency_ratio', 'Average', 'efficiency')],
      rightYAxis: { min: 0, max: 1 },
    }),
    graph('Rows of a run', { left: [ofServer('slipway_batch_rows', 'Average', 'mean rows')] }),
    graph('Saturation', {
      left: [
        ofServer('slipway_saturation', 'Average', 'mean'),
        ofServer('slipway_saturation', 'Maximum', 'fullest replica'),
      ],
      leftAnnotations: [
        { value: 0.7, label: 'target' },
        { value: 1, label: 'full', color: cloudwatch.Color.RED },
      ],
      leftYAxis: { min: 0 },
    }),
  );
  dashboard.addWidgets(
    graph('Replicas', {
      left: [
        new cloudwatch.Metric({
          namespace: 'AWS/ECS',
          metricName: 'CPUUtilization',
          dimensionsMap: { ClusterName: clusterName, ServiceName: service.serviceName },
          statistic: 'SampleCount',
          period: MINUTE,
          label: 'running',
        }),
        ofTargets(balancing, 'HealthyHostCount', 'Minimum', 'ready'),
      ],
      leftAnnotations: [{ value: 8, label: 'maxReplicas' }],
      leftYAxis: { min: 0 },
    }),
    graph('Cold starts', {
      left: [ofServer('slipway_cold_start_seconds', 'Maximum', 'slowest, s')],
      right: [ofServer('slipway_cold_start_seconds', 'SampleCount', 'starts')],
      leftAnnotations: [{ value: 60, label: 'startup budget' }],
    }),
  );
}

/** A metric that replicas publish. */
export function published(
  cluster: string,
  metricName: string,
  options: cloudwatch.MetricOptions = { statistic: 'Average' },
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'Slipway',
    metricName,
    dimensionsMap: { cluster, service: 'digits' },
    period: MINUTE,
    ...options,
  });
}

// The L2's own metrics of a target group cut the load balancer's name out of the listener's, which makes another template.
function ofTargets(
  { loadBalancer, targetGroup }: Balancing,
  metricName: string,
  statistic: string,
  label?: string,
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/ApplicationELB',
    metricName,
    dimensionsMap: {
      TargetGroup: targetGroup.targetGroupFullName,
      LoadBalancer: loadBalancer.loadBalancerFullName,
    },
    statistic,
    period: MINUTE,
    ...(label === undefined ? {} : { label }),
  });
}
