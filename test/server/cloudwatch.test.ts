import { expect, onTestFinished, test } from 'vitest';
import { embeddedMetrics } from '../../runtime/server/cloudwatch-publisher';
import { Metrics, type ScrapedModel } from '../../runtime/server/metrics';
import { Histogram } from '../../runtime/server/metrics/histogram';
import { CLOUDWATCH_METRICS } from '../../runtime/spec/metric-names';
import { addOneModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServerProcess } from './harness/server-process';

const SERVICE = { cluster: 'c', service: 'svc' };

function metricsOf(models: readonly Partial<ScrapedModel>[] = []): Metrics {
  const metrics = new Metrics(SERVICE, { saturation: () => 0.25, models: () => models as readonly ScrapedModel[] });
  onTestFinished(() => metrics.close());
  return metrics;
}

const result = (seconds: number) => ({ outputs: [], seconds, nonfiniteElements: 0 });

test('the names and units in CloudWatch are public API and change only on purpose', () => {
  expect(CLOUDWATCH_METRICS.map(({ name, unit }) => `${name} ${unit}`)).toMatchInlineSnapshot(`
    [
      "slipway_saturation None",
      "slipway_requests_total Count",
      "slipway_requests_failed_total Count",
      "slipway_queue_duration_seconds Seconds",
      "slipway_run_duration_seconds Seconds",
      "slipway_batch_rows None",
      "slipway_efficiency_ratio None",
      "slipway_event_loop_delay_seconds Seconds",
    ]
  `);
});

test('writes metrics in the Embedded Metric Format where CloudWatch reads standard output', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
    SLIPWAY_CLOUDWATCH_METRICS: 'true',
    SLIPWAY_SERVICE_NAME: 'svc',
    SLIPWAY_CLUSTER_NAME: 'c',
  });
  await server.waitFor('ready');
  const line = await server.waitForLine((fields) => '_aws' in fields);
  expect(line).toMatchObject({
    _aws: {
      Timestamp: expect.any(Number) as number,
      CloudWatchMetrics: [
        {
          Namespace: 'Slipway',
          Dimensions: [['cluster', 'service']],
          // Nobody has asked: there is nothing to say of queues and runs.
          Metrics: [
            { Name: 'slipway_saturation', Unit: 'None' },
            { Name: 'slipway_requests_total', Unit: 'Count' },
            { Name: 'slipway_requests_failed_total', Unit: 'Count' },
            { Name: 'slipway_event_loop_delay_seconds', Unit: 'Seconds' },
          ],
        },
      ],
    },
    ...SERVICE,
    slipway_requests_total: 0,
    slipway_requests_failed_total: 0,
    outcomes: {},
  });
  // Idle: no more than what the process does by itself.
  expect(line['slipway_saturation']).toBeGreaterThanOrEqual(0);
  expect(line['slipway_saturation']).toBeLessThan(0.2);
});

test('a period counts what came in it, over all models, and nothing twice', () => {
  const [one, two] = [
    { name: 'one', version: 1, efficiency: 0.9 },
    { name: 'two', version: 3, efficiency: 0.5 },
  ];
  const metrics = metricsOf([one, two, { name: 'idle', version: 1 }]);
  metrics.answered(one, 'oip-json', 'ok', 0.01);
  metrics.answered(two, 'oip-grpc', 'ok', 0.01);
  metrics.answered(two, 'oip-grpc', 'queue_full', 0.01);
  metrics.answered(two, 'oip-json', 'deadline', 30);
  metrics.answered(undefined, 'predict', 'client_error', 0.001);
  metrics.ran(one, 4, result(0.01));
  metrics.ran(two, 8, result(0.03));
  metrics.queued(one, 0.003);
  expect(metrics.takePeriod()).toMatchObject({
    values: {
      slipway_saturation: 0.25,
      slipway_requests_total: 5,
      slipway_requests_failed_total: 2,
      slipway_queue_duration_seconds: [0.00375],
      slipway_run_duration_seconds: 0.02,
      slipway_batch_rows: 6,
      slipway_efficiency_ratio: [0.5, 0.9],
    },
    outcomes: { ok: 2, queue_full: 1, deadline: 1, client_error: 1 },
  });
  metrics.answered(one, 'oip-json', 'ok', 0.01);
  const { values, outcomes } = metrics.takePeriod();
  expect(outcomes).toEqual({ ok: 1 });
  expect(values).toMatchObject({ slipway_requests_total: 1, slipway_requests_failed_total: 0 });
  expect(values).not.toHaveProperty('slipway_run_duration_seconds');
});

test('a line has a bounded size, however many requests and models there were', () => {
  const models = Array.from({ length: 500 }, (_, i) => ({ name: `m${i}`, version: 1, efficiency: i / 500 + 1e-9 / 3 }));
  const metrics = metricsOf(models);
  for (const model of models) {
    for (let i = 0; i < 40; i++) metrics.queued(model, Math.PI * i * 0.001);
    metrics.ran(model, 3, result(Math.SQRT1_2));
    metrics.answered(model, 'oip-json', 'ok', 1 / 3);
  }
  const line = JSON.stringify(embeddedMetrics(SERVICE, metrics.takePeriod(), Date.now()));
  expect(line.length).toBeLessThan(1_500);
  const { slipway_queue_duration_seconds: waits, slipway_efficiency_ratio: ratios } = JSON.parse(line) as Record<
    string,
    number[]
  >;
  expect(waits).toHaveLength(20);
  // The least efficient models.
  expect(ratios).toHaveLength(20);
  expect(Math.max(...ratios!)).toBeLessThan(0.05);
});

test('the values that stand for a histogram are spread like what it observed', () => {
  const histogram = new Histogram([1, 2, 4]);
  expect(histogram.spread(20)).toEqual([]);
  for (const value of [0.3, 1.2, 1.7, 9]) histogram.observe(value);
  expect(histogram.spread(20)).toEqual([0.5, 1.25, 1.75, 4]);
  for (let i = 0; i < 996; i++) histogram.observe(3);
  const values = histogram.spread(5);
  expect(values[0]).toBe(0.5);
  expect(values.slice(1, 4).every((value) => value > 2 && value < 4)).toBe(true);
  expect(values[4]).toBe(4);
  expect(values).toEqual(values.toSorted((a, b) => a - b));
});
