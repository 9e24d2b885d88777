// The rows of the benchmark. Each measures two things in turn, several times, and gives the median of their ratios.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { h2load, has, wrk, type Load, type Request } from './load.mjs';
import { IMAGE, layOutBigModel, MLP_WIDTH } from './models.mjs';
import { openLoop } from './open-loop.mjs';
import { startPeer, type Peer } from './peers.mjs';
import {
  cpuSeconds,
  freePort,
  pinBusiestThread,
  residentBytes,
  start,
  threadSeconds,
  untilReady,
  type Started,
} from './processes.mjs';
import { binaryRequest, grpcRequest, jsonRequest, type Input } from './requests.mjs';

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

export interface Row {
  readonly name: string;
  readonly goal: string;
  readonly measure: (context: Context) => Promise<Figure>;
}

/** What is measured has the first core, the load the second. */
const SERVER_CORE = '0';
const LOAD_CORE = '1';

const TINY: Input = { model: 'tiny', shape: [1, 4] };
const MLP: Input = { model: 'mlp', shape: [1, MLP_WIDTH] };
const ONE_MS: Input = { model: 'one-ms', shape: [1, MLP_WIDTH] };
const RESNET: Input = { model: 'resnet50', name: 'gpu_0/data_0', shape: [1, ...IMAGE] };
const PICTURE: Input = { model: 'first4', shape: [1, ...IMAGE] };

export const ROWS: readonly Row[] = [
  {
    name: 'ResNet-50, binary, executor on a core of its own: served ÷ bare rows/s',
    goal: '≥ 0.97',
    measure: (c) => servedToBare(c, RESNET, 4),
  },
  { name: '1 ms model, the same', goal: '≥ 0.97', measure: (c) => servedToBare(c, ONE_MS, 4) },
  {
    name: 'tiny model, one core: binary requests/s ÷ FastAPI',
    goal: '≥ 8',
    measure: (c) => toPeer(c, 'fastapi', binaryRequest, 8),
  },
  {
    name: 'tiny model, one core: JSON requests/s ÷ FastAPI',
    goal: '≥ 5',
    measure: (c) => toPeer(c, 'fastapi', jsonRequest, 5),
  },
  {
    name: 'the same, binary ÷ FastAPI on uvicorn[standard]',
    goal: 'for comparison',
    measure: (c) => toPeer(c, 'fastapi-standard', binaryRequest),
  },
  {
    name: 'the same, JSON ÷ FastAPI on uvicorn[standard]',
    goal: 'for comparison',
    measure: (c) => toPeer(c, 'fastapi-standard', jsonRequest),
  },
  { name: 'the same, JSON ÷ BentoML', goal: '≥ 25', measure: (c) => toPeer(c, 'bentoml', jsonRequest, 25) },
  { name: 'the same, JSON ÷ LitServe', goal: '≥ 30', measure: (c) => toPeer(c, 'litserve', jsonRequest, 30) },
  { name: 'the same, JSON ÷ MLServer', goal: '≥ 15', measure: (c) => toPeer(c, 'mlserver', jsonRequest, 15) },
  { name: 'the same, JSON ÷ Ray Serve', goal: '≥ 100', measure: (c) => toPeer(c, 'ray', jsonRequest, 100) },
  {
    name: 'MLP at concurrency 16, one core, batching off: share of bare one-row runs',
    goal: '≥ 0.93',
    measure: (c) => shareOfBare(c, false),
  },
  {
    name: 'the same with batching: share of bare at the mean batch size',
    goal: '≥ 0.6',
    measure: (c) => shareOfBare(c, true),
  },
  { name: 'the same with batching ÷ the best peer (FastAPI)', goal: '≥ 3', measure: batchingToPeer },
  { name: 'added p50 at concurrency 1 over bare', goal: '≤ 0.4 ms', measure: addedLatency },
  {
    name: '602 KB binary tensor: CPU per request ÷ reading the body and dropping it',
    goal: '≤ 1.2',
    measure: binaryToFloor,
  },
  { name: '602 KB tensor: CPU per request over gRPC ÷ REST binary', goal: '≤ 3', measure: grpcToBinary },
  { name: '150,528 floats as JSON: parse ÷ JSON.parse', goal: '≤ 0.35', measure: jsonParse },
  { name: 'longest event-loop stall at saturation', goal: '≤ 15 ms', measure: longestStall },
  {
    name: '3× overload for 60 s: p99 of accepted requests within the queue bound, the rest 429, RSS flat',
    goal: 'yes',
    measure: overload,
  },
  { name: '268 MB of weights: create of the mapped form ÷ plain create', goal: '≤ 0.1', measure: mappedCreate },
  { name: '268 MB of weights: to ready with warm-up, mapped ÷ plain', goal: '≤ 0.35', measure: mappedReady },
];

