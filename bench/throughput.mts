// How many requests and rows a second, against a bare loop and against other servers.
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { wrk } from './load.mjs';
import { MLP_WIDTH } from './models.mjs';
import { startPeer, type Peer } from './peers.mjs';
import { freePort, pinBusiestThread, start, threadSeconds } from './processes.mjs';
import { binaryRequest, jsonRequest, type Input } from './requests.mjs';
import {
  bare,
  inTurn,
  load,
  LOAD_CORE,
  metric,
  metrics,
  MLP,
  ratio,
  serve,
  SERVER_CORE,
  TINY,
  type Context,
  type Figure,
  type Serving,
} from './measuring.mjs';

export async function servedToBare(context: Context, input: Input, connections: number): Promise<Figure> {
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

export async function toPeer(context: Context, peer: Peer, form: typeof jsonRequest, goal?: number): Promise<Figure> {
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

/** How much of what Node can answer at all is left: no server on it can be further ahead of a peer. */
export async function toNothing(context: Context): Promise<Figure> {
  const port = await freePort();
  const floor = start([context.node, join(context.bench, 'drop-body.mjs'), String(port)], { cores: SERVER_CORE });
  const server = await serve(context, ['tiny'], { cores: SERVER_CORE });
  try {
    const ours = jsonRequest(server.url, TINY);
    const theirs = { ...ours, url: `http://127.0.0.1:${port}/` };
    wrk(theirs, { connections: 16, seconds: 2, core: LOAD_CORE });
    const { text } = ratio(
      await inTurn(
        context,
        () => load(context, ours, 16).perSecond,
        () => load(context, theirs, 16).perSecond,
      ),
      () => true,
      ' req/s',
    );
    return { text };
  } finally {
    await Promise.all([server.stop(), floor.stop()]);
  }
}

export async function leastShare(context: Context): Promise<Figure> {
  const port = await freePort();
  const model = join(context.repository, MLP.model, '1', 'model.onnx');
  const command = [context.node, join(context.bench, 'least-server.mjs'), String(port), model, String(MLP_WIDTH)];
  const server = start(command, { cores: SERVER_CORE });
  try {
    const request = { ...binaryRequest('http://127.0.0.1', MLP), url: `http://127.0.0.1:${port}/` };
    await wait(2_000);
    wrk(request, { connections: 16, seconds: 2, core: LOAD_CORE });
    const { text } = ratio(
      await inTurn(
        context,
        () => load(context, request, 16).perSecond,
        () => bare(context, MLP.model).rowsPerSecond,
      ),
      () => true,
    );
    return { text };
  } finally {
    await server.stop();
  }
}

export async function shareOfBare(context: Context, batching: boolean): Promise<Figure> {
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

export async function batchingToPeer(context: Context): Promise<Figure> {
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

async function batches(server: Serving): Promise<{ rows: number; runs: number }> {
  const text = await metrics(server);
  return { rows: metric(text, 'slipway_batch_rows_sum'), runs: metric(text, 'slipway_batch_rows_count') };
}
