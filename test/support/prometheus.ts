import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export interface Series {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is scraped, and the labels that a monitor gives all of it. */
export interface Target {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a target exposes now, as Prometheus reads it. */
export async function scrape({ url, labels }: Target): Promise<readonly Series[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(/^([a-z_]+)\{(.*)\} (\S+)$/gm)].map(([, metric, pairs, value]) => ({
    metric: metric!,
    labels: { ...pairsOf(pairs!), ...labels, instance: new URL(url).host },
    value: Number(value),
  }));
}

/**
 * Answers the questions of the judge, `sum by (…) (metric{…})`, and no other, from series that are read at each question.
 * Where a real Prometheus is installed the same tests ask that one, too.
 */
export async function startPrometheusDouble(read: () => Promise<readonly Series[]>): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const query = new URLSearchParams(body).get('query') ?? '';
      void read()
        .then((series) => ({ status: 'success', data: { resultType: 'vector', result: answer(query, series) } }))
        .catch((error: Error) => ({ status: 'error', error: error.message }))
        .then((result) => response.end(JSON.stringify(result)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A real Prometheus that scrapes the targets each second, stopped with the test. */
export async function startPrometheus(program: string, targets: readonly Target[]): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-prometheus-'));
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [
      {
        job_name: 'slipway',
        static_configs: targets.map(({ url, labels }) => ({ targets: [new URL(url).host], labels })),
      },
    ],
  };
  // JSON is YAML.
  writeFileSync(path.join(folder, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    program,
    [
      `--config.file=${path.join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${path.join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 150; attempt++) {
    const isReady = await fetch(`${url}/api/v1/query?query=${encodeURIComponent('count(up == 1)')}`).then(
      async (response) => (await response.text()).includes(`"${targets.length}"]`),
      () => false,
    );
    if (isReady) return url;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('Prometheus scraped no target in 30 s');
}

function answer(query: string, series: readonly Series[]): unknown[] {
  const [, by, metric, matchers] = /^sum by \(([\w, ]+)\) \((\w+)\{(.*)\}\)$/.exec(query) ?? [];
  if (by === undefined) throw new Error(`this double does not know '${query}'`);
  const wanted = Object.entries(pairsOf(matchers!));
  const sums = new Map<string, number>();
  for (const { metric: name, labels, value } of series) {
    if (name !== metric || wanted.some(([label, wantedValue]) => labels[label] !== wantedValue)) continue;
    const key = JSON.stringify(Object.fromEntries(by.split(', ').map((label) => [label, labels[label]])));
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].map(([key, value]) => ({ metric: JSON.parse(key) as unknown, value: [0, String(value)] }));
}

function pairsOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label!, value!]));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
