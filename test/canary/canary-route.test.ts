import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test, type TestContext } from 'vitest';
import { CanaryRoute } from '../../runtime/canary/canary-route';
import { judgeCanary } from '../../runtime/canary/judge-canary';
import { KubernetesApi, KubernetesApiError } from '../../runtime/canary/kubernetes-api';
import { VERDICT_DEFAULTS } from '../../runtime/spec/kubernetes/verdict-rules';
import { temporaryFolder } from '../server/harness/model-repository';
import { makeLoopbackCertificate } from '../support/loopback-certificate';
import { startPrometheusDouble, type Series } from '../support/prometheus';
import { toolOnPath } from '../support/tools';

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: any;
}

const openssl = toolOnPath('openssl');
beforeEach((context: TestContext) => {
  if (openssl === undefined) context.skip('openssl is not on the PATH');
});

const RULES = [
  {
    backendRefs: [
      { name: 'digits', weight: 90 },
      { name: 'digits-canary', weight: 10 },
    ],
  },
  { backendRefs: [{ name: 'digits-canary' }] },
];

test('every weight of the canary is taken away in one patch, of the very route that was read', async () => {
  const { api, asked } = await apiServer(() => ({ status: 200 }));
  await routeOf(api).close('0123abcd bad: it failed');
  expect(asked[1]).toEqual({
    method: 'PATCH',
    url: '/apis/gateway.networking.k8s.io/v1/namespaces/team/httproutes/digits?fieldManager=slipway-canary-judge',
    authorization: 'Bearer the token',
    body: [
      { op: 'test', path: '/metadata/resourceVersion', value: '1' },
      { op: 'add', path: '/spec/rules/0/backendRefs/1/weight', value: 0 },
      { op: 'add', path: '/spec/rules/1/backendRefs/0/weight', value: 0 },
      { op: 'add', path: '/metadata/annotations', value: { 'slipway.dev/verdict': '0123abcd bad: it failed' } },
    ],
  });
});

test('a backend without a weight has weight 1', async () => {
  const { api } = await apiServer(() => ({ status: 200 }));
  expect(await routeOf(api).read()).toEqual({ weight: 11, verdict: undefined });
});

test('a route that somebody changes meanwhile is read again, five times at most', async () => {
  const patient = await apiServer((patches) => ({ status: patches < 3 ? 409 : 200 }));
  await routeOf(patient.api).close('verdict');
  expect(patient.asked.filter(({ method }) => method === 'PATCH').map(({ body }) => body[0].value)).toEqual([
    '1',
    '2',
    '3',
  ]);

  const hopeless = await apiServer(() => ({ status: 422, message: 'the object has been modified' }));
  await expect(routeOf(hopeless.api).close('verdict')).rejects.toThrow('the object has been modified');
  expect(hopeless.asked.filter(({ method }) => method === 'PATCH')).toHaveLength(5);
});

test('a refusal is final, and in the words of the API server', async () => {
  const { api, asked } = await apiServer(() => ({ status: 403, message: 'cannot patch resource "httproutes"' }));
  const error: unknown = await routeOf(api)
    .close('verdict')
    .catch((thrown: unknown) => thrown);
  expect(error).toEqual(new KubernetesApiError('cannot patch resource "httproutes"', 403));
  expect(asked).toHaveLength(2);
});

test('a bad canary that cannot be taken out is bad all the same, and every other route is tried', async () => {
  let looks = 0;
  const prometheusUrl = await startPrometheusDouble(() => {
    looks += 500;
    const series = (service: string, outcome: string): Series => ({
      metric: 'slipway_requests_total',
      labels: { namespace: 'team', service, instance: `${service}:8082`, outcome },
      value: looks,
    });
    return Promise.resolve([series('digits', 'ok'), series('digits-canary', 'error')]);
  });
  const refusing = await apiServer(() => ({ status: 403, message: 'forbidden' }));
  const willing = await apiServer(() => ({ status: 200 }));
  const { outcome, sentence } = await judgeCanary({
    prometheusUrl,
    namespace: 'team',
    stable: 'digits',
    canary: 'digits-canary',
    rules: VERDICT_DEFAULTS,
    revision: '0123abcd',
    routes: [routeOf(refusing.api), routeOf(willing.api)],
    pollSeconds: 0.1,
  });
  expect(outcome).toBe('bad');
  expect(sentence).toMatch(/; its traffic could not be taken away \(forbidden\)$/);
  expect(willing.asked.at(-1)).toMatchObject({ method: 'PATCH' });
});

test('the API server of another authority is not believed, and gets no token', async () => {
  const { folder, port, asked } = await apiServer(() => ({ status: 200 }));
  writeFileSync(path.join(folder, 'ca.crt'), makeLoopbackCertificate(openssl!).cert);
  await expect(routeOf(apiOn(folder, port)).read()).rejects.toThrow('self-signed certificate');
  expect(asked).toEqual([]);
});

test('outside a cluster there is no API server', () => {
  expect(() => new KubernetesApi('/nowhere', {})).toThrow('KUBERNETES_SERVICE_HOST is not set');
});

function routeOf(api: KubernetesApi): CanaryRoute {
  return new CanaryRoute(api, 'team', 'httproutes', 'digits', 'digits-canary');
}

function apiOn(folder: string, port: number): KubernetesApi {
  return new KubernetesApi(folder, { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) });
}

/** What stands in for the one object of an API server that a judge may touch. A real one is in traffic-cluster.test.ts. */
async function apiServer(patch: (patches: number) => { status: number; message?: string }) {
  const folder = temporaryFolder();
  const certificate = makeLoopbackCertificate(openssl!);
  const asked: Asked[] = [];
  let [reads, patches] = [0, 0];
  const server = createServer(certificate, (request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += String(chunk)));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      asked.push({
        method,
        url,
        authorization: headers.authorization,
        body: text === '' ? undefined : JSON.parse(text),
      });
      const answer = method === 'GET' ? { status: 200 } : patch((patches += 1));
      response.statusCode = answer.status;
      if (method === 'GET') reads += 1;
      const route = { metadata: { resourceVersion: String(reads) }, spec: { rules: RULES } };
      response.end(JSON.stringify('message' in answer ? answer : route));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  writeFileSync(path.join(folder, 'ca.crt'), certificate.cert);
  writeFileSync(path.join(folder, 'token'), 'the token\n');
  return { api: apiOn(folder, port), asked, folder, port };
}
