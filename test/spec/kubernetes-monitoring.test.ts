import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  METRICS,
  planInferenceService,
  PLAIN,
  renderKubernetesObjects,
  type EngineServiceSpec,
  type MonitoringOptions,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { findTool } from '../support/tools';
import { CPU_SPEC, GPU_SPEC } from '../support/specs';

function render(spec: EngineServiceSpec = GPU_SPEC, monitoring?: MonitoringOptions) {
  return renderKubernetesObjects(planInferenceService(spec), {
    ...PLAIN,
    namespace: 'inference',
    image: 'registry.example.com/slipway:1',
    clusterName: 'prod',
    models: { resnet50: { folder: 's3://models/resnet50/3/' } },
    ...(monitoring === undefined ? {} : { monitoring }),
  });
}

const declared = (objects: ReturnType<typeof render>): string[] =>
  (['serviceMonitor', 'prometheusRule', 'dashboard'] as const).filter((part) => objects[part] !== undefined);

describe('Prometheus and Grafana are told of a service', () => {
  test('where its autoscaler reads Prometheus, and nowhere else', () => {
    const everything = ['serviceMonitor', 'prometheusRule', 'dashboard'];
    expect(declared(render())).toEqual(everything);
    expect(declared(render({ ...GPU_SPEC, metricsFrom: 'prometheus-adapter' }))).toEqual(everything);
    expect(declared(render(CPU_SPEC))).toEqual([]);
  });

  test('wherever somebody says so, and not where somebody says no', () => {
    expect(declared(render(CPU_SPEC, {}))).toEqual(['serviceMonitor', 'prometheusRule', 'dashboard']);
    expect(declared(render(GPU_SPEC, { enabled: false }))).toEqual([]);
    expect(declared(render(GPU_SPEC, { alerts: false, dashboard: false }))).toEqual(['serviceMonitor']);
  });

  test('without alarms and pictures in development', () => {
    expect(declared(render({ ...GPU_SPEC, preset: 'development' }))).toEqual(['serviceMonitor']);
  });

  test('by the labels that they pick up', () => {
    const { serviceMonitor, prometheusRule, dashboard } = render();
    expect(serviceMonitor!.metadata.labels['release']).toBe('kube-prometheus-stack');
    expect(prometheusRule!.metadata.labels['release']).toBe('kube-prometheus-stack');
    expect(dashboard!.metadata.labels['grafana_dashboard']).toBe('1');
    const other = render(GPU_SPEC, { labels: { team: 'a' }, dashboardLabels: { folder: 'b' } });
    expect(other.serviceMonitor!.metadata.labels).toMatchObject({ team: 'a' });
    expect(other.serviceMonitor!.metadata.labels).not.toHaveProperty('release');
    expect(other.dashboard!.metadata.labels).toMatchObject({ folder: 'b' });
  });
});

test('the service’s own port is scraped, as often as KEDA asks', () => {
  const { serviceMonitor, service, autoscaler } = render();
  expect(serviceMonitor!.spec.selector.matchLabels).toEqual(service.spec.selector);
  const [endpoint] = serviceMonitor!.spec.endpoints;
  expect(service.spec.ports.map(({ name }) => name)).toContain(endpoint!.port);
  expect(endpoint!.interval).toBe('15s');
  expect(autoscaler.spec).toMatchObject({ pollingInterval: 15 });
});

describe('alarms', () => {
  const rules = (spec?: EngineServiceSpec) => render(spec).prometheusRule!.spec.groups[0]!.rules;
  const rule = (name: string, spec?: EngineServiceSpec) => rules(spec).find(({ alert }) => alert === name);

  test('are the four that the CDK has, by the numbers of the plan', () => {
    expect(rules().map(({ alert, for: minutes, labels }) => [alert, minutes, labels['severity']])).toEqual([
      ['SlipwayServerErrors', '5m', 'critical'],
      ['SlipwayLatency', '5m', 'warning'],
      ['SlipwayMissingReplicas', '20m', 'critical'],
      ['SlipwaySaturation', '20m', 'warning'],
    ]);
    expect(rule('SlipwayLatency')!.expr).toMatch(/>= 24$/);
    expect(rule('SlipwayMissingReplicas')!.expr).toMatch(/or vector\(0\)\) < 2$/);
  });

  test('count one replica fewer where a rollout stops one first, and none where none may be right', () => {
    expect(rule('SlipwayMissingReplicas', { ...GPU_SPEC, spareReplica: false })!.expr).toMatch(/< 1$/);
    const asleep: EngineServiceSpec = { ...GPU_SPEC, minReplicas: 0, wakeSource: 'queue' };
    expect(rule('SlipwayMissingReplicas', asleep)).toBeUndefined();
  });

  test('ask of this service alone, and count what a caller gets as 5xx', () => {
    for (const { expr } of rules()) {
      for (const selector of expr.match(/\{[^}]*\}/g)!) {
        expect(selector).toMatch(/^\{service="resnet",namespace="inference"/);
      }
    }
    expect(rule('SlipwayServerErrors')!.expr).toContain('outcome=~"unavailable|deadline|error"');
  });
});

