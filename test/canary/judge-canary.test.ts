import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { judgeCanary } from '../../runtime/canary/judge-canary';
import { Prometheus } from '../../runtime/canary/prometheus';
import { VERDICT_DEFAULTS } from '../../runtime/spec/kubernetes/verdict-rules';
import { slipway } from '../cli/terminal';
import { plainRepository } from '../server/harness/model-repository';
import { floats, startServer, type RunningServer } from '../server/harness/running-server';
import { addOneModel, identityModel } from '../support/onnx-models';
import { scrape, startPrometheus, startPrometheusDouble, type Series, type Target } from '../support/prometheus';
import { toolOnPath } from '../support/tools';

const names = { namespace: 'models', stable: 'digits', canary: 'digits-canary', revision: '0123abcd' };
const rules = { ...VERDICT_DEFAULTS, bakeSeconds: 4, minRequests: 30, maxLatencyRatio: 100 };

const SOURCES: Record<string, (targets: readonly Target[]) => Promise<string | undefined>> = {
  'what answers like Prometheus': (targets) =>
    startPrometheusDouble(async () => (await Promise.all(targets.map(scrape))).flat()),
  'a real Prometheus': async (targets) => {
    const program = toolOnPath('prometheus');
    return program === undefined ? undefined : startPrometheus(program, targets);
  },
};

describe.each(Object.entries(SOURCES))('with two real servers and %s', (_, start) => {
  test('a canary that serves the model is good', async (context) => {
    const [stable, canary] = await tracks({ addone: addOneModel() });
    const prometheusUrl = await start(targetsOf(stable, canary));
    if (prometheusUrl === undefined) return context.skip('there is no prometheus on the PATH');
    const stop = keepAsking([stable, canary]);
    const verdict = await judgeCanary({ ...names, prometheusUrl, rules, pollSeconds: 0.5 });
    await stop();
    expect(verdict.sentence).toContain('digits-canary failed 0.0% of');
    expect(verdict.outcome).toBe('good');
  });

  test('a canary that does not know the model any more is bad, long before the end', async (context) => {
    const [stable, canary] = await tracks({ other: identityModel() });
    const prometheusUrl = await start(targetsOf(stable, canary));
    if (prometheusUrl === undefined) return context.skip('there is no prometheus on the PATH');
    const stop = keepAsking([stable, canary]);
    const verdict = await judgeCanary({
      ...names,
      prometheusUrl,
      rules: { ...rules, bakeSeconds: 3_600 },
      pollSeconds: 0.5,
    });
    await stop();
    expect(verdict.outcome).toBe('bad');
    expect(verdict.sentence).toMatch(
      /^digits-canary refused 100.0% of [\d,]+ requests, digits 0.0% of [\d,]+: more than 1.0% above it$/,
    );
  });
});

