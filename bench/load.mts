// Load generators: wrk for HTTP/1.1, h2load for gRPC. Both are separate processes on a core of their own.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Request {
  readonly url: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** The process in whose network the server listens. @default - this one's */
  readonly network?: number;
}

export interface Load {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were not 2xx, and connections that failed. */
  readonly errors: number;
}

const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
let files = 0;

export function has(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
}

/** Closed-loop load: each connection sends its next request when it has its answer. */
export function wrk(request: Request, options: { connections: number; seconds: number; core: string }): Load {
  const body = join(folder, `body-${files}`);
  const script = join(folder, `wrk-${files++}.lua`);
  writeFileSync(body, request.body);
  writeFileSync(
    script,
    [
      `wrk.method = 'POST'`,
      `local file = io.open('${body}', 'rb')`,
      `wrk.body = file:read('*a')`,
      `file:close()`,
      ...Object.entries(request.headers).map(([name, value]) => `wrk.headers['${name}'] = '${value}'`),
      `function done(summary, latency, requests)`,
      `  local e = summary.errors`,
      `  io.write(string.format('\\nRESULT {"requests":%d,"seconds":%.6f,"p50Ms":%.6f,"p99Ms":%.6f,"errors":%d}\\n',`,
      `    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,`,
      `    e.connect + e.read + e.write + e.status + e.timeout))`,
      `end`,
    ].join('\n'),
  );
  const args = [
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--timeout',
    '30s',
    '-s',
    script,
    request.url,
  ];
  const enter = request.network === undefined ? [] : ['nsenter', '-t', String(request.network), '-n'];
  const output = execFileSync('taskset', ['-c', options.core, ...enter, 'wrk', ...args], { encoding: 'utf8' });
  const result = JSON.parse(/RESULT (.*)/.exec(output)![1]!) as Omit<Load, 'perSecond'>;
  return { ...result, perSecond: result.requests / result.seconds };
}

/** gRPC calls over one connection, so many at once. */
export function h2load(request: Request, options: { streams: number; requests: number; core: string }): Load {
  const body = join(folder, `body-${files++}`);
  writeFileSync(body, request.body);
  const headers = Object.entries(request.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const args = [
    '-n',
    String(options.requests),
    '-c',
    '1',
    '-m',
    String(options.streams),
    '-d',
    body,
    ...headers,
    request.url,
  ];
  const output = execFileSync('taskset', ['-c', options.core, 'h2load', ...args], { encoding: 'utf8' });
  const [, figure, unit] = /finished in ([\d.]+)(us|ms|s)/.exec(output)!;
  const seconds = Number(figure) * { us: 1e-6, ms: 1e-3, s: 1 }[unit as 'us' | 'ms' | 's'];
  const succeeded = Number(/(\d+) succeeded/.exec(output)![1]);
  return {
    requests: succeeded,
    seconds,
    perSecond: succeeded / seconds,
    p50Ms: Number.NaN,
    p99Ms: Number.NaN,
    errors: options.requests - succeeded,
  };
}
