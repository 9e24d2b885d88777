import { expect, onTestFinished, test } from 'vitest';
import { EfficiencyMeter } from '../../runtime/server/efficiency';
import { Metrics, type ScrapedModel } from '../../runtime/server/metrics';
import { Histogram } from '../../runtime/server/metrics/histogram';
import { METRICS, OUTCOMES } from '../../runtime/spec/metric-names';
import { addOneModel, identityModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type Answer } from './harness/running-server';

test('publishes every metric of the contract, with labels of closed sets only', async () => {
  const models = { addone: addOneModel(), id: identityModel() };
  const server = await startServer({ modelRepository: plainRepository(models), serviceName: 'svc', clusterName: 'c' });
  await server.infer('addone', floats('input', [2, 4], new Array<number>(8).fill(1)));
  await server.infer('id', '{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32","data":[1,NaN,Infinity,4]}]}');
  await server.infer('a name from the client', {});
  await server.infer('addone', {});
  const { text, headers } = await request(`${server.metricsUrl}/metrics`);
  expect(headers.get('content-type')).toContain('text/plain; version=0.0.4');
  for (const name of Object.values(METRICS)) expect(text).toContain(`# TYPE ${name} `);
  expect(text).toContain('slipway_saturation{cluster="c",service="svc"}');
  expect(text).toContain('slipway_requests_total{model="addone",version="1",protocol="oip-json",outcome="ok"} 1');
  expect(text).toContain(
    'slipway_requests_total{model="addone",version="1",protocol="oip-json",outcome="client_error"} 1',
  );
  expect(text).toContain('slipway_requests_total{model="",version="",protocol="oip-json",outcome="client_error"} 1');
  expect(text).toContain('slipway_batch_rows_sum{model="addone",version="1"} 2');
  expect(text).toContain('slipway_model_ready{model="addone",version="1"} 1');
  expect(text).toContain('slipway_nonfinite_outputs_total{model="id",version="1"} 2');
  expect(text).not.toContain('a name from the client');
  for (const [, outcome] of text.matchAll(/outcome="([^"]+)"/g)) expect(OUTCOMES).toContain(outcome);
});

test('counts what is refused before anybody knows the model, by its protocol', async () => {
  const { url, metricsUrl, post } = await startServer({
    modelRepository: plainRepository({ addone: addOneModel(), id: identityModel() }),
    vertexPredictRoute: '/vertex',
    maxBodyMiB: 0.001,
  });
  const send = (path: string, headers: Record<string, string>): Promise<Answer> =>
    request(`${url}${path}`, { method: 'POST', headers, body: '{}' });
  const infer = '/v2/models/addone/infer';
  const statuses = [
    await send(infer, { 'X-Request-Timeout': 'soon' }),
    await send(infer, { 'Inference-Header-Content-Length': 'a' }),
    await send('/predict', {}),
    await send('/predict/addone', { 'Content-Type': 'application/pdf' }),
    await send('/invocations', {}),
    await send('/models/addone/invoke', { 'Content-Type': 'application/pdf' }),
    await send('/vertex', {}),
    await send('/v1/models/addone:classify', {}),
    await send('/v1/models/addone:explain', {}),
    await post(infer, 'x'.repeat(2_000)),
  ].map(({ status }) => status);
  expect(statuses).toEqual([400, 400, 400, 415, 400, 415, 400, 501, 501, 413]);
  const { text } = await request(`${metricsUrl}/metrics`);
  const rows = [...text.matchAll(/^slipway_requests_total\{(.*)\} (\d+)$/gm)].map(([, labels, n]) => `${labels} ${n}`);
  const unknown = (protocol: string): string => `model="",version="",protocol="${protocol}",outcome="client_error"`;
  expect(rows.toSorted()).toEqual(
    [
      `${unknown('oip-json')} 1`,
      `${unknown('oip-binary')} 1`,
      `${unknown('predict')} 2`,
      `${unknown('sagemaker')} 2`,
      `${unknown('vertex')} 1`,
      `${unknown('tensorflow')} 2`,
      'model="addone",version="1",protocol="oip-json",outcome="client_error" 1',
    ].toSorted(),
  );
});

test('metrics have a port of their own, and inference is not on it', async () => {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  expect((await server.get('/metrics')).status).toBe(404);
  expect((await request(`${server.metricsUrl}/v2/models`)).status).toBe(404);
});