interface Serving extends Started {
  readonly url: string;
  readonly grpcUrl: string;
  readonly metricsUrl: string;
}

async function serve(
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

interface Bare {
  readonly runs: number;
  readonly rowsPerSecond: number;
  readonly p50Ms: number;
}

function bare(context: Context, model: string, rows = 1): Bare {
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

function load(context: Context, request: Request, connections: number): Load {
  const result = wrk(request, { connections, seconds: context.seconds, core: LOAD_CORE });
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests failed`);
  return result;
}

async function servedToBare(context: Context, input: Input, connections: number): Promise<Figure> {
  const server = await serve(context, [input.model], { settings: { SLIPWAY_MAX_BATCH_SIZE: '1' } });
  try {
    const before = threadSeconds(server.pid);
    const request = binaryRequest(server.url, input);
    wrk(request, { connections, seconds: 2, core: LOAD_CORE });
    pinBusiestThread(server.pid, SERVER_CORE, LOAD_CORE, before);
    return ratio(
      await inTurn(
        context,
        () => load(context, request, connections).perSecond,
        () => bare(context, input.model).rowsPerSecond,
      ),
      (r) => r >= 0.97,
    );
  } finally {
    await server.stop();
  }
}

async function toPeer(context: Context, peer: Peer, form: typeof jsonRequest, goal?: number): Promise<Figure> {
  const model = join(context.repository, 'tiny', '1', 'model.onnx');
  const other = await startPeer(peer, { ...context, model, port: await freePort(), core: SERVER_CORE });
  const server = await serve(context, ['tiny'], { cores: SERVER_CORE });
  try {
    const ours = form(server.url, TINY);
    const theirs = { ...ours, url: other.url, network: other.network };
    wrk(theirs, { connections: 16, seconds: 2, core: LOAD_CORE });
    const figure = ratio(
      await inTurn(
        context,
        () => load(context, ours, 16).perSecond,
        () => load(context, theirs, 16).perSecond,
      ),
      (r) => goal === undefined || r >= goal,
      ' req/s',
    );
    return goal === undefined ? { text: figure.text } : figure;
  } finally {
    await Promise.all([server.stop(), other.stop()]);
  }
}

async function shareOfBare(context: Context, batching: boolean): Promise<Figure> {
  const server = await serve(context, ['mlp'], {
    cores: SERVER_CORE,
    settings: { SLIPWAY_MAX_BATCH_SIZE: batching ? '16' : '1' },
  });
  try {
    const request = binaryRequest(server.url, MLP);
    wrk(request, { connections: 16, seconds: 2, core: LOAD_CORE });
    const before = await batches(server);
    const served = (): number => load(context, request, 16).perSecond;
    if (!batching)
      return ratio(await inTurn(context, served, () => bare(context, 'mlp').rowsPerSecond), (r) => r >= 0.93);
    served();
    const after = await batches(server);
    const size = Math.round((after.rows - before.rows) / (after.runs - before.runs));
    const figure = ratio(
      await inTurn(context, served, () => bare(context, 'mlp', size).rowsPerSecond),
      (r) => r >= 0.6,
    );
    return { ...figure, text: `${figure.text} at a mean batch of ${size}` };
  } finally {
    await server.stop();
  }
}

async function batchingToPeer(context: Context): Promise<Figure> {
  const model = join(context.repository, 'mlp', '1', 'model.onnx');
  const other = await startPeer('fastapi', { ...context, model, port: await freePort(), core: SERVER_CORE });
  const server = await serve(context, ['mlp'], { cores: SERVER_CORE, settings: { SLIPWAY_MAX_BATCH_SIZE: '16' } });
  try {
    const ours = binaryRequest(server.url, MLP);
    const theirs = { ...ours, url: other.url };
    return ratio(
      await inTurn(
        context,
        () => load(context, ours, 16).perSecond,
        () => load(context, theirs, 16).perSecond,
      ),
      (r) => r >= 3,
    );
  } finally {
    await Promise.all([server.stop(), other.stop()]);
  }
}

async function addedLatency(context: Context): Promise<Figure> {
  const server = await serve(context, ['one-ms'], { settings: { SLIPWAY_MAX_BATCH_SIZE: '1' } });
  try {
    const request = binaryRequest(server.url, ONE_MS);
    wrk(request, { connections: 1, seconds: 2, core: LOAD_CORE });
    const pairs = await inTurn(
      context,
      () => load(context, request, 1).p50Ms,
      () => bare(context, 'one-ms').p50Ms,
    );
    const added = median(pairs.map(([served, alone]) => served - alone));
    const [served, alone] = [0, 1].map((i) => median(pairs.map((pair) => pair[i]!)));
    return { text: `${added.toFixed(2)} ms (${served!.toFixed(2)} over ${alone!.toFixed(2)})`, met: added <= 0.4 };
  } finally {
    await server.stop();
  }
}

async function binaryToFloor(context: Context): Promise<Figure> {
  const server = await serve(context, ['first4']);
  const port = await freePort();
  const floor = start([context.node, join(context.bench, 'drop-body.mjs'), String(port)]);
  try {
    const ours = binaryRequest(server.url, PICTURE);
    const theirs = { ...ours, url: `http://127.0.0.1:${port}/` };
    await wait(500);
    return ratio(
      await inTurn(
        context,
        () => cpuPerRequest(server.pid, () => load(context, ours, 4)),
        () => cpuPerRequest(floor.pid, () => load(context, theirs, 4)),
      ),
      (r) => r <= 1.2,
      ' µs',
    );
  } finally {
    await Promise.all([server.stop(), floor.stop()]);
  }
}

async function grpcToBinary(context: Context): Promise<Figure> {
  if (!has('h2load')) return { skipped: 'h2load is not here (Debian: nghttp2-client)' };
  const server = await serve(context, ['first4']);
  try {
    const rest = binaryRequest(server.url, PICTURE);
    const grpc = grpcRequest(server.grpcUrl, PICTURE);
    const calls = { streams: 4, core: LOAD_CORE };
    h2load(grpc, { ...calls, requests: 500 });
    const overGrpc = (): Load => {
      const result = h2load(grpc, { ...calls, requests: 600 * context.seconds });
      if (result.errors > 0) throw new Error(`${result.errors} calls failed`);
      return result;
    };
    return ratio(
      await inTurn(
        context,
        () => cpuPerRequest(server.pid, overGrpc),
        () => cpuPerRequest(server.pid, () => load(context, rest, 4)),
      ),
      (r) => r <= 3,
      ' µs',
    );
  } finally {
    await server.stop();
  }
}

function cpuPerRequest(pid: number, run: () => Load): number {
  const before = cpuSeconds(pid);
  const { requests } = run();
  return ((cpuSeconds(pid) - before) / requests) * 1e6;
}

function jsonParse(context: Context): Promise<Figure> {
  const args = ['-c', SERVER_CORE, context.node, '--import', 'tsx', join(context.bench, 'json-parse.mts')];
  const pairs = JSON.parse(execFileSync('taskset', args, { encoding: 'utf8', cwd: join(context.bench, '..') })) as [
    number,
    number,
  ][];
  return Promise.resolve(ratio(pairs, (r) => r <= 0.35, ' µs'));
}

async function longestStall(context: Context): Promise<Figure> {
  const server = await serve(context, ['mlp', 'first4'], { settings: { SLIPWAY_MAX_BATCH_SIZE: '16' } });
  try {
    const mlp = binaryRequest(server.url, MLP);
    const picture = binaryRequest(server.url, PICTURE);
    wrk(mlp, { connections: 32, seconds: 3, core: LOAD_CORE });
    await stall(server);
    wrk(mlp, { connections: 64, seconds: context.seconds, core: LOAD_CORE });
    wrk(picture, { connections: 16, seconds: context.seconds, core: LOAD_CORE });
    const longest = (await stall(server)) * 1_000;
    return { text: `${longest.toFixed(1)} ms`, met: longest <= 15 };
  } finally {
    await server.stop();
  }
}

/** The longest delay of the event loop since it was last asked, in seconds. */
async function stall(server: Serving): Promise<number> {
  return metric(await metrics(server), 'slipway_event_loop_delay_seconds{quantile="1"}');
}

async function overload(context: Context): Promise<Figure> {
  const settings = {
    SLIPWAY_MAX_BATCH_SIZE: '1',
    SLIPWAY_QUEUE_SECONDS: '0.25',
    SLIPWAY_REQUEST_DEADLINE_SECONDS: '5',
  };
  const server = await serve(context, ['mlp'], { settings, cores: SERVER_CORE });
  try {
    const request = binaryRequest(server.url, MLP);
    const { perSecond } = wrk(request, { connections: 8, seconds: 3, core: LOAD_CORE });
    await openLoop(request, { perSecond: 3 * perSecond, seconds: 5 });
    const before = residentBytes(server.pid);
    const result = await openLoop(request, { perSecond: 3 * perSecond, seconds: 60 });
    const grown = (residentBytes(server.pid) - before) / 2 ** 20;
    const others = result.total - result.accepted - result.refused;
    const met = others === 0 && result.p99Ms <= 250 + 100 && grown <= 32;
    return {
      text: `${result.accepted} answered, p99 ${result.p99Ms.toFixed(0)} ms with a queue of 250 ms; ${result.refused} × 429, ${others} else; RSS ${grown.toFixed(0)} MiB more`,
      met,
    };
  } finally {
    await server.stop();
  }
}

async function mappedCreate(context: Context): Promise<Figure> {
  const forms = bigModel(context);
  const create = (path: string, mapped: boolean): number => {
    const args = [join(context.bench, 'create.mjs'), join(path, 'model.onnx'), mapped ? '1' : '0'];
    return Number(execFileSync(context.node, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  };
  return ratio(
    await inTurn(
      context,
      () => create(forms.external, true),
      () => create(forms.plain, false),
    ),
    (r) => r <= 0.1,
    ' ms',
  );
}

async function mappedReady(context: Context): Promise<Figure> {
  const forms = bigModel(context);
  const ready = async (form: 'plain' | 'external'): Promise<number> => {
    const begin = performance.now();
    const settings = { SLIPWAY_WEIGHTS: form === 'external' ? 'mapped' : 'packed' };
    const server = await serve(context, [form], { folder: join(forms.plain, '..', '..'), settings });
    const milliseconds = performance.now() - begin;
    await server.stop();
    return milliseconds;
  };
  return ratio(
    await inTurn(
      context,
      () => ready('external'),
      () => ready('plain'),
    ),
    (r) => r <= 0.35,
    ' ms',
  );
}

let big: ReturnType<typeof layOutBigModel> | undefined;
function bigModel({ folder }: Context): ReturnType<typeof layOutBigModel> {
  big ??= layOutBigModel(join(folder, 'big'));
  return big;
}

async function metrics({ metricsUrl }: Serving): Promise<string> {
  return (await fetch(`${metricsUrl}/metrics`)).text();
}

function metric(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`));
  if (line === undefined) throw new Error(`the server has no metric ${name}`);
  return Number(line.slice(line.lastIndexOf(' ')));
}

async function batches(server: Serving): Promise<{ rows: number; runs: number }> {
  const text = await metrics(server);
  return { rows: metric(text, 'slipway_batch_rows_sum'), runs: metric(text, 'slipway_batch_rows_count') };
}

/** One after the other, so that a machine that grows busier grows busier for both. */
async function inTurn(
  { rounds }: Context,
  ours: () => number | Promise<number>,
  theirs: () => number | Promise<number>,
): Promise<readonly (readonly [number, number])[]> {
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i < rounds; i++) pairs.push([await ours(), await theirs()]);
  return pairs;
}

function ratio(
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

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