describe('slipway canary judge', () => {
  const flags = (prometheusUrl: string) => [
    'canary',
    'judge',
    `--prometheus-url=${prometheusUrl}`,
    '--namespace=models',
    '--stable=digits',
    '--canary=digits-canary',
    '--bake-seconds=1',
    '--poll-seconds=0.2',
  ];

  test('exits 0 for a good canary, and says the numbers', async () => {
    const url = await startPrometheusDouble(answered({ ok: 500 }, { ok: 500 }));
    const { status, stdout, stderr } = await slipway(...flags(url));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^good: digits-canary failed 0.0% of [\d,]+ requests.*\n$/);
  });

  test('exits 1 for a bad one', async () => {
    const url = await startPrometheusDouble(answered({ ok: 500 }, { ok: 300, error: 200 }));
    const { status, stdout, stderr } = await slipway(...flags(url));
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^error: bad: digits-canary failed 40.0% of [\d,]+ requests.*\n$/);
  });

  test('exits 2 without a verdict: too few requests, or no Prometheus', async () => {
    const url = await startPrometheusDouble(answered({ ok: 500 }, { ok: 1 }));
    expect(await slipway(...flags(url))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('error: not enough requests: digits-canary answered'),
    });
    const closed = await startPrometheusDouble(() => Promise.reject(new Error('the disk is full')));
    expect(await slipway(...flags(closed))).toEqual({
      status: 2,
      stdout: '',
      stderr: 'error: no verdict on digits-canary: the disk is full\n',
    });
    expect(await slipway(...flags('http://127.0.0.1:1'))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('http://127.0.0.1:1 does not answer'),
    });
  });

  test('refuses names that are none, and reads no number out of a word', async () => {
    const result = await slipway(...flags('http://127.0.0.1:1'), '--canary=a"} or up{', '--min-requests=many');
    expect(result).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--canary must be a name of Kubernetes'),
    });
    expect((await slipway(...flags('http://127.0.0.1:1'), '--min-requests=many')).stderr).toContain(
      "--min-requests must be a number, got 'many'",
    );
    expect((await slipway(...flags('file:///etc/passwd'))).stderr).toContain('must begin with http:// or https://');
  });

  test('asks again where Prometheus stumbles, and takes no answer without end', async () => {
    let asked = 0;
    const read = answered({ ok: 500 }, { ok: 500 });
    const url = await startPrometheusDouble(() =>
      (asked += 1) % 3 === 1 ? Promise.reject(new Error('busy')) : read(),
    );
    expect((await slipway(...flags(url), '--bake-seconds=3')).status).toBe(0);

    const endless = createServer((_, response) => {
      const fill = (): void => {
        while (response.write('x'.repeat(1 << 20)));
        response.once('drain', fill);
      };
      fill();
    });
    await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void endless.closeAllConnections());
    onTestFinished(() => void endless.close());
    const prometheus = new Prometheus(`http://127.0.0.1:${(endless.address() as AddressInfo).port}`);
    await expect(prometheus.query('up')).rejects.toThrow('answered more than 33554432 bytes');
  });
});

/** The stable track serves `addone`, the canary what is given. */
async function tracks(models: Record<string, Uint8Array>): Promise<[RunningServer, RunningServer]> {
  return [
    await startServer({ modelRepository: plainRepository({ addone: addOneModel() }), serviceName: 'digits' }),
    await startServer({ modelRepository: plainRepository(models), serviceName: 'digits-canary' }),
  ];
}

function targetsOf(stable: RunningServer, canary: RunningServer): readonly Target[] {
  return [
    { url: stable.metricsUrl, labels: { namespace: 'models', service: 'digits' } },
    { url: canary.metricsUrl, labels: { namespace: 'models', service: 'digits-canary' } },
  ];
}

/** Clients of both tracks, until they are stopped. */
function keepAsking(servers: readonly RunningServer[]): () => Promise<void> {
  let isStopped = false;
  const clients = servers.map(async (server) => {
    while (!isStopped) await server.infer('addone', floats('input', [1, 4], [1, 2, 3, 4]));
  });
  return async () => {
    isStopped = true;
    await Promise.all(clients);
  };
}

/** Counters of both tracks that grow with each look, by so much. */
function answered(stable: Record<string, number>, canary: Record<string, number>): () => Promise<readonly Series[]> {
  let looks = 0;
  return () => {
    looks += 1;
    const tracks = { digits: stable, 'digits-canary': canary };
    return Promise.resolve(
      Object.entries(tracks).flatMap(([service, counts]) =>
        Object.entries(counts).flatMap(([outcome, count]): Series[] => {
          const labels = { namespace: 'models', service, instance: '10.0.0.1:8082', outcome };
          return [
            { metric: 'slipway_requests_total', labels, value: count * looks },
            {
              metric: 'slipway_request_duration_seconds_bucket',
              labels: { ...labels, le: '+Inf' },
              value: count * looks,
            },
          ];
        }),
      ),
    );
  };
}
