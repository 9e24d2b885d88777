import { expect, test } from 'vitest';
import { embeddedMetric } from '../../runtime/server/cloudwatch-publisher';
import { METRICS, OUTCOMES } from '../../runtime/spec/metric-names';
import { addOneModel, identityModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';
import { startServerProcess } from './harness/server-process';

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

test('writes the saturation in the Embedded Metric Format where CloudWatch reads standard output', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
    SLIPWAY_CLOUDWATCH_METRICS: 'true',
    SLIPWAY_SERVICE_NAME: 'svc',
    SLIPWAY_CLUSTER_NAME: 'c',
  });
  await server.waitFor('ready');
  const line = await server.waitForLine((fields) => '_aws' in fields);
  const { slipway_saturation: saturation, _aws } = line as unknown as {
    slipway_saturation: number;
    _aws: { Timestamp: number };
  };
  expect(line).toEqual(embeddedMetric({ cluster: 'c', service: 'svc' }, saturation, _aws.Timestamp));
  // Idle: no more than what the process does by itself.
  expect(saturation).toBeGreaterThanOrEqual(0);
  expect(saturation).toBeLessThan(0.2);
  expect(line).toMatchObject({
    _aws: {
      CloudWatchMetrics: [
        { Namespace: 'Slipway', Dimensions: [['cluster', 'service']], Metrics: [{ Name: 'slipway_saturation' }] },
      ],
    },
    cluster: 'c',
    service: 'svc',
  });
});