test('Prometheus itself wakes somebody for what is wrong, and nobody for what is right', (context) => {
  const promtool = findTool('promtool');
  if (promtool === undefined) return context.skip('promtool is not on the PATH');
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-rules-'));
  try {
    writeFileSync(path.join(folder, 'rules.json'), JSON.stringify(render().prometheusRule!.spec));
    writeFileSync(path.join(folder, 'tests.json'), JSON.stringify(RULE_TESTS));
    const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', 'tests.json'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(status, `${stdout}${stderr}`).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const series = (metric: string, labels: string, values: string) => ({
  series: `${metric}{service="resnet",namespace="inference"${labels}}`,
  values,
});
const ready = (pod: string) => series('slipway_model_ready', `,pod="${pod}",model="resnet50"`, '1x60');
const answered = (outcome: string, perMinute: number) =>
  series('slipway_requests_total', `,outcome="${outcome}"`, `0+${perMinute}x60`);
const saturated = (value: number) => series('slipway_saturation', ',pod="a"', `${value}x60`);
const firing = (input_series: object[], alerts: Record<string, 'critical' | 'warning'>) => ({
  interval: '1m',
  input_series,
  alert_rule_test: ['ServerErrors', 'Latency', 'MissingReplicas', 'Saturation'].map((name) => ({
    eval_time: '50m',
    alertname: `Slipway${name}`,
    exp_alerts: name in alerts ? [{ exp_labels: { severity: alerts[name] }, exp_annotations: SUMMARIES[name] }] : [],
  })),
});
const SUMMARIES: Record<string, { summary: string }> = Object.fromEntries(
  render().prometheusRule!.spec.groups[0]!.rules.map(({ alert, annotations }) => [
    alert.slice('Slipway'.length),
    { summary: annotations['summary']! },
  ]),
);
const slow = (le: string, perMinute: number) =>
  series('slipway_request_duration_seconds_bucket', `,le="${le}"`, `0+${perMinute}x60`);

/** The plan has two replicas at least, 30 s for a request, and 18 minutes for a replica to come. */
const RULE_TESTS = {
  rule_files: ['rules.json'],
  tests: [
    firing([ready('a'), ready('b'), answered('ok', 1_000), answered('error', 5), saturated(0.7)], {}),
    firing([ready('a'), ready('b'), answered('ok', 1_000), answered('error', 20)], { ServerErrors: 'critical' }),
    // A full queue is the client's to slow down for, and no request at all is no trouble.
    firing([ready('a'), ready('b'), answered('ok', 0), answered('queue_full', 20)], {}),
    firing([ready('a')], { MissingReplicas: 'critical' }),
    firing([], { MissingReplicas: 'critical' }),
    firing([ready('a'), ready('b'), saturated(1.2)], { Saturation: 'warning' }),
    firing([ready('a'), ready('b'), slow('10', 50), slow('30', 100), slow('+Inf', 100)], { Latency: 'warning' }),
    firing([ready('a'), ready('b'), slow('10', 100), slow('30', 100), slow('+Inf', 100)], {}),
  ],
};

describe('the dashboard', () => {
  const dashboard = (spec?: EngineServiceSpec) => JSON.parse(render(spec).dashboard!.data['slipway-resnet.json']!);

  test('is of this service and its namespace, on any Prometheus', () => {
    const { title, templating, panels } = dashboard();
    expect(title).toBe('resnet in inference');
    expect(templating.list[1]).toMatchObject({ name: 'namespace', type: 'constant', query: 'inference' });
    for (const panel of panels) expect(panel.datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
  });

  test('asks for metrics that a replica has, of this service alone', () => {
    const known = Object.values(METRICS) as string[];
    const queries = dashboard().panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
      targets.map(({ expr }) => expr),
    );
    for (const query of queries) {
      const asked = [...query.matchAll(/(slipway_[a-z_]+?)(?:_bucket|_sum|_count)?\{([^}]*)\}/g)];
      expect(asked.length).toBeGreaterThan(0);
      for (const [, metric, selector] of asked) {
        expect(known).toContain(metric);
        expect(selector).toMatch(/^service="resnet",namespace="\$namespace"/);
      }
    }
  });

  test('shows the GPU of a service that has one', () => {
    const titles = (spec: EngineServiceSpec): string[] =>
      JSON.parse(render(spec, {}).dashboard!.data['slipway-resnet.json']!).panels.map(
        ({ title }: { title: string }) => title,
      );
    expect(titles(GPU_SPEC)).toEqual([...titles(CPU_SPEC), 'GPU', 'GPU memory']);
  });

  test('has graphs that lie beside each other and not on each other', () => {
    const places = dashboard().panels.map(
      ({ gridPos }: { gridPos: { x: number; y: number } }) => `${gridPos.x},${gridPos.y}`,
    );
    expect(new Set(places).size).toBe(places.length);
  });
});
