// What every row of the benchmark is made of: a server, a bare loop, a load, and ratios of measurements taken in turn.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { wrk, type Load, type Request } from './load.mjs';
import { IMAGE, MLP_WIDTH } from './models.mjs';
import { cpuSeconds, freePort, start, untilReady, type Started } from './processes.mjs';
import type { Input } from './requests.mjs';

export interface Context {
  readonly node: string;
  readonly repository: string;
  readonly folder: string;
  readonly server: string;
  readonly bench: string;
  readonly peers: string;
  readonly seconds: number;
  readonly rounds: number;
}

export type Figure = { readonly text: string; readonly met?: boolean } | { readonly skipped: string };

/** What is measured has the first core, the load the second. */
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';

export const TINY: Input = { model: 'tiny', shape: [1, 4] };
export const MLP: Input = { model: 'mlp', shape: [1, MLP_WIDTH] };
export const ONE_MS: Input = { model: 'one-ms', shape: [1, MLP_WIDTH] };
export const RESNET: Input = { model: 'resnet50', name: 'gpu_0/data_0', shape: [1, ...IMAGE] };
export const PICTURE: Input = { model: 'first4', shape: [1, ...IMAGE] };

export interface Serving extends Started {
  readonly url: string;
  readonly grpcUrl: string;
  readonly metricsUrl: string;
}

export async function serve(
  context: Context,
  models: readonly string[],
  options: { cores?: string; settings?: Readonly<Record<string, string>>; folder?: string; bundle?: string } = {},
): Promise<Serving> {
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const folder = options.folder ?? context.repository;
  const references = models.map((name) => ({
    name,
    version: 1,
    folder: `${pathToFileURL(join(folder, name, '1')).href}/`,
  }));
  const started = start([context.node, options.bundle ?? context.server], {
    cores: options.cores,
    environment: {
      SLIPWAY_MODELS: JSON.stringify(references),
      SLIPWAY_HTTP_PORT: String(http),
      SLIPWAY_GRPC_PORT: String(grpc),
      SLIPWAY_METRICS_PORT: String(metrics),
      SLIPWAY_INTRA_OP_THREADS: '1',
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      SLIPWAY_CACHE_DIRECTORY: join(context.folder, 'cache'),
      SLIPWAY_LOG_LEVEL: 'warn',
      ...options.settings,
    },
  });
  const url = `http://127.0.0.1:${http}`;
  await untilReady(`${url}/readyz`, started);
  return { ...started, url, grpcUrl: `http://127.0.0.1:${grpc}`, metricsUrl: `http://127.0.0.1:${metrics}` };
}

export interface Bare {
  readonly runs: number;
  readonly rowsPerSecond: number;
  readonly p50Ms: number;
}

export function bare(context: Context, model: string, rows = 1): Bare {
  const file = join(context.repository, model, '1', 'model.onnx');
  const args = [
    '-c',
    SERVER_CORE,
    context.node,
    join(context.bench, 'bare.mjs'),
    file,
    String(rows),
    String(context.seconds),
    '1',
  ];
  return JSON.parse(execFileSync('taskset', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as Bare;
}

export function load(context: Context, request: Request, connections: number): Load {
  const result = wrk(request, { connections, seconds: context.seconds, core: LOAD_CORE });
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests failed`);
  return result;
}

export function cpuPerRequest(pid: number, run: () => Load): number {
  const before = cpuSeconds(pid);
  const { requests } = run();
  return ((cpuSeconds(pid) - before) / requests) * 1e6;
}

export async function metrics({ metricsUrl }: Serving): Promise<string> {
  return (await fetch(`${metricsUrl}/metrics`)).text();
}

export function metric(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`));
  if (line === undefined) throw new Error(`the server has no metric ${name}`);
  return Number(line.slice(line.lastIndexOf(' ')));
}

/** One after the other, so that a machine that grows busier grows busier for both. */
export async function inTurn(
  { rounds }: Context,
  ours: () => number | Promise<number>,
  theirs: () => number | Promise<number>,
): Promise<readonly (readonly [number, number])[]> {
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i < rounds; i++) pairs.push([await ours(), await theirs()]);
  return pairs;
}

export function ratio(
  pairs: readonly (readonly [number, number])[],
  meets: (ratio: number) => boolean,
  unit = '',
): { text: string; met: boolean } {
  const value = median(pairs.map(([ours, theirs]) => ours / theirs));
  const [ours, theirs] = [0, 1].map((i) => median(pairs.map((pair) => pair[i]!)));
  const digits = value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return { text: `${value.toFixed(digits)} (${round(ours!)} ÷ ${round(theirs!)}${unit})`, met: meets(value) };
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
