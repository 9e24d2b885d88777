// What a request costs: processor time, latency, pauses, and what overload does to it.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { h2load, has, wrk, type Load } from './load.mjs';
import { openLoop } from './open-loop.mjs';
import { freePort, residentBytes, start } from './processes.mjs';
import { binaryRequest, grpcRequest } from './requests.mjs';
import {
  bare,
  cpuPerRequest,
  inTurn,
  load,
  LOAD_CORE,
  median,
  metric,
  metrics,
  MLP,
  ONE_MS,
  PICTURE,
  ratio,
  serve,
  SERVER_CORE,
  type Context,
  type Figure,
  type Serving,
} from './measuring.mjs';

export async function addedLatency(context: Context): Promise<Figure> {
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

export async function binaryToFloor(context: Context): Promise<Figure> {
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

export async function grpcToBinary(context: Context): Promise<Figure> {
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

export function jsonParse(context: Context): Promise<Figure> {
  const args = ['-c', SERVER_CORE, context.node, '--import', 'tsx', join(context.bench, 'json-parse.mts')];
  const pairs = JSON.parse(execFileSync('taskset', args, { encoding: 'utf8', cwd: join(context.bench, '..') })) as [
    number,
    number,
  ][];
  return Promise.resolve(ratio(pairs, (r) => r <= 0.35, ' µs'));
}

export async function longestStall(context: Context): Promise<Figure> {
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

export async function overload(context: Context): Promise<Figure> {
  const settings = {
    SLIPWAY_MAX_BATCH_SIZE: '1',
    SLIPWAY_QUEUE_SECONDS: '0.25',
    SLIPWAY_REQUEST_DEADLINE_SECONDS: '5',
  };
  const server = await serve(context, ['mlp'], { settings, cores: SERVER_CORE });
  try {
    const request = binaryRequest(server.url, MLP);
    const { perSecond } = wrk(request, { connections: 8, seconds: 3, core: LOAD_CORE });
    // V8 makes its young generation as large as such a load wants it: 20 s, 130 MiB on Node 24.
    await openLoop(request, { perSecond: 3 * perSecond, seconds: 25 });
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