test('the saturation follows the load', async () => {
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  const saturation = async (): Promise<number> =>
    Number(/^slipway_saturation\{[^}]*\} (\S+)/m.exec((await request(`${server.metricsUrl}/metrics`)).text)?.[1]);
  expect(await saturation()).toBe(0);
  for (let i = 0; (await saturation()) === 0 && i < 500; i++) {
    await server.infer('addone', floats('input', [1, 4], [1, 2, 3, 4]));
  }
  expect(await saturation()).toBeGreaterThan(0);
});

const service = { cluster: 'c', service: 's' };

function metricsOf(models: readonly ScrapedModel[] = []): Metrics {
  const metrics = new Metrics(service, { saturation: () => 0, models: () => models });
  onTestFinished(() => metrics.close());
  return metrics;
}

test('a model that goes away takes its series with it, unless the same version was loaded again', async () => {
  const metrics = metricsOf();
  const [first, again, other] = [
    { name: 'm', version: 1 },
    { name: 'm', version: 1 },
    { name: 'm', version: 2 },
  ];
  for (const model of [first, again, other]) metrics.answered(model, 'oip-json', 'ok', 0.001);
  const count = async (version: number): Promise<string | undefined> =>
    new RegExp(`^slipway_requests_total\\{model="m",version="${version}",.* (\\d+)$`, 'm').exec(
      (await metrics.expose()).text,
    )?.[1];
  expect(await count(1)).toBe('2');
  metrics.forget(first);
  metrics.forget(first);
  expect(await count(1)).toBe('2');
  metrics.forget(again);
  expect(await count(1)).toBeUndefined();
  expect(await count(2)).toBe('1');
});

test('a histogram counts each value in the bucket whose bound it does not exceed', () => {
  const histogram = new Histogram([1, 2.5, 10]);
  for (const value of [0, 1, 1.001, 2.5, 10, 11, 1e9]) histogram.observe(value);
  expect([...histogram.cumulative()]).toEqual([
    [1, 2],
    [2.5, 4],
    [10, 5],
  ]);
  expect(histogram.count).toBe(7);
  expect(histogram.sum).toBeCloseTo(1e9 + 25.501);
});

test('the efficiency is the time in runs over the time in which runs could have gone on', () => {
  const meter = new EfficiencyMeter(2);
  expect(meter.ratio(0)).toBeUndefined();
  // One batch on one of two executors, 100 ms of which 80 are inside the runtime; nothing else to do.
  meter.changed(0, 1, 0);
  meter.began(0);
  expect(meter.ratio(50)).toBe(1);
  meter.changed(100, 0, 0);
  meter.ended(0, 0.08);
  expect(meter.ratio(100)).toBeCloseTo(0.8);
  // Idle time does not count.
  expect(meter.ratio(900)).toBeCloseTo(0.8);
  // Work for both, and only one is used: 80 + 100 of 100 + 200.
  meter.changed(900, 1, 3);
  meter.began(900);
  meter.changed(1_000, 0, 0);
  meter.ended(900, 0.1);
  expect(meter.ratio(1_000)).toBeCloseTo(180 / 300, 1);
  // What was long ago hardly counts any more.
  meter.changed(300_000, 2, 0);
  meter.began(300_000);
  meter.began(300_000);
  meter.changed(301_000, 0, 0);
  meter.ended(300_000, 1);
  meter.ended(300_000, 1);
  expect(meter.ratio(301_000)).toBeGreaterThan(0.99);
});

test('what GPUs say of themselves is shown by our names and by those of Triton', async () => {
  const gpu = { index: 1, uuid: 'GPU-1', name: 'NVIDIA L4', utilization: 0.5, memoryUsedBytes: 1_000, energyJoules: 7 };
  const metrics = new Metrics(service, { saturation: () => 0, models: () => [], gpus: () => Promise.resolve([gpu]) });
  onTestFinished(() => metrics.close());
  const { text } = await metrics.expose({ withTriton: true });
  expect(text).toContain('slipway_gpu_utilization_ratio{gpu="1",uuid="GPU-1"} 0.5');
  expect(text).toContain('slipway_gpu_memory_used_bytes{gpu="1",uuid="GPU-1"} 1000');
  expect(text).toContain('slipway_gpu_energy_joules_total{gpu="1",uuid="GPU-1"} 7');
  expect(text).toContain('nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5');
  expect(text).not.toMatch(/^slipway_gpu_power_watts\{/m);
});
