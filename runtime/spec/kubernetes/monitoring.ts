import { alarmRules, SERVER_ERROR_OUTCOMES } from '../alarm-rules';
import type { InferenceServicePlan } from '../inference-service-plan';
import { METRICS } from '../metric-names';
import { kubernetesMetricsSource } from '../scaling';
import { renderDashboard } from './dashboard';
import { objectMetadata, podSelector } from './metadata';
import type { PrometheusRuleObject, ServiceMonitorObject, ServiceObjects } from './objects';
import type { MonitoringOptions } from './options';
import type { KubernetesRefs } from './refs';

/** What the chart kube-prometheus-stack, installed under its own name, picks up. */
const DEFAULT_LABELS = { release: 'kube-prometheus-stack' };
const DASHBOARD_LABELS = { grafana_dashboard: '1' };

type MonitoringObjects<S> = Pick<ServiceObjects<S>, 'serviceMonitor' | 'prometheusRule' | 'dashboard'>;

/**
 * What Prometheus and Grafana are told about a service. Where its autoscaler reads Prometheus that is declared unless
 * somebody says no: without a scrape there would be no signal to scale by.
 */
export function renderMonitoring<S>(plan: InferenceServicePlan, refs: KubernetesRefs<S>): MonitoringObjects<S> {
  const { monitoring = {} } = refs;
  const isRead = kubernetesMetricsSource(plan.scaling) !== 'cpu';
  if (!(monitoring.enabled ?? (isRead || refs.monitoring !== undefined))) return {};
  const inProduction = plan.preset === 'production';
  return {
    serviceMonitor: serviceMonitor(plan, refs, monitoring),
    ...((monitoring.alerts ?? inProduction) ? { prometheusRule: prometheusRule(plan, refs, monitoring) } : {}),
    ...((monitoring.dashboard ?? inProduction)
      ? { dashboard: renderDashboard(plan, refs, monitoring.dashboardLabels ?? DASHBOARD_LABELS) }
      : {}),
  };
}

function serviceMonitor<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  monitoring: MonitoringOptions,
): ServiceMonitorObject<S> {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: labelled(plan, refs, monitoring.labels ?? DEFAULT_LABELS),
    spec: {
      selector: { matchLabels: podSelector(plan) },
      // As often as KEDA asks: what is older would be decided on twice.
      endpoints: [{ port: 'metrics', path: '/metrics', interval: '15s', scrapeTimeout: '10s' }],
    },
  };
}

function prometheusRule<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  monitoring: MonitoringOptions,
): PrometheusRuleObject<S> {
  const { name, lifecycle, scaling } = plan;
  const { serverErrors, latency, missingReplicas, saturation } = alarmRules(plan);
  const selector = [`service="${name}",namespace="`, refs.namespace, '"'] as const;
  const series = (metric: string, more = ''): readonly (string | S)[] => [`${metric}{`, ...selector, `${more}}`];
  const failed = `,outcome=~"${SERVER_ERROR_OUTCOMES.join('|')}"`;
  const alert = (
    id: string,
    severity: 'critical' | 'warning',
    minutes: number,
    summary: string,
    expr: readonly (string | S)[],
  ) => ({
    alert: `Slipway${id}`,
    expr: refs.concat(expr),
    for: `${minutes}m`,
    labels: { severity },
    annotations: { summary: `${name}: ${summary}` },
  });
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: labelled(plan, refs, monitoring.labels ?? DEFAULT_LABELS),
    spec: {
      groups: [
        {
          name: `slipway.${name}`,
          rules: [
            alert(
              'ServerErrors',
              'critical',
              serverErrors.minutes,
              `${serverErrors.percent} % of the requests or more are answered 5xx`,
              [
                '100 * sum(rate(',
                ...series(METRICS.requests, failed),
                '[2m])) / sum(rate(',
                ...series(METRICS.requests),
                `[2m])) >= ${serverErrors.percent}`,
              ],
            ),
            alert(
              'Latency',
              'warning',
              latency.minutes,
              `p99 is over 80 % of the request deadline of ${lifecycle.requestDeadlineSeconds} s`,
              [
                'histogram_quantile(0.99, sum by (le) (rate(',
                ...series(`${METRICS.requestDuration}_bucket`),
                `[2m]))) >= ${latency.p99Seconds}`,
              ],
            ),
            ...(missingReplicas === undefined
              ? []
              : [
                  alert(
                    'MissingReplicas',
                    'critical',
                    missingReplicas.minutes,
                    `fewer than ${missingReplicas.expected} replicas have been ready for longer than it takes to bring one`,
                    [
                      '(count(min by (pod) (',
                      ...series(METRICS.modelReady),
                      `) == 1) or vector(0)) < ${missingReplicas.expected}`,
                    ],
                  ),
                ]),
            alert(
              'Saturation',
              'warning',
              saturation.minutes,
              `replicas stay full: maxReplicas (${scaling.maxReplicas}) is reached, or no machine is to be had`,
              ['avg(', ...series(METRICS.saturation), `) >= ${saturation.mean}`],
            ),
          ],
        },
      ],
    },
  };
}

function labelled<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  labels: { readonly [key: string]: string },
): ReturnType<typeof objectMetadata<S>> {
  const metadata = objectMetadata(plan, refs);
  return { ...metadata, labels: { ...metadata.labels, ...labels } };
}
