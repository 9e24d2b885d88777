import { expect, onTestFinished, test, vi } from 'vitest';
import { CloudwatchPublisher, embeddedMetrics } from '../../runtime/server/cloudwatch-publisher';
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
      "slipway_cold_start_seconds Seconds",
      "slipway_gpu_utilization_ratio None",
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
            { Name: 'slipway_cold_start_seconds', Unit: 'Seconds' },
          ],
        },
      ],
    },
    ...SERVICE,
    slipway_requests_total: 0,
    slipway_requests_failed_total: 0,
    outcomes: {},
  });
  expect(line['slipway_cold_start_seconds']).toBeGreaterThan(0);
  // Idle: no more than what the process does by itself.
  expect(line['slipway_saturation']).toBeGreaterThanOrEqual(0);
  expect(line['slipway_saturation']).toBeLessThan(0.2);
});

test('a period counts what came in it, over all models, and nothing twice', async () => {
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
  expect(await metrics.takePeriod()).toMatchObject({
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
  const { values, outcomes } = await metrics.takePeriod();
  expect(outcomes).toEqual({ ok: 1 });
  expect(values).toMatchObject({ slipway_requests_total: 1, slipway_requests_failed_total: 0 });
  expect(values).not.toHaveProperty('slipway_run_duration_seconds');
});

test('a start is told once, so that its samples can be counted', async () => {
  const metrics = metricsOf();
  expect((await metrics.takePeriod()).values).not.toHaveProperty('slipway_cold_start_seconds');
  metrics.becameReady(12.5);
  metrics.becameReady(99);
  expect((await metrics.takePeriod()).values).toMatchObject({ slipway_cold_start_seconds: 12.5 });
  expect((await metrics.takePeriod()).values).not.toHaveProperty('slipway_cold_start_seconds');
  expect((await metrics.expose()).text).toContain('slipway_cold_start_seconds 12.5\n');
});

test('each GPU that says it is a value, and without one the metric is not there', async () => {
  const gpus = [{ utilization: 0.5 }, { utilization: 0 }, {}].map((reading, index) => ({
    index,
    uuid: `GPU-${index}`,
    name: 'L4',
    ...reading,
  }));
  const measured = new Metrics(SERVICE, {
    saturation: () => 0,
    models: () => [],
    gpus: () => Promise.resolve(gpus),
  });
  onTestFinished(() => measured.close());
  expect((await measured.takePeriod()).values).toMatchObject({ slipway_gpu_utilization_ratio: [0.5, 0] });
  expect((await metricsOf().takePeriod()).values).not.toHaveProperty('slipway_gpu_utilization_ratio');
});

test('a GPU that fails or does not answer costs lines, never the replica', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const lines: string[] = [];
  const period = { values: { slipway_saturation: 0.5 }, outcomes: {} };
  const reads = [
    () => Promise.reject(new Error('the GPU has fallen off the bus')),
    () => Promise.resolve(period),
    () => new Promise<typeof period>(() => {}),
  ];
  let asked = 0;
  const publisher = new CloudwatchPublisher({
    ...SERVICE,
    read: () => reads[asked++]!(),
    write: (line) => lines.push(line),
  });
  publisher.start();
  onTestFinished(() => publisher.stop());
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines).toHaveLength(1);
  expect(asked).toBe(3);
});

test('a line has a bounded size, however many requests and models there were', async () => {
  const models = Array.from({ length: 500 }, (_, i) => ({ name: `m${i}`, version: 1, efficiency: i / 500 + 1e-9 / 3 }));
  const metrics = metricsOf(models);
  for (const model of models) {
    for (let i = 0; i < 40; i++) metrics.queued(model, Math.PI * i * 0.001);
    metrics.ran(model, 3, result(Math.SQRT1_2));
    metrics.answered(model, 'oip-json', 'ok', 1 / 3);
  }
  const line = JSON.stringify(embeddedMetrics(SERVICE, await metrics.takePeriod(), Date.now()));
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
