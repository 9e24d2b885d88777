import { alarmRules, SERVER_ERROR_OUTCOMES } from '../alarm-rules';
import type { InferenceServicePlan } from '../inference-service-plan';
import { JsonLeaf, jsonParts } from '../late-bound';
import { METRICS } from '../metric-names';
import { objectMetadata } from './metadata';
import type { ConfigMapObject } from './objects';
import type { KubernetesRefs } from './refs';

/** One line of a graph: a query, and what it is called. */
type Line = readonly [query: string, legend: string];

interface Graph {
  readonly title: string;
  /** Of Grafana's units. */
  readonly unit: 's' | 'reqps' | 'percentunit' | 'short' | 'bytes';
  readonly lines: readonly Line[];
  /** Drawn across, where a value means something. */
  readonly limit?: number;
}

const COLUMNS = 3;
const WIDTH = 24 / COLUMNS;
const HEIGHT = 8;

/**
 * What one looks at first when a service is slow, fails or costs much: the graphs of the CloudWatch dashboard, from
 * Prometheus. The namespace may be known only at deployment, so it is a variable of the dashboard and no query names it.
 */
export function renderDashboard<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  labels: { readonly [key: string]: string },
): ConfigMapObject<S> {
  const metadata = objectMetadata(plan, refs);
  const namespace = new JsonLeaf(refs.namespace);
  const dashboard = {
    title: new JsonLeaf(refs.concat([`${plan.name} in `, refs.namespace])),
    tags: ['slipway'],
    schemaVersion: 39,
    editable: false,
    time: { from: 'now-3h', to: 'now' },
    refresh: '30s',
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        {
          name: 'namespace',
          type: 'constant',
          hide: 2,
          query: namespace,
          current: { text: namespace, value: namespace },
        },
      ],
    },
    panels: graphsOf(plan).map(panel),
  };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadata, name: `${plan.name}-dashboard`, labels: { ...metadata.labels, ...labels } },
    data: { [`slipway-${plan.name}.json`]: refs.concat(jsonParts<S>(dashboard)) },
  };
}

function graphsOf(plan: InferenceServicePlan): readonly Graph[] {
  const { lifecycle, scaling, resources } = plan;
  const series = (metric: string, more = ''): string =>
    `${metric}{service="${plan.name}",namespace="$namespace"${more}}`;
  const rate = (metric: string, more?: string): string => `rate(${series(metric, more)}[$__rate_interval])`;
  const quantile = (metric: string, of100: number): Line => [
    `histogram_quantile(${of100 / 100}, sum by (le) (${rate(`${metric}_bucket`)}))`,
    `p${of100}`,
  ];
  const mean = (metric: string, legend: string): Line => [
    `sum(${rate(`${metric}_sum`)}) / sum(${rate(`${metric}_count`)})`,
    legend,
  ];
  const failed = `,outcome=~"${SERVER_ERROR_OUTCOMES.join('|')}"`;
  const { latency } = alarmRules(plan);
  return [
    { title: 'Requests', unit: 'reqps', lines: [[`sum by (outcome) (${rate(METRICS.requests)})`, '{{outcome}}']] },
    {
      title: 'Answered 5xx',
      unit: 'percentunit',
      lines: [[`sum(${rate(METRICS.requests, failed)}) / sum(${rate(METRICS.requests)})`, 'share']],
      limit: alarmRules(plan).serverErrors.percent / 100,
    },
    {
      title: 'Latency',
      unit: 's',
      lines: [50, 95, 99].map((of100) => quantile(METRICS.requestDuration, of100)),
      limit: latency.p99Seconds,
    },
    {
      title: 'Wait for an executor',
      unit: 's',
      lines: [50, 99].map((of100) => quantile(METRICS.queueDuration, of100)),
    },
    { title: 'Runs', unit: 's', lines: [mean(METRICS.runDuration, 'one run')] },
    { title: 'Rows of a run', unit: 'short', lines: [mean(METRICS.batchRows, 'mean rows')] },
    {
      title: 'Saturation',
      unit: 'percentunit',
      lines: [
        [`avg(${series(METRICS.saturation)})`, 'mean'],
        [`max(${series(METRICS.saturation)})`, 'fullest replica'],
      ],
      limit: scaling.targetSaturation,
    },
    {
      title: 'Replicas',
      unit: 'short',
      lines: [[`count(min by (pod) (${series(METRICS.modelReady)}) == 1)`, 'ready']],
      limit: scaling.maxReplicas,
    },
    {
      title: 'Cold starts',
      unit: 's',
      lines: [[`max(${series(METRICS.coldStart)})`, 'slowest of the replicas']],
      limit: lifecycle.startupBudgetSeconds,
    },
    ...(resources.gpuCount === 0 ? [] : gpuGraphs(series)),
  ];
}

function gpuGraphs(series: (metric: string) => string): readonly Graph[] {
  return [
    {
      title: 'GPU',
      unit: 'percentunit',
      lines: [
        [`avg(${series(METRICS.gpuUtilization)})`, 'mean'],
        [`max(${series(METRICS.gpuUtilization)})`, 'busiest'],
      ],
    },
    { title: 'GPU memory', unit: 'bytes', lines: [[`max(${series(METRICS.gpuMemoryUsed)})`, 'fullest']] },
  ];
}

function panel({ title, unit, lines, limit }: Graph, i: number): object {
  const datasource = { type: 'prometheus', uid: '${datasource}' };
  const color = { mode: 'palette-classic' };
  const steps = [{ color: 'green', value: null }, ...(limit === undefined ? [] : [{ color: 'red', value: limit }])];
  return {
    id: i + 1,
    type: 'timeseries',
    title,
    datasource,
    gridPos: { x: (i % COLUMNS) * WIDTH, y: Math.floor(i / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        color,
        thresholds: { mode: 'absolute', steps },
        custom: { thresholdsStyle: { mode: limit === undefined ? 'off' : 'dashed' } },
      },
      overrides: [],
    },
    targets: lines.map(([expr, legendFormat], line) => ({
      refId: String.fromCharCode(65 + line),
      datasource,
      expr,
      legendFormat,
    })),
  };
}
